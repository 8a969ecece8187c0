"""Surfaces and skies of the procedural scenes: patterns at several scales, made of exact arithmetic."""

from dataclasses import dataclass

import numpy as np

from hdrbench.datasets.exact import Array, fractal, smoothstep
from hdrbench.datasets.procedural.raycast import Colour


@dataclass(frozen=True)
class Material:
    """How a surface looks.

    Attributes
    ----------
    kind
        ``"mottled"``, ``"tiles"``, ``"bricks"``, ``"boards"``, ``"facade"``, ``"stripes"`` or ``"glow"``.
    first, second
        Albedo of the surface and of its joints, spots or window panes; for ``"glow"``, `first` is radiance.
    size
        Size of the pattern in metres.
    values
        Lattice that the noise is read from.
    gloss
        Share of the light that is mirrored.
    lit
        Radiance of the lit panes of a facade.
    lit_share
        Share of the panes that are lit.
    """

    kind: str
    first: Colour
    second: Colour
    size: float
    values: Array
    gloss: float = 0.0
    lit: Colour = (0.0, 0.0, 0.0)
    lit_share: float = 0.0


@dataclass(frozen=True)
class Sky:
    """What is seen beyond all things; colours are radiance.

    Attributes
    ----------
    zenith, horizon
        The gradient.
    sun
        Direction of the sun or the moon, a unit vector.
    sun_cosine
        Cosine of the disc's radius.
    disc
        Radiance of the disc.
    glow
        Strength of the glow around it.
    cloud, cover
        Radiance of the clouds and the share of the sky they take, 0 for none.
    hills
        Radiance of the hill ranges, the farthest first.
    stars
        Radiance of the stars, 0 for none.
    values
        Lattice that the noise is read from.
    """

    zenith: Colour
    horizon: Colour
    sun: Colour
    sun_cosine: float
    disc: Colour
    glow: float
    cloud: Colour
    cover: float
    hills: tuple[Colour, ...]
    stars: float
    values: Array


def blend(first: Array | Colour, second: Array | Colour, share: Array) -> Array:
    """Mix two colours, each (3,) or (..., 3), by a share of the second (...)."""
    return np.asarray(first) + (np.asarray(second) - np.asarray(first)) * share[..., None]


def _cells(material: Material, u: Array, v: Array) -> Array:
    """Draw one value per pattern cell."""
    size = material.values.shape[0] - 1
    return material.values[np.floor(v).astype(np.int64) & size, np.floor(u).astype(np.int64) & size]


def _joints(u: Array, v: Array, width: float, footprint: Array) -> Array:
    """Mark the lines between cells; they fade to their mean where a pixel is wider than they are."""
    edge_u, edge_v = np.abs(u - np.floor(u) - 0.5), np.abs(v - np.floor(v) - 0.5)
    line = smoothstep(np.maximum(edge_u, edge_v), 0.5 - width, 0.5 - 0.5 * width)
    sharp = np.clip(1.6 - footprint / width, 0.0, 1.0)
    return line * sharp + 2.0 * width * (1.0 - sharp)


def albedo(material: Material, u: Array, v: Array, footprint: Array) -> tuple[Array, Array]:
    """Compute the colour of surface points.

    Parameters
    ----------
    material
        The material.
    u, v
        Surface coordinates in metres, (n,).
    footprint
        Size of a pixel on the surface in metres, (n,).

    Returns
    -------
    tuple of numpy.ndarray
        Albedo (n, 3) in [0, 1] and emitted radiance (n, 3).
    """
    u, v, footprint = u / material.size, v / material.size, footprint / material.size
    dark = np.zeros((*u.shape, 3))
    if material.kind == "glow":
        return dark, dark + np.asarray(material.first)
    grain = fractal(material.values, u * 3.0, v * 3.0, 5, footprint * 3.0)
    if material.kind == "mottled":
        return _mottled(material, u, v, footprint, grain), dark
    if material.kind == "boards":
        u, footprint = u * 0.12, footprint * 0.3
        veins = fractal(material.values, u * 6.0, v * 24.0, 4, footprint * 8.0)
        tone = 0.55 + 0.35 * _cells(material, u + 0.37 * np.floor(v), v) + 0.5 * (veins - 0.5)
        return blend(material.first, material.second, _joints(u, v, 0.05, footprint)) * tone[..., None], dark
    if material.kind == "facade":
        return _facade(material, u, v, footprint, grain)
    if material.kind == "stripes":
        hue = _cells(material, np.floor(u * 2.0), np.floor(v * 0.5) + 31.0)
        share = (hue > 0.5).astype(np.float64)
        return blend(material.first, material.second, share) * (0.7 + 0.6 * (grain - 0.2))[..., None], dark
    if material.kind == "bricks":
        u, v = u * 0.5 + 0.5 * np.floor(v), v
    tone = (0.6 + 0.5 * _cells(material, u, v)) * (0.7 + 0.6 * grain)
    joint = _joints(u, v, 0.06, footprint)
    return blend(np.asarray(material.first) * tone[..., None], material.second, joint), dark


def _mottled(material: Material, u: Array, v: Array, footprint: Array, grain: Array) -> Array:
    patch = fractal(material.values, u * 0.4 + 9.0, v * 0.4, 3, footprint * 0.4)
    share = np.clip(1.5 * (patch - 0.5) + 0.5, 0, 1) * 0.6 + np.clip(2.2 * (grain - 0.5) + 0.5, 0, 1) * 0.4
    return blend(material.first, material.second, share) * (0.55 + 0.9 * grain)[..., None]


def _facade(material: Material, u: Array, v: Array, footprint: Array, grain: Array) -> tuple[Array, Array]:
    across, up = u - np.floor(u), v - np.floor(v)
    pane = (np.abs(across - 0.5) < 0.27) & (np.abs(up - 0.55) < 0.28)
    frame = pane & ((np.abs(across - 0.5) < 0.02) | (np.abs(up - 0.62) < 0.02))
    glass = pane & ~frame
    draw = _cells(material, u, v)
    wall = np.asarray(material.first) * (0.65 + 0.7 * (grain - 0.1))[..., None]
    colour = np.where(glass[..., None], np.asarray(material.second) * (0.4 + draw)[..., None], wall)
    lit = glass & (draw < material.lit_share)
    # A curtain, a lamp and a room behind the pane: lit windows are neither equal nor flat.
    inner = (0.15 + 2.0 * draw / max(material.lit_share, 1e-3)) * (0.3 + grain) * (1.4 - np.abs(across - draw))
    return colour, np.where(lit, inner, 0.0)[..., None] * np.asarray(material.lit)


def sky_radiance(sky: Sky, x: Array, y: Array, z: Array, footprint: float) -> Array:
    """Compute the radiance that comes from directions (x, y, z), not necessarily unit vectors.

    Parameters
    ----------
    sky
        The sky.
    x, y, z
        Directions, arrays of one shape.
    footprint
        Angle of a pixel, in radians.

    Returns
    -------
    numpy.ndarray
        Radiance (..., 3).
    """
    norm = np.sqrt(x * x + y * y + z * z)
    x, y, z = x / norm, y / norm, z / norm
    up = np.maximum(y, 0.0)
    colour = blend(sky.horizon, sky.zenith, np.sqrt(np.minimum(up * 1.5, 1.0)))
    towards = x * sky.sun[0] + y * sky.sun[1] + z * sky.sun[2]
    halo = sky.glow * (0.012 / (1.012 - towards) + 0.0006 / (1.0006 - towards))
    colour = colour + halo[..., None] * np.asarray((1.0, 0.9, 0.75))
    disc = smoothstep(towards, sky.sun_cosine, sky.sun_cosine + (1.0 - sky.sun_cosine) * 0.2)
    if sky.stars > 0:
        colour = colour + _stars(sky, x, y, z)[..., None]
    if sky.cover > 0:
        colour, disc = _clouds(sky, x, y, z, colour, halo, disc, footprint)
    colour = colour + disc[..., None] * np.asarray(sky.disc)
    around = x / np.maximum(np.abs(z), 0.05) * np.where(z < 0, -1.0, 1.0) + 5.0 * (z < 0)
    for number, hill in enumerate(sky.hills):
        shape = fractal(sky.values, around * (1.1 + 0.9 * number) + 7.7 * number, np.full_like(around, 0.5), 6)
        crest = (0.20 - 0.055 * number) * (shape - 0.15)
        tone = 0.5 + fractal(sky.values, around * 16.0, y * 40.0 + number, 5, footprint * 40.0)
        inside = smoothstep(crest - y, 0.0, 2.0 * footprint)
        colour = blend(colour, np.asarray(hill) * tone[..., None], inside)
    return colour


def _clouds(
    sky: Sky, x: Array, y: Array, z: Array, colour: Array, halo: Array, disc: Array, footprint: float
) -> tuple[Array, Array]:
    height = np.maximum(y, 0.0) + 0.06
    plane_x, plane_z = 1.1 * x / height, 1.1 * z / height
    spread = footprint * 1.5 / (height * height)
    body = fractal(sky.values, plane_x, plane_z, 6, spread)
    edge = 0.75 - 0.5 * sky.cover
    veil = smoothstep(body, edge, edge + 0.22) * smoothstep(y, -0.02, 0.1)
    # Thin edges let the sun's light through, thick middles are grey below.
    light = 1.15 - 0.75 * smoothstep(body, edge + 0.1, edge + 0.45)
    tint = np.asarray(sky.cloud) * (light + 0.25 * np.minimum(halo, 4.0))[..., None]
    return blend(colour, tint, veil), disc * (1.0 - veil) * (1.0 - veil)


def _stars(sky: Sky, x: Array, y: Array, z: Array) -> Array:
    u, v = x / (np.abs(z) + 0.2) * 80.0, y / (np.abs(z) + 0.2) * 80.0
    size = sky.values.shape[0] - 1
    cell_u, cell_v = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    draw = sky.values[cell_v & size, (cell_u + 31 * (cell_v >> 6)) & size]
    du, dv = u - np.floor(u) - 0.5, v - np.floor(v) - 0.5
    return sky.stars * (draw > 0.93) * (draw - 0.9) * smoothstep(0.03 - du * du - dv * dv, 0.0, 0.03) * (y > 0)
