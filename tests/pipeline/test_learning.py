"""What a short training of the methods that generate exposures must reach on scenes that it has not seen."""

from itertools import pairwise

import pytest

from hdrbench import methods
from hdrbench.imaging.merging.generated import parse_evs
from hdrbench.pipeline.data import of_split, prepare_data
from hdrbench.pipeline.device import to_batch
from hdrbench.pipeline.evaluate import load_network
from hdrbench.pipeline.prepare import Prepared
from hdrbench.pipeline.train import train
from hdrbench.runs import resolve

TRAINED = [("cevr", "vds/cevr", "-3:3:0.5"), ("multi_exposure_generation", "drtmo/full", "-2:2:0.5")]


@pytest.mark.slow
@pytest.mark.parametrize(("paper", "run_id", "evs"), TRAINED)
def test_longer_exposures_are_brighter_and_shorter_ones_better_than_naive(paper, run_id, evs, tmp_path, monkeypatch):
    for module in ("hdrbench.runs", "hdrbench.pipeline.data"):
        monkeypatch.setattr(f"{module}.results", lambda paper, profile: tmp_path / paper / profile)
    monkeypatch.setenv("HDRBENCH_WORK", str(tmp_path))
    run = resolve(paper, "embedded", run_id)
    facts = prepare_data(paper, "embedded", run.role)
    train(run, of_split(facts, "train"), accelerator="cpu")
    network, _ = load_network(run, "cpu")
    values, errors = parse_evs(evs), {}
    for scene in Prepared(of_split(facts, "test"), "test"):
        stack = to_batch(scene["stack"], "cpu")
        middle = stack[:, stack.shape[1] // 2]
        made = methods.get(run.method).expose(network, middle, values)
        means = made.mean((0, 2, 3, 4)).tolist()
        assert all(longer > shorter for shorter, longer in pairwise(means))
        for name, stacks in (("ours", made), ("naive", methods.get("gamma_linear").expose(network, middle, values))):
            errors.setdefault(name, []).append((stacks[:, 0] - stack[:, 0]).square().mean().item())
    assert sum(errors["ours"]) < sum(errors["naive"])
