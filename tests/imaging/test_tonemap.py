"""Tone mapping: OpenCV itself, OpenCV's published pictures, the HDR Toolbox's own values, and laws."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from hdrbench.errors import HdrbenchError
from hdrbench.imaging.io import read_hdr, read_ldr
from hdrbench.imaging.tonemapping import local, opencv, presets, toolbox
from hdrbench.imaging.transfer import mu_law

NAMES = sorted(presets.PRESETS)
SCALE_FREE = [name for name in NAMES if name != "mu_law"]
GLOBAL = [name for name in NAMES if name != "photomatix_substitute"]
# Beyond saturation colours are cut, and the toolbox's quantiles cut both ends: strictly monotone only in between.
PLATEAUS = {"kim_kautz", "toolbox_reinhard", "toolbox_reinhard_0.18"}


def formula_image():
    """Six decades, all hues, one black pixel: (1, 3, 12, 16) float64, the same everywhere."""
    y, x = np.mgrid[:12, :16].astype(np.float64)
    light = 10.0 ** (3.0 * np.sin(0.9 * x + 0.3 * y) * np.cos(0.5 * y) - 0.5)
    image = np.stack([light * (1 + 0.5 * np.sin(x)), light, light * (1 + 0.4 * np.cos(y + x))])
    image[:, 0, 0] = 0
    return torch.from_numpy(image)[None]


def random_image(count=1, *, seed=0, size=(24, 30)):
    generator = torch.Generator().manual_seed(seed)
    return 10.0 ** (5 * torch.rand(count, 3, *size, generator=generator, dtype=torch.float64) - 5)


def stretched_image():
    """From exactly 0 (in one channel of a pixel) to exactly 1.

    OpenCV stretches in single precision, which can put the darkest sample below 0 and turn it to NaN; what comes after is
    stretched without it. Which samples these are differs between its versions. Here there is nothing to round.
    """
    image = random_image().float().flatten()
    image[image.argmin()], image[image.argmax()] = 0.0, 1.0
    return image.view(1, 3, 24, 30)


def by_opencv(create, image):
    """What a fresh object of OpenCV makes of an image in the order in which OpenCV reads files."""
    bgr = image[0].flip(0).permute(1, 2, 0).contiguous().float().numpy()
    return torch.from_numpy(create().process(bgr)).permute(2, 0, 1).flip(0)[None]


OPENCV = {
    "linear": (opencv.linear, ["gamma"], [(1.0,), (2.2,)]),
    "reinhard": (
        opencv.reinhard,
        ["gamma", "intensity", "light_adapt", "color_adapt"],
        [(2.2, 0.0, 0.5, 0.0), (1.5, 0.0, 0.0, 0.0), (2.2, 0.0, 1.0, 0.0), (1.0, -2.0, 0.3, 0.7), (1.8, 3.0, 0.8, 1.0)],
    ),
    "drago": (opencv.drago, ["gamma", "saturation", "bias"], [(2.2, 1.0, 0.85), (1.0, 0.6, 0.7), (1.4, 1.3, 0.95)]),
}


@pytest.mark.parametrize(
    ("name", "values"), [(name, values) for name, (_, _, cases) in OPENCV.items() for values in cases]
)
def test_equals_opencv(name, values):
    import cv2

    function, keys, _ = OPENCV[name]
    create = getattr(cv2, "createTonemap" if name == "linear" else f"createTonemap{name.capitalize()}")
    image = stretched_image()
    expected = by_opencv(lambda: create(*values), image)
    mapped = function(image, **dict(zip(keys, values, strict=True)))
    assert not expected.isnan().any()
    torch.testing.assert_close(mapped, expected, rtol=0, atol=2e-6)


def test_opencv_reinhard_objects_change_when_used_and_ours_do_not():
    """The defect that the module's documentation warns of; if OpenCV mends it, the warning goes."""
    import cv2

    image = stretched_image()
    used = cv2.createTonemapReinhard(2.2, 0.0, 0.5, 0.0)
    first, second = (by_opencv(lambda: used, image) for _ in range(2))
    assert (first - second).abs().max() > 0.01
    preset = presets.get("opencv_reinhard_2.2")
    assert torch.equal(preset(image), preset(image))


@pytest.mark.parametrize(
    ("name", "settings"), [("linear", {}), ("drago", {}), ("reinhard", {"light_adapt": 1.0, "color_adapt": 0.0})]
)
def test_opencv_published_pictures(name, settings):
    root = os.environ.get("HDRBENCH_DATA")
    folder = Path(root or "") / "opencv_memorial" / "tonemap"
    if not root or not folder.is_dir():
        pytest.skip("HDRBENCH_DATA has no opencv_memorial")
    image = torch.from_numpy(read_hdr(folder / "image.hdr")).permute(2, 0, 1)[None]
    mapped = getattr(opencv, name)(image, gamma=2.2, **settings)[0].permute(1, 2, 0)
    codes = np.rint(255 * mapped.double().numpy())
    published = np.rint(255 * read_ldr(folder / f"{name}.png").astype(np.float64))
    assert np.abs(codes - published).max() <= (0 if name == "linear" else 1)


# The HDR Toolbox (commit 5375d056) run on `formula_image` by GNU Octave 7.3: mean, and the pixels at PLACES.
PLACES = ((3, 5), (7, 9), (11, 15), (1, 12))
TOOLBOX = {
    "toolbox_reinhard": (
        0.4665406701909297,
        [
            [0.289898862988, 0.390060361614, 0.379572600561],
            [1.0, 0.970407422893, 0.779127930469],
            [0.077010330488, 0.067760230442, 0.075232361215],
            [0.027373125181, 0.031549139867, 0.036317748786],
        ],
    ),
    "toolbox_reinhard_0.18": (
        0.4677885578806408,
        [
            [0.291516295749, 0.392236625436, 0.381690350017],
            [1.0, 0.970702879665, 0.779365149],
            [0.077493668007, 0.068185511848, 0.075704539721],
            [0.027545349563, 0.031747638616, 0.036546250347],
        ],
    ),
    "kim_kautz": (
        0.3708136922748828,
        [
            [0.224577257168, 0.302169816184, 0.294045215119],
            [0.868045236885, 0.797180400096, 0.640046129785],
            [0.111225356067, 0.097865516358, 0.108657450382],
            [0.040879764072, 0.047116337134, 0.05423790642],
        ],
    ),
}


@pytest.mark.parametrize("name", TOOLBOX)
def test_equals_the_hdr_toolbox(name):
    mean, pixels = TOOLBOX[name]
    mapped = presets.get(name)(formula_image())[0]
    assert mapped.mean().item() == pytest.approx(mean, abs=1e-12)
    for (row, column), expected in zip(PLACES, pixels, strict=True):
        assert mapped[:, row, column].tolist() == pytest.approx(expected, abs=1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_range_shape_and_kind(name):
    for image in (formula_image(), random_image(2).float()):
        image = image / image.max()
        mapped = presets.get(name)(image)
        assert (mapped.shape, mapped.dtype) == (image.shape, image.dtype)
        assert mapped.min() >= 0
        assert mapped.max() <= 1
        assert mapped.max() > 0.5


@pytest.mark.parametrize("name", NAMES)
def test_images_of_a_batch_do_not_influence_each_other(name):
    batch = random_image(3) * torch.tensor([1.0, 0.1, 0.001], dtype=torch.float64).view(3, 1, 1, 1)
    preset, order = presets.get(name), [2, 0, 1]
    whole = preset(batch)
    torch.testing.assert_close(preset(batch[order]), whole[order], rtol=0, atol=0)
    torch.testing.assert_close(torch.cat([preset(image[None]) for image in batch]), whole, rtol=0, atol=1e-15)


@pytest.mark.parametrize("name", SCALE_FREE)
def test_scale_of_the_radiance_does_not_matter(name):
    """The toolbox's logarithms have an absolute offset of 1e-6, so there the scale is between large numbers."""
    image, preset = 1e4 * random_image(), presets.get(name)
    torch.testing.assert_close(preset(100 * image), preset(image), rtol=0, atol=1e-5)


def test_mu_law_depends_on_the_scale_and_is_refused_above_one():
    image = random_image() / random_image().max()
    torch.testing.assert_close(presets.mu_law(image), mu_law(image))
    torch.testing.assert_close(presets.mu_law_peak(7 * image), mu_law(image / image.max()))
    assert (presets.mu_law(image / 10) - presets.mu_law(image)).abs().max() > 0.1
    with pytest.raises(HdrbenchError, match="got up to 7; use 'mu_law_peak'"):
        presets.mu_law(torch.tensor([0.1, 7.0]).repeat(1, 3, 2, 1))


@pytest.mark.parametrize("name", NAMES)
def test_presets_say_what_they_take(name):
    """`peak` is what commands go by before there is an image."""
    preset, image = presets.get(name), 30.0 * random_image() / random_image().max()
    if preset.peak is None:
        assert preset(image).max() <= 1
        return
    assert preset(image / image.max() * preset.peak).max() == pytest.approx(1)
    with pytest.raises(HdrbenchError, match="expects radiance in"):
        preset(image / image.max() * preset.peak * 1.001)


@pytest.mark.parametrize("name", GLOBAL)
def test_brighter_grey_is_never_darker(name):
    ramp = torch.logspace(-4, 0, 2001, dtype=torch.float64).view(1, 1, 3, 667).expand(1, 3, 3, 667)
    mapped = presets.get(name)(ramp)[0]
    torch.testing.assert_close(mapped[0], mapped[1], rtol=0, atol=1e-12)
    steps = mapped[0].flatten().diff()
    assert (steps >= 0).all()
    strict = slice(30, -30) if name in PLATEAUS else slice(None)
    assert (steps[strict] > 0).all()


def test_kim_kautz_is_not_monotone_beyond_its_stated_range():
    ramp = torch.logspace(-6, 8, 3000, dtype=torch.float64).view(1, 1, 1, 3000).expand(1, 3, 1, 3000)
    assert (toolbox.kim_kautz(ramp).diff() < 0).any()


@pytest.mark.parametrize("name", NAMES)
def test_black_and_uniform_images(name):
    preset = presets.get(name)
    assert torch.equal(preset(torch.zeros(2, 3, 5, 6)), torch.zeros(2, 3, 5, 6))
    uniform = preset(torch.full((1, 3, 5, 6), 0.25))
    assert torch.isfinite(uniform).all()
    assert uniform.max() - uniform.min() == 0
    if name.startswith(("opencv", "drago", "toolbox", "kim")):
        assert uniform.max() == 0


@pytest.mark.parametrize("name", NAMES)
def test_one_bright_pixel_shows_and_black_stays_black(name):
    image = torch.zeros(1, 3, 32, 40, dtype=torch.float64)
    image[..., 16, 20] = 1.0
    mapped = presets.get(name)(image)
    assert torch.isfinite(mapped).all()
    others = mapped.clone()
    others[..., 16, 20] = 0
    assert others.max() == 0
    if name == "kim_kautz":  # The 99 % quantile is the background's: nothing is left to stretch, as in the toolbox.
        assert mapped[..., 16, 20].max() == 0
    else:
        assert mapped[..., 16, 20].min() > 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.ones(3, 4, 4), r"shape \(N, 3, H, W\), got \(3, 4, 4\)"),
        (torch.ones(1, 1, 4, 4), "got .1, 1, 4, 4."),
        (torch.ones(1, 3, 0, 4), "got .1, 3, 0, 4."),
        (torch.ones(1, 3, 4, 4, dtype=torch.uint8), "floating-point radiance, got torch.uint8"),
        (torch.full((1, 3, 4, 4), -0.1), "finite radiance >= 0, got -0.1"),
        (torch.full((1, 3, 4, 4), torch.nan), "finite radiance"),
        (torch.full((1, 3, 4, 4), torch.inf), "finite radiance"),
    ],
)
def test_bad_input(name, image, message):
    with pytest.raises(ValueError, match=message):
        presets.get(name)(image)


def test_unknown_preset_and_the_declared_substitute():
    with pytest.raises(HdrbenchError, match="unknown tone mapping preset 'kim_kauz'; did you mean 'kim_kautz'"):
        presets.get("kim_kauz")
    substitutes = {name for name, preset in presets.PRESETS.items() if preset.substitute_for}
    assert substitutes == {"photomatix_substitute"}
    assert "Photomatix" in presets.get("photomatix_substitute").substitute_for


def test_guided_filter_keeps_constants_smooths_texture_and_keeps_edges():
    constant = torch.full((1, 1, 20, 30), 0.7, dtype=torch.float64)
    torch.testing.assert_close(local.guided_filter(constant, radius=4, epsilon=0.01), constant)
    edge = (torch.arange(60) >= 30).double().expand(1, 1, 40, 60)
    texture = 0.02 * (2 * torch.rand(1, 1, 40, 60, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1)
    smooth = local.guided_filter(edge + texture, radius=4, epsilon=0.01)
    assert smooth[..., 10:20].std() < 0.3 * texture.std()
    assert (smooth[..., 30] - smooth[..., 29]).min() > 0.9


def test_guided_filter_equals_its_definition():
    """Two windows written out pixel by pixel."""
    image, radius, epsilon = random_image(size=(7, 9))[:, :1], 2, 0.01

    def window(values, row, column):
        rows, columns = (slice(max(at - radius, 0), at + radius + 1) for at in (row, column))
        return values[0, 0, rows, columns]

    slope, offset = torch.zeros_like(image), torch.zeros_like(image)
    for row in range(7):
        for column in range(9):
            part = window(image, row, column)
            variance = part.var(correction=0)
            slope[0, 0, row, column] = variance / (variance + epsilon)
            offset[0, 0, row, column] = part.mean() * epsilon / (variance + epsilon)
    smooth = local.guided_filter(image, radius=radius, epsilon=epsilon)
    for row, column in ((0, 0), (3, 4), (6, 8)):
        expected = window(slope, row, column).mean() * image[0, 0, row, column] + window(offset, row, column).mean()
        assert smooth[0, 0, row, column].item() == pytest.approx(expected.item(), abs=1e-12)


def test_base_detail_compresses_large_scale_contrast_to_the_stated_one_and_never_expands():
    columns = torch.logspace(-5, 0, 200, dtype=torch.float64).expand(1, 3, 150, 200)
    mapped = local.base_detail(columns, contrast=50.0, gamma=1.0)
    assert mapped.max() / mapped.min() == pytest.approx(50, rel=0.3)
    flat = torch.linspace(0.5, 1, 200, dtype=torch.float64).expand(1, 3, 150, 200)
    torch.testing.assert_close(local.base_detail(flat, gamma=1.0), flat, rtol=0.02, atol=0)
