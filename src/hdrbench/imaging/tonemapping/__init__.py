"""Tone mapping: linear radiance in, display-referred images in [0, 1] out.

`presets` has the operators by name with the settings that papers used; the functions behind them are in `opencv`,
`toolbox` and `local`. All take and return (N, 3, H, W) RGB, treat every image of a batch alone, compute in float64, and
keep dtype and device.
"""
