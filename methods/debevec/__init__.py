"""Merging real exposures with Debevec and Malik's method, the response recovered from the stack itself (Debevec1997)."""

from collections.abc import Sequence

from torch import Tensor, nn

from hdrbench.errors import HdrbenchError
from hdrbench.imaging.merging.generated import merge_stack
from hdrbench.methods import Method

NEAR = 0.1  # stops: cameras step by thirds, which names round


class Debevec(nn.Module):
    """The options; there is nothing to learn.

    Parameters
    ----------
    evs
        Exposure values of the exposures that are merged, ascending; ``None`` for all of a stack.
    """

    def __init__(self, evs: Sequence[float] | None = None) -> None:
        super().__init__()
        if evs is not None and (len(evs) < 2 or list(evs) != sorted(set(evs))):
            raise HdrbenchError(f"evs are {evs}; expected two or more that ascend")
        self.evs = evs


def merge(network: nn.Module, stack: Tensor, evs: Sequence[float]) -> Tensor:
    """Merge the chosen exposures of stacks (N, K, 3, H, W) at K exposure values: (N, 3, H, W).

    Raises
    ------
    HdrbenchError
        If there is none at an exposure value that is asked for.
    """
    assert isinstance(network, Debevec)
    chosen = range(len(evs)) if network.evs is None else [_find(evs, ev) for ev in network.evs]
    return merge_stack(stack[:, list(chosen)], [evs[k] for k in chosen], "debevec")


def _find(evs: Sequence[float], wanted: float) -> int:
    """Find the exposure next to an exposure value."""
    nearest = min(range(len(evs)), key=lambda k: abs(evs[k] - wanted))
    if abs(evs[nearest] - wanted) > NEAR:
        raise HdrbenchError(f"there is no exposure at EV {wanted:+g}, only {', '.join(f'{ev:+.2g}' for ev in evs)}")
    return nearest


METHOD = Method(title="Debevec and Malik", reference="Debevec1997", build=Debevec, merge=merge)
