"""Real stacks under HDRBENCH_DATA, and a synthetic camera."""

import os
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch


def photograph(path, flags=cv2.IMREAD_COLOR):
    """(3, H, W) in RGB, as stored."""
    return torch.from_numpy(cv2.imread(str(path), flags)[..., ::-1].copy()).permute(2, 0, 1)


def table(path):
    """A response in OpenCV's CSV files, BGR rows: (3, 256) in RGB."""
    rows = [line.replace(";", ",").strip(" ,\n").split(",") for line in path.read_text().splitlines() if line.strip()]
    return torch.tensor([[float(value) for value in row] for row in rows]).flip(1).T.contiguous()


def folder(name):
    if "HDRBENCH_DATA" not in os.environ:
        pytest.skip("HDRBENCH_DATA is not set")
    path = Path(os.environ["HDRBENCH_DATA"]) / name
    if not path.is_dir():
        pytest.skip(f"no {name} under HDRBENCH_DATA")
    return path


@pytest.fixture(scope="session")
def memorial():
    """OpenCV's test data: the stack, times in seconds, and what its tests expect."""
    root = folder("opencv_memorial")
    entries = [line.split() for line in (root / "exposures/list.txt").read_text().splitlines() if line.strip()][::-1]
    return SimpleNamespace(
        stack=torch.stack([photograph(root / "exposures" / name) for name, _ in entries])[None].float() / 255,
        times=torch.tensor([1 / float(rate) for _, rate in entries]),
        response=table(root / "exposures/response.csv"),
        calibrated=table(root / "calibrate/debevec.csv"),
        merged=photograph(root / "merge/debevec.hdr", cv2.IMREAD_UNCHANGED),
        fused=photograph(root / "merge/mertens.png"),
    )


@pytest.fixture(scope="session")
def grandcanal():
    root = folder("ipol_exposure_fusion")
    stack = torch.stack([photograph(root / f"grandcanal_{name}.jpg") for name in ("under", "mean", "over")])[None]
    return SimpleNamespace(stack=stack.double() / 255, expected=photograph(root / "output_ef_expected.png").int())


@pytest.fixture(scope="session")
def house():
    """The authors' example: code/image_sequence and code/result.png of their repository, at its first commit."""
    root = folder("lee2018_house")
    stack = torch.stack([photograph(root / f"{name}.png") for name in "ABCD"])[None].double() / 255
    return SimpleNamespace(stack=stack, expected=photograph(root / "result.png").int())


@pytest.fixture(scope="session")
def camera():
    """Seven 8-bit exposures, two stops apart, of a static scene of five decades, by a camera with a gamma of 2.2."""
    generator = torch.Generator().manual_seed(3)
    radiance = 10 ** (5 * torch.rand(2, 3, 60, 80, generator=generator, dtype=torch.float64) - 4)
    times = 4.0 ** torch.arange(-3, 4, dtype=torch.float64)
    exposures = (radiance[:, None] * times[:, None, None, None]).clamp(0, 1) ** (1 / 2.2)
    curve = (torch.linspace(0, 1, 256, dtype=torch.float64) ** 2.2).expand(3, -1)
    return SimpleNamespace(stack=(exposures * 255).round() / 255, times=times, radiance=radiance, curve=curve)


def random_stack(*shape, seed=0, dtype=torch.float64):
    """8-bit codes, ascending from exposure to exposure."""
    values = torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype).sort(1).values
    return (values * 255).round() / 255


@pytest.fixture(name="random_stack", scope="session")
def _random_stack():
    return random_stack


@pytest.fixture(scope="session")
def tonemapped():
    """OpenCV's plain tone mapping, in which its tests compare radiance maps."""

    def apply(image):
        return cv2.createTonemap().process(np.ascontiguousarray(image.permute(1, 2, 0), np.float32))

    return apply
