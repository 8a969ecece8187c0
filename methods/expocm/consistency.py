"""Schedules and parameterisation of consistency training (Song2023), as published."""

import math

import torch
from torch import Tensor


def step_count(progress: float, first: int = 2, last: int = 150) -> int:
    """Return N(k), the number of points of the time grid, which grows from `first` to `last` + 1 (Song2023, app. C).

    ``N(k) = ceil(sqrt(k / K ((s1 + 1)^2 - s0^2) + s0^2) - 1) + 1``.

    Parameters
    ----------
    progress
        k / K in [0, 1].
    first, last
        s0, s1.
    """
    return math.ceil(math.sqrt(progress * ((last + 1) ** 2 - first**2) + first**2) - 1) + 1


def target_rate(count: int, first: int = 2, start: float = 0.95) -> float:
    """Return mu(k) = exp(s0 log(mu0) / N(k)), the share of the old target network that is kept (Song2023, app. C).

    The authors' public code divides by N(k) - 1 instead; this is the printed formula.

    Parameters
    ----------
    count, first
        N(k), s0.
    start
        mu0: the rate at N = s0.
    """
    return math.exp(first * math.log(start) / count)


def time_grid(count: int, t_min: float, t_max: float, rho: float) -> Tensor:
    """Return `count` times from `t_min` to `t_max`, equally spaced in t^(1 / rho) (Karras2022): (count,) float32.

    Raises
    ------
    ValueError
        If there are fewer than two, or the range is not one.
    """
    if count < 2 or not 0.0 < t_min < t_max or not rho > 0.0:
        raise ValueError(f"expected 2 times or more in 0 < t_min < t_max, got {count} in {t_min} to {t_max}, rho {rho}")
    roots = torch.linspace(t_min ** (1 / rho), t_max ** (1 / rho), count, dtype=torch.float64)
    grid = roots.pow(rho)
    grid[0], grid[-1] = t_min, t_max  # exactly, so that the boundary condition holds exactly
    return grid.float()


def boundary(t: Tensor, t_min: float, sigma_data: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return (c_skip, c_out, c_in) at times t, shaped as t (Song2023, app. C; Karras2022).

    ``f(x, t) = c_skip x + c_out F(c_in x, t)`` is x itself at `t_min`, where c_skip = 1 and c_out = 0.
    """
    elapsed, variance = t - t_min, sigma_data**2
    scale = torch.rsqrt(t.square() + variance)
    return variance / (elapsed.square() + variance), elapsed * sigma_data * scale, scale


def time_code(t: Tensor, kind: str = "log") -> Tensor:
    """Return the number that the network's time embedding is made of: 250 ln t (Song2023's code), or 1000 t."""
    return 250.0 * torch.log(t) if kind == "log" else 1000.0 * t
