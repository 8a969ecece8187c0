"""A stack of exposures from one LDR image, and the HDR image merged from it."""
