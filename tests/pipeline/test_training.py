import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from hdrbench import runs
from hdrbench.errors import HdrbenchError, WeightsMissingError
from hdrbench.pipeline import checkpoint
from hdrbench.pipeline.data import of_split, prepare_data
from hdrbench.pipeline.prepare import Prepared
from hdrbench.pipeline.sampling import CropSampler
from hdrbench.pipeline.train import train

FACTS = {
    "dataset": "tiny_a",
    "digest": "0" * 64,
    "code": "c",
    "task": "single_image",
    "preparation": {"flow": "dis"},
    "left_out": {},
}


def resolved(name="a/small"):
    return runs.resolve("demo", "embedded", name)


def sampler(batch_size, crop=32, seed=3, augment="none"):
    changes = {"batch_size": batch_size, "crop": crop, "augment": augment}
    return CropSampler(Prepared(FACTS, "train"), resolved().profile.training.model_copy(update=changes), seed)


def weights(path):
    return checkpoint.read(path)[0]


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def test_training_repeats_itself_and_logs(checkout):
    run = resolved()
    first = weights(train(run, FACTS, accelerator="cpu"))
    second = weights(train(run, FACTS, accelerator="cpu"))
    assert same(first, second)
    lines = run.log.read_text().splitlines()
    assert lines[0] == "iteration,learning_rate,sp,se,le,he,ea,p,total"
    assert [line.split(",")[0] for line in lines[1:]] == ["0", "10", "11"]
    assert [line.split(",")[1] for line in lines[1:]] == ["0.001", "0.0005", "0.0005"]


class KilledError(Exception):
    pass


def dying_at(moment):
    """Make a sampler's `batch` that raises at one iteration."""
    draw = CropSampler.batch

    def batch(self, iteration, *arguments):
        if iteration == moment:
            raise KilledError
        return draw(self, iteration, *arguments)

    return batch


@pytest.mark.parametrize("moment", [1, 3, 8])
def test_an_interrupted_run_ends_with_the_same_weights(checkout, monkeypatch, moment):
    run = resolved()
    whole = weights(train(run, FACTS, accelerator="cpu"))
    with monkeypatch.context() as patch:
        patch.setattr(CropSampler, "batch", dying_at(moment))
        with pytest.raises(KilledError):
            train(run, FACTS, accelerator="cpu")
    assert same(weights(train(run, FACTS, accelerator="cpu")), whole)
    assert [line.split(",")[0] for line in run.log.read_text().splitlines()[1:]] == ["0", "10", "11"]


def test_a_checkpoint_of_other_data_is_not_resumed(checkout, capsys, monkeypatch):
    run = resolved()
    with monkeypatch.context() as patch:
        patch.setattr(CropSampler, "batch", dying_at(4))
        with pytest.raises(KilledError):
            train(run, {**FACTS, "digest": "1" * 64}, accelerator="cpu")
    train(run, FACTS, accelerator="cpu")
    assert "belongs to another data; starting anew" in capsys.readouterr().out
    assert len(run.log.read_text().splitlines()) == 4


def test_methods_without_objective_get_empty_weights(checkout):
    tensors, facts = checkpoint.read(train(resolved("a/naive"), FACTS))
    assert tensors == {}
    assert facts["iterations"] == 0


def test_crops_are_a_function_of_seed_and_iteration(checkout):
    first, again = sampler(4), sampler(4)
    again.batch(0)
    assert torch.equal(first.batch(5)["middle"], again.batch(5)["middle"])
    assert not torch.equal(first.batch(5)["middle"], first.batch(6)["middle"])


def test_batches_made_ahead_are_the_same(checkout):
    drawn = list(sampler(2).batches(9))
    assert [(batch.iteration, batch.iterations) for batch in drawn] == [(9, 12), (10, 12), (11, 12)]
    assert all(torch.equal(batch["pseudo"], sampler(2).batch(batch.iteration)["pseudo"]) for batch in drawn)


def test_augmented_crops_are_turned_all_alike(checkout):
    plain, turned = sampler(16).batch(0), sampler(16, augment="dihedral").batch(0)
    symmetries = [
        lambda image, k=k, flip=flip: (
            torch.rot90(image, k, (-2, -1)).flip(-1) if flip else torch.rot90(image, k, (-2, -1))
        )
        for flip in (False, True)
        for k in range(4)
    ]
    used = set()
    for index in range(16):
        fits = [
            number
            for number, symmetry in enumerate(symmetries)
            if all(torch.equal(symmetry(plain[name][index]), turned[name][index]) for name in ("short", "pseudo"))
        ]
        assert len(fits) == 1
        used.update(fits)
    assert len(used) > 3


def test_crops_turned_by_any_angle_stay_in_range_and_match(checkout):
    plain, moved = sampler(16).batch(0), sampler(16, augment="affine").batch(0)
    mirrored = 0
    for index in range(16):
        flips = [plain["middle"][index].flip(axes) for axes in ([], [-1], [-2], [-1, -2])]
        mirrored += any(torch.equal(moved["middle"][index], image) for image in flips)
        for name in ("short", "middle", "pseudo"):
            assert moved[name][index].min() >= plain[name][index].min()
            assert moved[name][index].max() <= plain[name][index].max()
    assert 3 <= mirrored <= 13
    ratio = moved["times"][:, 1:2, None, None] / moved["times"][:, :1, None, None]
    exposed = (moved["short"] ** 2.2 * ratio).clamp(0, 1) ** (1 / 2.2)
    assert (exposed - moved["middle"]).abs().mean() < 0.03


def test_processes_share_a_batch(checkout):
    whole = sampler(4).batch(2)["pseudo"]
    halves = [sampler(4).batch(2, rank, 2)["pseudo"] for rank in (0, 1)]
    assert torch.equal(torch.stack(halves, 1).flatten(0, 1), whole)


def test_crops_of_all_images_of_a_scene_match(checkout):
    batch = sampler(8).batch(0)
    time_ratio = batch["times"][:, 1:2, None, None] / batch["times"][:, :1, None, None]
    exposed = (batch["short"] ** 2.2 * time_ratio).clamp(0, 1) ** (1 / 2.2)
    assert (exposed - batch["middle"]).abs().mean() < 0.02


def test_a_crop_larger_than_the_scene_is_refused(checkout):
    with pytest.raises(HdrbenchError, match="crop of 64 does not fit into a 48x40"):
        sampler(1, crop=64).batch(0)


def test_an_unknown_option_of_the_objective_is_one_line(checkout):
    run = resolved()
    run.objective["term"] = []
    with pytest.raises(HdrbenchError, match="unexpected keyword argument 'term'"):
        train(run, FACTS, accelerator="cpu")


def test_missing_and_truncated_weights(tmp_path):
    with pytest.raises(WeightsMissingError, match="train the run first"):
        checkpoint.read(tmp_path / "none.safetensors")
    checkpoint.write(tmp_path / "w.safetensors", {"network.x": torch.ones(100)}, {})
    data = (tmp_path / "w.safetensors").read_bytes()
    (tmp_path / "w.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(HdrbenchError, match="not a readable hdrbench checkpoint"):
        checkpoint.read(tmp_path / "w.safetensors")


def test_interrupted_preparation_goes_on_where_it_stopped(checkout):
    scenes = Prepared(of_split(prepare_data("demo", "embedded", "a"), "train"), "train")
    files = sorted(scenes.folder.glob("*.safetensors"))
    assert len(files) == 2
    stamp = files[0].stat().st_mtime_ns
    files[1].unlink()
    scenes.fill()
    assert files[0].stat().st_mtime_ns == stamp
    assert files[1].is_file()


def command_line(folder, *arguments):
    """Command, working directory and environment of a training run on the embedded data in a checkout of its own."""
    repository = Path(__file__).parents[2]
    for name in ("replications", "params.yaml"):
        (folder / name).symlink_to(repository / name)
    script = Path(sys.executable).with_name("hdrbench")  # several processes start by running the script again
    command = [script, "train", "usme_hdr", "kalantari/usme_3ch", "--profile", "embedded", *arguments]
    return {"args": command, "cwd": folder, "env": {**os.environ, "CUDA_VISIBLE_DEVICES": ""}}


WEIGHTS = "results/usme_hdr/embedded/weights/kalantari/usme_3ch.safetensors"


@pytest.mark.slow
def test_killed_with_sigkill_it_ends_with_the_same_weights(tmp_path):
    """The real command, killed some time after its first checkpoint, then started again."""
    call = command_line(tmp_path)
    file, state = tmp_path / WEIGHTS, tmp_path / ".work/checkpoints/usme_hdr/embedded/kalantari-usme_3ch.safetensors"
    subprocess.run(**call, check=True)
    whole = weights(file)
    file.unlink()
    process = subprocess.Popen(**call)
    while not state.is_file() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert state.is_file()
    assert not file.is_file()
    subprocess.run(**call, check=True)
    assert same(weights(file), whole)


@pytest.mark.slow
def test_two_processes_train_what_one_does(tmp_path):
    """The same batches, shared by two: the first loss is equal; later ones drift apart as rounding is amplified."""
    results = []
    for count in ("1", "2"):
        folder = tmp_path / count
        folder.mkdir()
        subprocess.run(**command_line(folder, "--accelerator", "cpu", "--devices", count), check=True)
        results.append(
            (weights(folder / WEIGHTS), (folder / "results/usme_hdr/embedded/logs/kalantari/usme_3ch.csv").read_text())
        )
    (first, one), (second, two) = results
    assert first.keys() == second.keys()
    losses = [[float(line.split(",")[-1]) for line in text.splitlines()[1:]] for text in (one, two)]
    assert losses[0][0] == pytest.approx(losses[1][0], rel=1e-5)
    assert losses[0][1] == pytest.approx(losses[1][1], rel=0.02)
