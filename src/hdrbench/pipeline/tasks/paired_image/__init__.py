"""HDR from one LDR image, learnt from pairs."""
