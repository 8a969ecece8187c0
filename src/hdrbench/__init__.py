"""hdrbench: a reproducibility benchmark for HDR image reconstruction.

The packages ``metrics``, ``methods``, ``datasets`` and ``replications`` live at the top of the repository and are linked
here, so that one import name covers them all.
"""

from pathlib import Path

__version__ = "0.1.0"

# A checkout without symbolic links (Windows without developer mode, some archive tools) leaves text files in their place.
_repo = Path(__file__).resolve().parents[2]
if not (Path(__file__).parent / "methods").is_dir() and (_repo / "methods").is_dir():
    __path__.append(str(_repo))
