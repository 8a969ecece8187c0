"""HDR from one LDR image."""
