"""Where weights are looked for, and what is said when they are not there."""

import pytest
import torch

from hdrbench import metrics
from hdrbench.errors import HdrbenchError, WeightsMissingError
from hdrbench.metrics import weights


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Three empty places: the user's folder, the cache of torch.hub, and the data."""
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setattr(weights, "find_spec", lambda name: name)
    monkeypatch.setenv("HDRBENCH_WEIGHTS", str(tmp_path / "own"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HDRBENCH_DATA", str(tmp_path / "data"))
    return tmp_path


def put(place, file):
    path = place / file.folder.removeprefix("data/") / file.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


@pytest.mark.parametrize("file", weights.FILES, ids=lambda f: f"{f.folder}/{f.name}")
def test_every_file_is_found_in_each_of_its_places_first_to_last(folders, file):
    assert weights.find(file) is None
    places = ["data"] if file.folder.startswith("data/") else ["torch/hub", "own"]
    for place in places:  # each later one goes before the one already there
        path = put(folders / place, file)
        assert weights.find(file) == path
    assert file.metrics


def test_the_cache_follows_xdg(folders, monkeypatch):
    monkeypatch.delenv("TORCH_HOME")
    monkeypatch.delenv("HDRBENCH_WEIGHTS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folders / "cache"))
    path = put(folders / "cache" / "torch" / "hub", weights.CLIP_RN50)
    assert weights.find(weights.CLIP_RN50) == path


@pytest.mark.parametrize("metric", weights.NEEDS)
def test_what_is_missing_is_said_in_one_line_until_it_is_there(folders, metric):
    assert metric in metrics.METRICS
    for choice in weights.NEEDS[metric]:
        with pytest.raises(WeightsMissingError) as caught:
            weights.require(metric)
        text = str(caught.value)
        assert "\n" not in text
        assert weights.unavailable(metric) in text
        for file in choice:
            assert file.name in text
            assert file.source in text
            assert all(str(folder) in text for folder in weights.folders(file))
        put(folders / ("data" if choice[0].folder.startswith("data/") else "own"), choice[0])
    assert weights.unavailable(metric) is None
    assert [path.name for path in weights.require(metric)] == [choice[0].name for choice in weights.NEEDS[metric]]


@pytest.mark.parametrize("metric", ["niqe", "brisque"])
def test_either_parameters_will_do_and_the_authors_go_first(folders, metric):
    (authors, other), *_ = weights.NEEDS[metric]
    path = put(folders / "torch" / "hub", other)
    assert weights.require(metric) == (path,)
    path = put(folders / "data", authors)
    assert weights.require(metric) == (path,)


def test_without_the_variable_the_place_below_it_is_named(folders, monkeypatch):
    monkeypatch.delenv("HDRBENCH_DATA")
    assert "HDRBENCH_DATA is not set" in weights.unavailable("niqe")


def test_without_pyiqa_the_extra_and_its_licence_are_named(folders, monkeypatch):
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    put(folders / "own", weights.MUSIQ_KONIQ)
    assert weights.missing("musiq") == [weights.PYIQA_ABSENT]
    with pytest.raises(HdrbenchError, match=r"hdrbench\[iqa\].*Noncommercial") as caught:
        weights.require("musiq")
    assert not isinstance(caught.value, WeightsMissingError)


def test_unknown_metric():
    with pytest.raises(HdrbenchError, match="did you mean 'lpips_vgg'"):
        weights.missing("lpips-vgg")


def test_downloads_are_off_until_they_are_allowed(monkeypatch):
    assert not weights.downloads_allowed()
    monkeypatch.setattr(weights, "_downloads_allowed", False)  # put back afterwards
    weights.allow_download()
    assert weights.downloads_allowed()
    weights.allow_download(False)
    assert not weights.downloads_allowed()


def test_torchvision_names_the_same_backbones():
    from torchvision.models import AlexNet_Weights, VGG16_Weights

    pairs = ((weights.ALEXNET, AlexNet_Weights.IMAGENET1K_V1), (weights.VGG16, VGG16_Weights.IMAGENET1K_V1))
    for file, theirs in pairs:
        assert theirs.url.endswith(f"/{file.name}")
        assert file.size == pytest.approx(theirs.meta["_file_size"] * 2**20, rel=1e-5)


def test_pyiqa_names_the_same_files():
    pytest.importorskip("pyiqa", reason="the iqa extra is not installed")
    from pyiqa.archs import brisque_arch, clip_model, lpips_arch, musiq_arch, niqe_arch

    pairs = (
        (weights.LPIPS_ALEX, lpips_arch.default_model_urls["0.1_alex"]),
        (weights.LPIPS_VGG, lpips_arch.default_model_urls["0.1_vgg"]),
        (weights.MUSIQ_KONIQ, musiq_arch.default_model_urls["koniq10k"]),
        (weights.NIQE_PYIQA, niqe_arch.default_model_urls["niqe"]),
        (weights.BRISQUE_PYIQA, brisque_arch.default_model_urls["url"]),
        (weights.CLIP_RN50, clip_model._MODELS["RN50"]),
    )
    for file, address in pairs:
        assert address.endswith(f"/{file.name}")
