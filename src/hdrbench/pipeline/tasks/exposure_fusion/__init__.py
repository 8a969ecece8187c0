"""One image that can be shown, from a stack of exposures."""
