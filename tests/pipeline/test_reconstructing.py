"""From one photograph on disk to an HDR image, through generated exposures."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from hdrbench import methods
from hdrbench.cli import app
from hdrbench.errors import HdrbenchError, ImageError, WeightsMissingError
from hdrbench.imaging.io import read_hdr, read_ldr, write_ldr
from hdrbench.imaging.merging.generated import MERGES, merge_stack
from hdrbench.imaging.stack import ExposureList
from hdrbench.pipeline import checkpoint, photos
from hdrbench.pipeline.reconstructing import reconstruct_photo

SMALL = {
    "cevr": {"width_divisor": 32, "initialisation": "near_identity"},
    "multi_exposure_generation": {"width_divisor": 16, "levels": 3},
    "usme_hdr": {"width": 4, "initialisation": "he"},
}
SIZE = (37, 51)


def scene(height=37, width=51):
    """Rectangles over rectangles, radiance in [0.0025, 2]."""
    generator = np.random.default_rng(5)
    image = np.full((height, width, 3), 0.9, np.float32)
    for _ in range(400):
        y, x = generator.integers(0, height), generator.integers(0, width)
        h, w = generator.integers(4, 20, 2)
        image[y : y + h, x : x + w] = 2.0 * 10.0 ** (-2.9 * generator.random(3))
    return image


def photograph(path, size=SIZE, bits=8):
    """One frame of a gamma camera, with an odd size and saturated pixels."""
    write_ldr(path, np.clip(scene(*size), 0, 1) ** (1 / 2.2), bits=bits)
    return path


def trained(path, name):
    """A checkpoint as training writes it, of random weights."""
    torch.manual_seed(0)
    network = methods.build(name, SMALL.get(name, {}))
    checkpoint.write(
        path, checkpoint.pack(network, None), {"identity": {"method": name, "options": SMALL.get(name, {})}}
    )
    return path


def network_of(weights, name):
    network = methods.build(name, SMALL.get(name, {})).eval()
    checkpoint.unpack(checkpoint.read(weights)[0], network, None)
    return network


def to_tensor(image):
    return torch.from_numpy(image).permute(2, 0, 1)[None]


def stack_of(made):
    return torch.stack([to_tensor(read_ldr(path)) for path in made.exposures.values()], 1)


@pytest.mark.parametrize(("how", "spread"), [("debevec", 0.06), ("opencv_debevec", 0.1), ("robertson", 0.15)])
def test_the_naive_baseline_gives_the_radiance_of_a_gamma_camera_back(tmp_path, how, spread):
    """Nobody tells the merge that gamma is 2.2; OpenCV's and Robertson's responses are rougher."""
    photo = photograph(tmp_path / "in.png", (101, 121))
    made = reconstruct_photo(photo, tmp_path / "out.exr", method="gamma_linear", merge=how)
    code, hdr = read_ldr(photo), read_hdr(made.out)
    truth = code**2.2
    middle = (code < 1) & (code > 0.1)
    ratio = hdr[middle] / truth[middle]
    assert np.median(ratio) == pytest.approx(1, abs=0.02)
    np.testing.assert_allclose(np.quantile(ratio, (0.05, 0.95)), 1, atol=spread)
    assert (made.lowest, made.highest) == (hdr.min(), hdr.max())
    assert made.exposures == {}
    assert made.notes == ()


@pytest.mark.parametrize("name", ["cevr", "multi_exposure_generation"])
def test_a_method_that_exposes_merges_what_it_writes(tmp_path, name):
    photo, weights = photograph(tmp_path / "in.png"), trained(tmp_path / "run.safetensors", name)
    made = reconstruct_photo(
        photo, tmp_path / "out.exr", method=name, weights=weights, evs="-1,0,0.5,2", stack=tmp_path / "stack"
    )
    names = ["ev-1.png", "ev+0.png", "ev+0.5.png", "ev+2.png"]
    assert [path.name for path in made.exposures.values()] == names
    assert sorted(path.name for path in (tmp_path / "stack").iterdir()) == sorted([*names, "stops.txt"])
    stack, evs = stack_of(made), tuple(made.exposures)
    assert evs == (-1, 0, 0.5, 2)
    assert stack.shape[-2:] == SIZE
    np.testing.assert_array_equal(read_ldr(made.exposures[0]), read_ldr(photo))
    with torch.inference_mode():
        exposed = methods.get(name).expose(network_of(weights, name), to_tensor(read_ldr(photo)), evs)
    torch.testing.assert_close(stack, exposed, rtol=0, atol=0.51 / 255)
    expected = merge_stack(stack, evs, "debevec")[0].permute(1, 2, 0)
    np.testing.assert_allclose(read_hdr(made.out), expected, rtol=1e-5)


def test_three_generated_exposures_are_fused_by_the_method(tmp_path):
    photo, weights = photograph(tmp_path / "in.png"), trained(tmp_path / "run.safetensors", "usme_hdr")
    made = reconstruct_photo(
        photo, tmp_path / "out.exr", method="usme_hdr", weights=weights, evs="-3,0,2", stack=tmp_path / "stack"
    )
    with torch.inference_mode():
        expected = methods.get("usme_hdr").reconstruct(
            network_of(weights, "usme_hdr"), to_tensor(read_ldr(photo)), torch.tensor([[1.0, 8.0, 32.0]])
        )
    # The method's 1 is the saturation of the shortest exposure, three stops above that of the photograph.
    np.testing.assert_allclose(read_hdr(made.out), 8 * expected.hdr[0].permute(1, 2, 0), rtol=1e-5, atol=1e-6)
    assert list(made.exposures) == [-3, 0, 2]
    exposures = torch.stack([expected.exposures["low"], to_tensor(read_ldr(photo)), expected.exposures["high"]], 1)
    torch.testing.assert_close(stack_of(made), exposures, rtol=0, atol=0.51 / 255)
    default = reconstruct_photo(photo, tmp_path / "two.exr", method="usme_hdr", weights=weights, stack=tmp_path / "two")
    assert list(default.exposures) == [-2, 0, 2]


@pytest.mark.parametrize("how", sorted(MERGES))
def test_a_written_stack_can_be_merged(tmp_path, how):
    """To the same but for the unit, which is then the saturation of the shortest exposure."""
    photo, folder = photograph(tmp_path / "in.png"), tmp_path / "stack"
    made = reconstruct_photo(photo, tmp_path / "out.exr", method="gamma_linear", merge=how, stack=folder)
    assert list(made.exposures) == [-3, -2.5, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5, 3]
    listed = ExposureList(made.listed, "stops")
    merged = photos.merge_photos([folder], tmp_path / "merged.exr", method=how, listed=listed)
    np.testing.assert_allclose(8 * read_hdr(merged.out), read_hdr(made.out), rtol=1e-3)


def test_steps_that_are_no_power_of_two_meet_the_photograph(tmp_path):
    photo = photograph(tmp_path / "in.png")
    made = reconstruct_photo(
        photo, tmp_path / "out.hdr", method="gamma_linear", evs="-0.3:0.3:0.1", stack=tmp_path / "s"
    )
    assert [path.stem for path in made.exposures.values()] == [
        *("ev-0.3", "ev-0.2", "ev-0.1", "ev+0"),
        *("ev+0.1", "ev+0.2", "ev+0.3"),
    ]
    np.testing.assert_array_equal(read_ldr(made.exposures[0.0]), read_ldr(photo))


def test_a_method_without_exposures_says_whose_scale_it_has(tmp_path):
    photo, weights = photograph(tmp_path / "in.png"), trained(tmp_path / "run.safetensors", "expandnet")
    made = reconstruct_photo(photo, tmp_path / "out.exr", method="expandnet", weights=weights)
    assert made.notes == (
        "'expandnet' generates no exposures, and learned its scale in training: its 1 is taken for EV -2",
    )
    assert 1 < made.highest <= 4
    with pytest.raises(HdrbenchError, match="'expandnet' generates no exposures; leave --stack out"):
        reconstruct_photo(photo, tmp_path / "x.exr", method="expandnet", weights=weights, stack=tmp_path / "stack")
    assert not (tmp_path / "x.exr").exists()


def test_what_is_done_to_a_photograph_is_told(tmp_path):
    deep = photograph(tmp_path / "deep.png", bits=16)
    made = reconstruct_photo(deep, tmp_path / "out.exr", method="gamma_linear")
    assert made.notes == ("the photograph's 16 bit were rounded to 8, as those of the other exposures are",)
    write_ldr(tmp_path / "black.png", np.zeros((20, 20, 3)))
    (note,) = reconstruct_photo(tmp_path / "black.png", tmp_path / "out.exr", method="gamma_linear").notes
    assert "gamma 2.2 is taken as the response" in note


@pytest.mark.parametrize(("signs", "told"), [((-1, 1), []), ((-1, -1), ["+1"]), ((1, -1), ["+0, +1"])])
def test_exposures_that_get_darker_are_told(tmp_path, monkeypatch, signs, told):
    def expose(network, image, evs):
        return torch.stack([image + 0.05 * sign for sign in (signs[0], 0, signs[1])], 1).clamp(0.0, 1.0)

    made_up = methods.Method("made up", "Debevec1997", torch.nn.Identity, expose=expose)
    monkeypatch.setattr(methods, "get", lambda name: made_up)
    photo = photograph(tmp_path / "in.png")
    made = reconstruct_photo(photo, tmp_path / "out.exr", method="made_up", evs="-1,0,1")
    assert [note.split(";")[0] for note in made.notes] == [f"darker than the exposure before: EV {evs}" for evs in told]


def test_photographs_are_turned_upright(tmp_path):
    photo, folder = tmp_path / "in.jpg", tmp_path / "stack"
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = np.round(255 * np.clip(scene(40, 60), 0, 1) ** (1 / 2.2)).astype(np.uint8)
    Image.fromarray(picture).save(photo, exif=exif, quality=95)
    made = reconstruct_photo(photo, tmp_path / "out.exr", method="gamma_linear", stack=folder)
    assert read_hdr(made.out).shape == (60, 40, 3)
    np.testing.assert_array_equal(read_ldr(made.exposures[0]), np.rot90(read_ldr(photo), -1))


EARLY = {
    "method": ({"method": "cevrr"}, "unknown method 'cevrr'; did you mean 'cevr'"),
    "able": (
        {"method": "mertens"},
        "'mertens' does not reconstruct HDR from one photograph; those that do: cevr, .*gamma_linear, .*usme_hdr",
    ),
    "suffix": ({"out": "x.png"}, r"x\.png: method 'gamma_linear' writes \.hdr, \.pic, \.exr, got '\.png'"),
    "exposures": ({"evs": "3:-3:1"}, "exposure values '3:-3:1': expected two or more that ascend"),
    "far": ({"evs": "-20,0"}, "exposure values '-20,0': expected at most 100, from -12 to 12"),
    "many": ({"evs": "-3:3:0.01"}, "exposure values '-3:3:0.01': expected at most 100, from -12 to 12"),
    "merge": ({"merge": "debevek"}, "unknown way of merging 'debevek'; did you mean 'debevec'"),
    "merge of its own": ({"method": "usme_hdr", "merge": "debevec"}, "'usme_hdr' merges in its own way; leave --merge"),
    "photo": ({}, r"nowhere\.png: no such file"),
} | {
    f"usme {evs}": (
        {"method": "usme_hdr", "evs": evs},
        f"exposure values '{evs}': method 'usme_hdr' takes three with 0 in the middle, such as -2,0,2",
    )
    for evs in ("-3:3:0.5", "-2,2", "-2,1,3", "0,1,2", "-2,-1,0")
}


@pytest.mark.parametrize("case", EARLY)
def test_mistakes_are_named_before_anything_is_made(tmp_path, case):
    options, message = EARLY[case]
    options = {"method": "gamma_linear", "out": "x.exr", **options}
    with pytest.raises(HdrbenchError, match=message):
        reconstruct_photo(tmp_path / "nowhere.png", tmp_path / options.pop("out"), **options)
    assert list(tmp_path.iterdir()) == []


def test_photographs_that_do_not_serve(tmp_path):
    photo = photograph(tmp_path / "in.png")
    (tmp_path / "grey.png").write_bytes(_png(Image.new("L", (40, 40), 128)))
    (tmp_path / "cut.png").write_bytes(photo.read_bytes()[:200])
    write_ldr(tmp_path / "small.png", np.zeros((15, 40, 3)))
    (tmp_path / "map.exr").write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    for name, message in (
        ("grey.png", r"grey\.png: expected 3 channels \(RGB\), got 1"),
        ("cut.png", r"cut\.png: .*copy it again"),
        ("small.png", r"small\.png: is 40x15, expected at least 16x16"),
        ("map.exr", r"map\.exr: expected a file ending in \.png"),
        ("folder.png", r"folder\.png: is not a regular file; name one photograph"),
    ):
        with pytest.raises(ImageError, match=message):
            reconstruct_photo(tmp_path / name, tmp_path / "out.exr", method="gamma_linear")
    assert not (tmp_path / "out.exr").exists()


def _png(picture):
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def test_a_failure_leaves_no_folder_behind(tmp_path):
    with pytest.raises(WeightsMissingError):
        reconstruct_photo(
            photograph(tmp_path / "in.png"), tmp_path / "out.exr", method="cevr", stack=tmp_path / "stack"
        )
    assert not (tmp_path / "stack").exists()


def test_results_do_not_mix_with_other_files(tmp_path):
    photo = photograph(tmp_path / "in.png")
    before = photo.read_bytes()
    for out, stack, message in (
        ("none/out.exr", None, r"none/out\.exr: there is no folder .*none; make it first"),
        ("out.exr", ".", "has files already; name a new or empty folder for the exposures"),
        ("out.exr", "in.png", r"in\.png: is no folder; name a new or empty folder"),
    ):
        with pytest.raises(HdrbenchError, match=message):
            reconstruct_photo(photo, tmp_path / out, method="gamma_linear", stack=stack and tmp_path / stack)
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]
    assert photo.read_bytes() == before


@pytest.mark.parametrize("name", SMALL)
def test_weights_that_do_not_serve(tmp_path, name):
    photo = photograph(tmp_path / "in.png")
    other = trained(tmp_path / "other.safetensors", "gamma_linear")
    good = trained(tmp_path / "good.safetensors", name)
    tensors, facts = checkpoint.read(good)
    checkpoint.write(tmp_path / "less.safetensors", dict(list(tensors.items())[3:]), facts)
    (tmp_path / "cut.safetensors").write_bytes(good.read_bytes()[:-100])
    how = r"`dvc repro replications/.* trains it, then give --weights results/"
    for weights, kind, message in (
        (None, WeightsMissingError, f"method '{name}' has to be trained, and no weights are given; {how}"),
        (tmp_path / "none.safetensors", WeightsMissingError, rf"none\.safetensors: no such file; {how}"),
        (other, HdrbenchError, f"holds weights of method 'gamma_linear', expected '{name}'"),
        (tmp_path / "less.safetensors", HdrbenchError, f"does not fit method '{name}'"),
        (tmp_path / "cut.safetensors", HdrbenchError, r"cut\.safetensors: damaged, or no weights of a run"),
    ):
        with pytest.raises(kind, match=message):
            reconstruct_photo(photo, tmp_path / "out.exr", method=name, weights=weights)
    assert not (tmp_path / "out.exr").exists()
    reconstruct_photo(photo, tmp_path / "out.exr", method=name, weights=good)
    assert np.isfinite(read_hdr(tmp_path / "out.exr")).all()


def test_the_way_to_weights_names_a_replication_that_trains_the_method(tmp_path, monkeypatch):
    photo = photograph(tmp_path / "in.png")
    with pytest.raises(WeightsMissingError, match="`dvc repro replications/usme_hdr` trains it"):
        reconstruct_photo(photo, tmp_path / "out.exr", method="usme_hdr")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        WeightsMissingError, match="`dvc repro replications/<paper>`, of a paper with runs of it, trains"
    ):
        reconstruct_photo(photo, tmp_path / "out.exr", method="usme_hdr")


@pytest.mark.parametrize(("text", "message"), [("out of memory", "needs more memory than there is"), ("a bug", None)])
def test_only_a_lack_of_memory_is_the_users(tmp_path, monkeypatch, text, message):
    def fail(network, image, evs):
        raise RuntimeError(text)

    failing = methods.Method("failing", "Debevec1997", torch.nn.Identity, expose=fail)
    monkeypatch.setattr(methods, "get", lambda name: failing)
    photo = photograph(tmp_path / "in.png")
    with pytest.raises(HdrbenchError if message else RuntimeError, match=message or text):
        reconstruct_photo(photo, tmp_path / "out.exr", method="failing")


def test_the_command_takes_exposures_that_begin_with_a_minus(tmp_path):
    photo, out, folder = photograph(tmp_path / "in.png", bits=16), tmp_path / "out.exr", tmp_path / "stack"
    arguments = [photo, "-o", out, "-m", "gamma_linear", "--ev", "-2,0,2", "--merge", "robertson", "--stack", folder]
    done = CliRunner().invoke(app, ["reconstruct", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    hdr = read_hdr(out)
    assert done.output.splitlines() == [
        *(f"{folder}/ev{ev}.png: EV {ev}" for ev in ("-2", "+0", "+2")),
        f"{folder}/stops.txt",
        "note: the photograph's 16 bit were rounded to 8, as those of the other exposures are",
        f"radiance from {hdr.min():.3g} to {hdr.max():.3g}, where 1 is the saturation of the photograph",
        str(out),
    ]
