"""Networks of methods for somebody's own photographs: a method that can do it, and its network as a run has trained it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from hdrbench import methods, runs, workspace
from hdrbench.errors import HdrbenchError, WeightsMissingError
from hdrbench.pipeline import checkpoint


def method_that(does: str, able: Callable[[methods.Method], bool], name: str) -> methods.Method:
    """Look up a method that can do something.

    Parameters
    ----------
    does
        What that is, as a verb with its object.
    able
        Whether a method can.
    name
        The method asked for.

    Raises
    ------
    HdrbenchError
        If it is unknown, or cannot; the message names those that can.
    """
    chosen = methods.get(name)
    if not able(chosen):
        others = [other for other in methods.names() if _can(other, able)]
        raise HdrbenchError(f"method '{name}' does not {does}; those that do: {', '.join(others)}")
    return chosen


def _can(name: str, able: Callable[[methods.Method], bool]) -> bool:
    try:
        return able(methods.get(name))
    except HdrbenchError:  # it cannot be imported here, and is not the one asked for
        return False


def build_network(name: str, options: Mapping[str, Any], weights: Path | None, device: str) -> nn.Module:
    """Build a method's network: with the options given if there is nothing to train, else as it was trained.

    Parameters
    ----------
    name
        The method.
    options
        Of the method; only without weights, which have those of their run inside.
    weights
        Checkpoint of a run of the method.
    device
        Where the network goes.

    Raises
    ------
    WeightsMissingError
        If the method has to be trained, and weights are not given or not there.
    HdrbenchError
        If the weights are damaged, of another method or of another network, or come with options.
    """
    trained = methods.get(name).objective is not None
    if weights is None and not trained:
        return methods.build(name, options).eval().to(device)
    if options:
        raise HdrbenchError(f"method '{name}': weights have the options of their run inside; leave {list(options)} out")
    if weights is None or (trained and not weights.is_file()):
        given = (
            f"{weights}: no such file" if weights else f"method '{name}' has to be trained, and no weights are given"
        )
        raise WeightsMissingError(f"{given}; {_how_to_train(name)}")
    try:
        tensors, facts = checkpoint.read(weights)
    except HdrbenchError as error:
        raise HdrbenchError(f"{weights}: damaged, or no weights of a run; give the .safetensors of one") from error
    identity = facts["identity"]
    if identity.get("method") != name:
        raise HdrbenchError(
            f"{weights}: holds weights of method '{identity.get('method')}', expected '{name}'; choose that method, or "
            "other weights"
        )
    return _filled(name, identity["options"], tensors, weights, device)


def network_of(run: runs.ResolvedRun, device: str) -> nn.Module:
    """Build a run's network with its options, and its trained weights, in evaluation mode.

    Raises
    ------
    HdrbenchError
        If the weights are missing, damaged, or of another network.
    """
    return _filled(run.method, run.options, checkpoint.read(run.weights)[0], run.weights, device)


def _filled(name: str, options: Mapping[str, Any], tensors: dict[str, Tensor], weights: Path, device: str) -> nn.Module:
    network = methods.build(name, options)
    try:
        checkpoint.unpack(tensors, network, None)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise HdrbenchError(f"{weights}: does not fit method '{name}' ({reason}); train it again") from error
    return network.eval().to(device)


def _how_to_train(name: str) -> str:
    """Say which replication trains a method: that of its name, or another that has a run of it."""
    try:
        papers = [paper for paper in workspace.papers() if name in _trained_by(paper)]
    except HdrbenchError:  # there is no checkout here
        papers = []
    paper = name if name in papers else next(iter(papers), "<paper>")
    whose = "" if papers else ", of a paper with runs of it,"
    return (
        f"`dvc repro replications/{paper}`{whose} trains it, then give "
        f"--weights results/{paper}/<profile>/weights/<role>/<run>.safetensors"
    )


def _trained_by(paper: str) -> set[str]:
    try:
        return {run.method for named in runs.load(paper).runs.values() for run in named.values()}
    except HdrbenchError:  # this replication is broken, which its own commands tell
        return set()
