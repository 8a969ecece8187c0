"""Metrics that pyiqa computes. Its weights cannot be had in tests, so files of random numbers stand in for them."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.error import URLError

import cv2
import numpy as np
import pytest
import scipy.io
import torch
import torchvision

from hdrbench.errors import HdrbenchError, WeightsMissingError
from hdrbench.metrics import learned, weights

pyiqa = pytest.importorskip("pyiqa", reason="the iqa extra is not installed")

NETS = {"alex": (torchvision.models.alexnet, (1, 4, 7, 9, 11)), "vgg": (torchvision.models.vgg16, (3, 8, 15, 22, 29))}
CHANNELS = {"alex": (64, 192, 384, 256, 256), "vgg": (64, 128, 256, 512, 512)}
NO_REFERENCE = ("musiq", "clipiqa", "niqe", "brisque")
EVERY = ("lpips", "lpips_vgg", *NO_REFERENCE)
DATA = os.environ.get("HDRBENCH_DATA", "")
AUTHORS = weights.find(weights.NIQE_AUTHORS), weights.find(weights.BRISQUE_AUTHORS)


def compute(metric, image):
    if metric.startswith("lpips"):
        return learned.lpips(image, image.flip(-1), net="vgg" if metric == "lpips_vgg" else "alex")
    return getattr(learned, metric)(image)


def forget():
    learned._network.cache_clear()
    learned._brisque_model.cache_clear()


def save_lpips(folder, dice, net, backbone, heads):
    """Random convolutions; the dense layers, which LPIPS does not use, take no room on the disk."""
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in NETS[net][0]().state_dict().items()}
    state = {
        name: torch.randn(shape, generator=dice) / shape[1:].numel() ** 0.5
        if len(shape) == 4
        else torch.zeros(1).expand(shape)
        for name, shape in shapes.items()
    }
    torch.save(state, folder / "checkpoints" / backbone.name)
    lins = {f"lin{i}.model.1.weight": torch.rand(1, c, 1, 1, generator=dice) for i, c in enumerate(CHANNELS[net])}
    # The published heads are in the format of 2018.
    torch.save(lins, folder / "pyiqa" / heads.name, _use_new_zipfile_serialization=False)


def save_clip(path):
    """A small CLIP with a residual network, as a scripted archive like the published one."""
    from pyiqa.archs.clip_model import CLIP

    model = CLIP(64, 64, (1, 1, 1, 1), 8, None, 77, 49408, 64, 1, 1)

    class Holder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for name, child in model.named_children():
                setattr(self, name, child)
            for name, parameter in model.named_parameters(recurse=False):
                self.register_parameter(name, parameter)

        def forward(self, x):
            return x

    torch.jit.trace(Holder(), torch.zeros(1)).save(str(path))


def save_libsvm(path, dice):
    vectors, coefficients = torch.rand(9, 36, generator=dice) * 2 - 1, torch.randn(9, generator=dice) * 100
    vectors[:, 7] = 0.0  # libsvm leaves zeros out
    rows = [
        f"{c:.6g} " + " ".join(f"{i + 1}:{v:.6g}" for i, v in enumerate(row) if v != 0)
        for c, row in zip(coefficients.tolist(), vectors.tolist(), strict=True)
    ]
    header = "svm_type epsilon_svr\nkernel_type rbf\ngamma 0.05\nnr_class 2\ntotal_sv 9\nrho -153.591\nprobA 5.7\nSV\n"
    path.write_text(header + "\n".join(rows) + "\n")


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A folder of torch.hub with stand-ins for every file, and data with parameters of the same form as the authors'."""
    folder = tmp_path_factory.mktemp("hub")
    for name in ("pyiqa", "checkpoints", "clip", "live_niqe_brisque"):
        (folder / name).mkdir()
    dice = torch.Generator().manual_seed(3)
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        torch.manual_seed(3)
        patch.setenv("HDRBENCH_WEIGHTS", str(folder))
        patch.setenv("HDRBENCH_DATA", str(folder))
        save_lpips(folder, dice, "alex", weights.ALEXNET, weights.LPIPS_ALEX)
        save_lpips(folder, dice, "vgg", weights.VGG16, weights.LPIPS_VGG)
        from pyiqa.archs.musiq_arch import MUSIQ

        torch.save(MUSIQ(pretrained=False).state_dict(), folder / "pyiqa" / weights.MUSIQ_KONIQ.name)
        with learned._pkg_resources():
            save_clip(folder / "clip" / weights.CLIP_RN50.name)
        niqe = {"mu_prisparam": np.ones((1, 36)), "cov_prisparam": np.eye(36)}
        scipy.io.savemat(folder / "live_niqe_brisque" / weights.NIQE_AUTHORS.name, niqe)
        save_libsvm(folder / "live_niqe_brisque" / weights.BRISQUE_AUTHORS.name, dice)
        forget()
        yield folder
    forget()
    shutil.rmtree(folder)


@pytest.fixture
def nothing(tmp_path, monkeypatch):
    """Places without any file."""
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    for variable in ("HDRBENCH_WEIGHTS", "HDRBENCH_DATA", "TORCH_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    forget()
    yield tmp_path
    forget()


@pytest.fixture(scope="module")
def images():
    coarse = torch.rand(3, 3, 24, 26, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, size=(96, 208), mode="bicubic").clamp(0, 1)


@pytest.mark.parametrize("metric", EVERY)
class TestEveryMetric:
    @pytest.fixture
    def images(self, images, metric):
        """No larger than the metric needs."""
        return images if metric == "niqe" else images[..., :40, :40]

    def test_one_value_per_image_whatever_its_neighbours(self, hub, images, metric, capsys):
        together = compute(metric, images)
        assert together.shape == (3,)
        assert together.dtype == torch.float64
        assert together.unique().numel() == 3
        order = torch.tensor([2, 0, 1])
        assert torch.equal(compute(metric, images[order]), together[order])
        assert torch.equal(compute(metric, images[1:2].double()), together[1:2])
        assert capsys.readouterr().out == ""

    def test_values_outside_the_range_are_refused(self, metric, images):
        for wrong in (images * 1.1, images - 0.1):
            with pytest.raises(ValueError, match="tone-map it"):
                compute(metric, wrong)

    def test_other_bad_input_is_refused(self, metric, images):
        broken = images.clone()
        broken[0, 0, 0, 0] = float("nan")
        for wrong, message in (
            (broken, "1 values that are NaN"),
            (images[:, :1], r"\(N, 3, H, W\)"),
            (images[0], r"\(N, .*, H, W\)"),
            (images[:0], "N > 0|with pixels"),
            (images.round().byte(), "floating-point"),
            (images[..., :13, :13], "at least"),
        ):
            with pytest.raises(ValueError, match=message):
                compute(metric, wrong)

    def test_missing_files_never_reach_pyiqa(self, metric, images, nothing, monkeypatch):
        monkeypatch.setattr(pyiqa, "create_metric", lambda *args, **kwargs: pytest.fail("pyiqa was asked"))
        with pytest.raises(WeightsMissingError, match=weights.NEEDS[metric][0][-1].name) as caught:
            compute(metric, images)
        assert "\n" not in str(caught.value)
        assert str(nothing) in str(caught.value)

    def test_a_download_is_tried_only_if_allowed_and_may_fail(self, metric, images, nothing, monkeypatch):
        asked = []

        def offline(name, **options):
            asked.append(name)
            raise URLError("no network")

        monkeypatch.setattr(pyiqa, "create_metric", offline)
        monkeypatch.setattr(weights, "_downloads_allowed", True)
        with pytest.raises(WeightsMissingError, match=r"download failed.*no network.*expected in"):
            compute(metric, images)
        assert asked == [metric.replace("_", "-")]

    def test_without_pyiqa_the_extra_is_named(self, metric, images, nothing, monkeypatch):
        monkeypatch.setattr(weights, "find_spec", lambda name: None)
        monkeypatch.setattr(weights, "_downloads_allowed", True)
        with pytest.raises(HdrbenchError, match=r"hdrbench\[iqa\]"):
            compute(metric, images)

    def test_damaged_files_are_named(self, hub, metric, images, nothing, monkeypatch):
        for choice in weights.NEEDS[metric]:
            folder = choice[0].folder.removeprefix("data/")
            (nothing / folder).mkdir(exist_ok=True)
            (nothing / folder / choice[0].name).write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
        with pytest.raises(HdrbenchError, match="get them again") as caught:
            compute(metric, images)
        assert weights.NEEDS[metric][0][0].name in str(caught.value)
        assert not isinstance(caught.value, WeightsMissingError)


@pytest.mark.parametrize("net", NETS)
class TestLpips:
    @pytest.fixture
    def images(self, images):
        return images[..., :40, :48]

    def test_identical_images_score_zero_and_the_order_does_not_matter(self, hub, images, net):
        assert torch.equal(learned.lpips(images, images, net=net), torch.zeros(3, dtype=torch.float64))
        there, back = learned.lpips(images, images.flip(0), net=net), learned.lpips(images.flip(0), images, net=net)
        torch.testing.assert_close(there, back, rtol=1e-6, atol=0)
        assert there[0] > 0

    def test_same_as_its_equation(self, hub, images, net):
        """The distance of Zhang et al. 2018, equation 1, written out over torchvision's network."""
        build, taps = NETS[net]
        backbone, heads = (weights.ALEXNET, weights.LPIPS_ALEX) if net == "alex" else (weights.VGG16, weights.LPIPS_VGG)
        with torch.device("meta"):
            model = build().features
        state = torch.load(hub / "checkpoints" / backbone.name)
        model.load_state_dict(
            {k.removeprefix("features."): v for k, v in state.items() if "features." in k}, assign=True
        )
        model.double().requires_grad_(False)
        lins = torch.load(hub / "pyiqa" / heads.name)
        shift, scale = (
            torch.tensor(v).view(1, 3, 1, 1).double() for v in ((-0.03, -0.088, -0.188), (0.458, 0.448, 0.45))
        )
        pair = [(2 * x.double() - 1 - shift) / scale for x in (images, images.flip(0))]
        total = torch.zeros(3, dtype=torch.float64)
        for number, layer in enumerate(model[: taps[-1] + 1]):
            pair = [layer(x) for x in pair]
            if number in taps:
                a, b = (x / x.norm(dim=1, keepdim=True).clamp_min(1e-10) for x in pair)
                total += ((a - b) ** 2 * lins[f"lin{taps.index(number)}.model.1.weight"].double()).sum(1).mean((1, 2))
        torch.testing.assert_close(learned.lpips(images, images.flip(0), net=net), total, rtol=2e-5, atol=0)

    def test_the_gradient_is_that_of_finite_differences(self, hub, images, net):
        ref, pred = images[:1].double(), images[1:2].double().requires_grad_()
        (slope,) = torch.autograd.grad(learned.lpips(pred, ref, net=net).sum(), pred)
        step = 2e-3 * slope / slope.norm()
        ends = [learned.lpips((pred.detach() + s * step).clamp(0, 1), ref, net=net) for s in (1, -1)]
        moved = (pred.detach() + step).clamp(0, 1) - (pred.detach() - step).clamp(0, 1)
        assert (ends[0] - ends[1]).item() == pytest.approx((slope * moved).sum().item(), rel=0.05)

    def test_smallest_images(self, hub, images, net):
        side = 31 if net == "alex" else 16
        small = images[..., :side, :side]
        assert torch.isfinite(learned.lpips(small, small.flip(0), net=net)).all()
        with pytest.raises(ValueError, match=f"at least {side}x{side}"):
            learned.lpips(small[..., 1:], small[..., 1:], net=net)

    def test_heads_that_would_stay_random_are_refused(self, hub, images, net, nothing):
        for choice in weights.NEEDS["lpips" if net == "alex" else "lpips_vgg"]:
            (nothing / choice[0].folder).mkdir()
            shutil.copy(hub / choice[0].folder / choice[0].name, nothing / choice[0].folder)
        heads = nothing / "pyiqa" / (weights.LPIPS_ALEX if net == "alex" else weights.LPIPS_VGG).name
        torch.save({f"lin{i}.weight": torch.ones(1) for i in range(5)}, heads)
        with pytest.raises(HdrbenchError, match=r"has no lin0\.model\.1\.weight"):
            learned.lpips(images, images, net=net)


def test_lpips_knows_two_nets_and_wants_equal_shapes(images):
    with pytest.raises(ValueError, match="'alex' or 'vgg', got 'squeeze'"):
        learned.lpips(images, images, net="squeeze")
    with pytest.raises(ValueError, match="one shape"):
        learned.lpips(images, images[:2])


def test_clipiqa_is_a_probability(hub, images):
    scores = learned.clipiqa(images[..., :40, :40])
    assert ((scores > 0) & (scores < 1)).all()


@pytest.mark.parametrize("metric", ["niqe", "brisque"])
class TestStatistics:
    def test_images_without_texture_are_refused(self, hub, images, metric):
        for level in (0.0, 0.5, 1.0):
            with pytest.raises(ValueError, match=r"images \[1\] of the batch have one grey level"):
                compute(metric, torch.stack([images[0], torch.full_like(images[0], level)]))
        board = (torch.arange(96)[:, None] + torch.arange(208)) % 2  # flat at the half scale
        with pytest.raises(ValueError, match="image 0 of the batch; is it almost flat"):
            compute(metric, board.float().expand(1, 3, 96, 208))

    def test_partly_black_and_saturated_images_have_a_score(self, hub, images, metric):
        part = images.clone()
        part[..., :60] = 0.0
        part[..., 150:] = 1.0
        assert torch.isfinite(compute(metric, part)).all()

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
    def test_the_device_does_not_matter(self, hub, images, metric):
        there = compute(metric, images.cuda())
        assert there.device.type == "cuda"
        assert torch.equal(there.cpu(), compute(metric, images))


def test_niqe_needs_two_blocks(images):
    for size in ((96, 191), (191, 191)):
        with pytest.raises(ValueError, match="two blocks"):
            learned.niqe(torch.zeros(1, 3, *size))


def test_luma_is_the_nearest_whole_number(images):
    codes = (images * 255).round()
    luma = learned._luma("niqe", codes / 255)
    exact = (codes.double() * torch.tensor([0.299, 0.587, 0.114]).double().view(1, 3, 1, 1)).sum(1, keepdim=True)
    assert torch.equal(luma, luma.round())
    assert (luma - exact).abs().max() < 0.5 + 1e-4
    greys = torch.arange(256.0).view(1, 1, 1, 256).expand(1, 3, 1, 256)
    assert torch.equal(learned._luma("niqe", greys / 255)[0, 0, 0], torch.arange(256.0).double())


def test_brisque_is_pyiqas_and_its_two_files_agree(hub, images, nothing, monkeypatch):
    monkeypatch.setenv("HDRBENCH_DATA", str(hub))
    model = learned._brisque_model(hub / "live_niqe_brisque" / weights.BRISQUE_AUTHORS.name)
    assert (model.vectors[:, 7] == 0).all()
    scores, saved = learned.brisque(images), io.BytesIO()
    torch.save((model.coefficients, model.vectors), saved)
    saved.seek(0)
    theirs = pyiqa.create_metric("brisque", device="cpu", pretrained_model_path=saved)(images)
    torch.testing.assert_close(scores, theirs.double(), rtol=1e-4, atol=1e-2)
    (nothing / "pyiqa").mkdir()
    (nothing / "pyiqa" / weights.BRISQUE_PYIQA.name).write_bytes(saved.getvalue())
    monkeypatch.setenv("HDRBENCH_DATA", str(nothing))
    assert torch.equal(learned.brisque(images), scores)


@pytest.mark.skipif(None in AUTHORS, reason="HDRBENCH_DATA has no live_niqe_brisque")
@pytest.mark.parametrize(
    ("name", "niqe", "brisque"),
    [
        ("I03", 15.6532, 94.6454),
        ("I04", 3.6549, -0.1077),
        ("I06", 3.2342, 1.0774),
        ("I08", 3.1922, 5.1418),
        ("I19", 9.0727, 66.8386),
    ],
)
def test_calibration_images_score_as_pyiqa_publishes(name, niqe, brisque, nothing, monkeypatch):
    monkeypatch.setenv("HDRBENCH_DATA", DATA)
    path = Path(pyiqa.__file__).parents[1] / "ResultsCalibra" / "dist_dir" / f"{name}.bmp"
    image = torch.from_numpy(cv2.imread(str(path))[..., ::-1].copy()).permute(2, 0, 1)[None] / 255
    assert learned.niqe(image).item() == pytest.approx(niqe, abs=2e-3)
    assert learned.brisque(image).item() == pytest.approx(brisque, abs=2e-3)


def test_importing_the_metrics_leaves_pyiqa_alone():
    code = "import sys, hdrbench.metrics.learned; print('pyiqa' in sys.modules, 'torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False False"
