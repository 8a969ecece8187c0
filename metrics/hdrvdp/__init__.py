"""HDR-VDP, the visual difference predictor for images of high dynamic range: versions 2 and 3 in torch, and as released."""
