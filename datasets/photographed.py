"""Radiance maps photographed the way a published set was made: loader of ``hdri_drtmo``, ``hdri_vds`` and others.

A card names folders of radiance maps, the maps held out for testing, and one of `PRESETS`. The splits differ by map.
The reference of a scene is the radiance at the middle exposure's instant, 1 = saturation of the shortest exposure,
clipped to [0, 1]: what merging the unmoved bracket could recover.

The options of a card:

``folders``, ``held_out``, ``seed``, ``size``
    As of the ``hdri_*`` cards (`hdrbench.datasets.hdri`).
``preset``
    Key of `PRESETS`.
``responses``
    Names of response curves (`hdrbench.datasets.virtual_camera.RESPONSES`) in place of the preset's, or null.
``curves``
    Folder under ``HDRBENCH_DATA`` with the measured response curves, or null where no response needs them.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hdrbench.datasets import exact, files, hdri, views, virtual_camera
from hdrbench.datasets.scene import Image, Scene
from hdrbench.datasets.virtual_camera import VirtualCamera
from hdrbench.errors import HdrbenchError, ImageError, unknown
from hdrbench.imaging import io

if TYPE_CHECKING:
    from hdrbench.datasets.catalog import Card

# Part of the fingerprint: must grow whenever the same maps give other pixels.
GENERATOR_VERSION = 1

OPTIONS = ("folders", "held_out", "seed", "size", "preset", "responses", "curves")

# How the maps are seen: moving views are those of the `hdri_*` cards; fixed ones look 10 degrees up with 80 degrees
# across, which is what the numbers in DrTMO's scene names are taken to mean (no text explains them).
FIELD_OF_VIEW, ELEVATION = 80.0, 10.0


@dataclass(frozen=True)
class Preset:
    """How a published set was made.

    Attributes
    ----------
    camera
        The camera but for its response.
    responses
        Names of response curves.
    azimuths
        Directions in degrees of fixed views into panoramas, every one taken with every response; ``None`` for views
        drawn at random, which take the responses in turns.
    moving
        Whether the camera and patches of other maps move between the exposures; if not, the bracket is still.
    clipped
        Least and greatest fraction of the pixels that the middle exposure clips.
    """

    camera: VirtualCamera
    responses: tuple[str, ...]
    azimuths: tuple[int, ...] | None
    moving: bool
    clipped: tuple[float, float]


PRESETS = {
    # Endo2017: t = 2**(-10 + k / 2) s for k = 0..8, five curves of DoRF, no noise, 8 bit, still.
    "drtmo": Preset(
        VirtualCamera(tuple(k / 2 for k in range(9)), bits=8, shot_noise=0.0, read_noise=0.0, jpeg=None),
        (
            "dorf:41:agfacolor-vista-200CDBlue",
            "dorf:65:agfachrome-rsx2-050CDRed",
            "dorf:90:Gold-200CDBlue",
            "dorf:114:Ektachrome-100-plusCDBlue",
            "dorf:165:gamma+1.4",
        ),
        azimuths=(0, 60, 120, 180, 240, 300),
        moving=False,
        clipped=(0.05, 0.12),
    ),
    # LeeAnKang2018: seven exposures from -3 to +3 EV, stored by the camera as JPEG, on a tripod.
    "vds": Preset(
        VirtualCamera(tuple(float(ev) for ev in range(7)), bits=8, shot_noise=0.01, read_noise=0.001, jpeg=95),
        ("sigmoid",),
        azimuths=None,
        moving=False,
        clipped=(0.05, 0.12),
    ),
    # Nemoto2015: nine exposures from -2.7 to +2.7 EV in thirds of a stop that names round, JPEG; the middle one is EV 0.
    "hdreye": Preset(
        VirtualCamera(
            (0.0, 0.7, 1.4, 2.0, 2.7, 3.4, 4.0, 4.7, 5.4), bits=8, shot_noise=0.01, read_noise=0.001, jpeg=95
        ),
        ("sigmoid",),
        azimuths=None,
        moving=False,
        clipped=(0.05, 0.12),
    ),
    # Kalantari2017: three exposures 2 EV apart, linear raw coded with gamma 2.2, hand-held with moving people.
    "kalantari": Preset(
        VirtualCamera((0.0, 2.0, 4.0), bits=14, shot_noise=0.012, read_noise=0.0006, jpeg=None),
        ("gamma:2.2",),
        azimuths=None,
        moving=True,
        clipped=(0.05, 0.12),
    ),
}


@dataclass(frozen=True)
class _Shot:
    """One scene to take: of which map, its place among the maps, the view's name and direction, and the response."""

    source: Path
    number: int
    view: str
    turn: float
    response: str


def preset_of(card: "Card") -> Preset:
    """Return the preset that a card names; an unknown one is an `HdrbenchError`."""
    if card.options["preset"] not in PRESETS:
        raise unknown(f"preset of card {card.name}", str(card.options["preset"]), PRESETS)
    return PRESETS[card.options["preset"]]


def responses_of(card: "Card") -> tuple[str, ...]:
    """Return the names of the responses that a card's scenes are taken with."""
    return tuple(card.options["responses"] or preset_of(card).responses)


def _size(card: "Card") -> views.Size:
    size = card.options["size"]
    if not (isinstance(size, list) and len(size) == 2 and all(isinstance(side, int) and side >= 32 for side in size)):
        raise HdrbenchError(f"card {card.name}: option 'size' is {size}, expected [height, width] of at least 32")
    return size[0], size[1]


def _curves(card: "Card") -> Path | None:
    return files.data_root() / card.options["curves"] if card.options["curves"] else None


def _shots(card: "Card", split: str) -> dict[str, _Shot]:
    """Plan the scenes of a split by name."""
    sources, preset, count = hdri.maps(card, split), preset_of(card), card.splits[split]
    if (count is None) != (preset.azimuths is not None):
        wanted = "null, because the maps decide" if preset.azimuths else "a number of scenes"
        raise HdrbenchError(f"card {card.name}: splits.{split} is {count}; with this preset expected {wanted}")
    return _drawn(card, sources, count) if count is not None else _fixed(card, sources, preset)


def _drawn(card: "Card", sources: Sequence[Path], count: int) -> dict[str, _Shot]:
    responses, views_each = responses_of(card), -(-count // len(sources))
    shots: dict[str, _Shot] = {}
    for number in range(count):
        source, name = sources[number % len(sources)], f"{number:03d}_{sources[number % len(sources)].stem}"
        turn = number // len(sources) / views_each
        shots[name] = _Shot(source, number % len(sources), name, turn, responses[number % len(responses)])
    return shots


def _fixed(card: "Card", sources: Sequence[Path], preset: Preset) -> dict[str, _Shot]:
    shots: dict[str, _Shot] = {}
    for number, source in enumerate(sources):
        for azimuth in preset.azimuths or ():
            view = f"{source.stem}_{FIELD_OF_VIEW:g}_{ELEVATION:g}_{azimuth}"
            for curve in responses_of(card):
                name = f"{view}_{curve.split(':')[-1]}"
                if name in shots:
                    two = f"{shots[name].source} and {source}"
                    raise HdrbenchError(
                        f"{card.name}: two scenes are named '{name}', of {two}; rename a map or response"
                    )
                shots[name] = _Shot(source, number, view, azimuth / 360.0, curve)
    return shots


def scene_names(card: "Card", split: str) -> list[str]:
    """List the scenes of a split: ``<map>_80_10_<azimuth>_<response>`` or ``<number>_<map>``.

    Raises
    ------
    DataMissingError
        Maps are missing.
    HdrbenchError
        The card's preset, splits or maps do not fit together.
    """
    return list(_shots(card, split))


def load_scene(card: "Card", split: str, scene: str) -> Scene:
    """Photograph a scene.

    Raises
    ------
    HdrbenchError
        The split has no such scene, or its map is no panorama where the preset needs one.
    DataMissingError
        The maps or the response curves are missing.
    ImageError
        A map is broken.
    """
    shots = _shots(card, split)
    if scene not in shots:
        raise unknown(f"scene of {card.name}/{split}", scene, shots)
    shot, preset = shots[scene], preset_of(card)
    # All responses of one view share what is drawn for the view, so that they differ by the response alone.
    for_view, for_camera = (exact.Dice(card.options["seed"], split, key) for key in (shot.view, f"{scene} camera"))
    instants = _instants(card, split, shot, for_view)
    curve = virtual_camera.make_response(shot.response, _curves(card), for_camera)
    clipped = for_view.uniform(*preset.clipped)
    return virtual_camera.photograph(scene, instants, curve, preset.camera, for_camera, clipped)


def _instants(card: "Card", split: str, shot: _Shot, dice: exact.Dice) -> list[exact.Array]:
    """Look at the map while each exposure is taken."""
    preset, size, image = preset_of(card), _size(card), hdri.read_map(shot.source)
    exposures = range(len(preset.camera.evs))
    if preset.azimuths is not None:
        if not views.is_panorama(image):
            raise HdrbenchError(f"{shot.source}: {_NOT_2_TO_1.format(*image.shape[1::-1])}")
        pose = views.Pose(360.0 * shot.turn, ELEVATION, 0.0, FIELD_OF_VIEW)
    else:
        pose = views.draw_pose(image, dice, shot.turn, size)
    if not preset.moving:
        return [views.look(image, pose, size).astype(np.float64)] * len(exposures)
    middle = len(exposures) // 2
    poses = [pose if step == middle else views.nudge(image, pose, dice, size) for step in exposures]
    path = [views.look(image, place, size) for place in poses]
    for patch in views.draw_patches(path[middle], _donor(card, split, shot, dice), dice):
        path = [views.paste(view, patch, step - middle) for step, view in enumerate(path)]
    return [view.astype(np.float64) for view in path]


_NOT_2_TO_1 = "{0}x{1} is no panorama, which is twice as wide as high; take it out of this card's folders"


def _donor(card: "Card", split: str, shot: _Shot, dice: exact.Dice) -> Image:
    """Look at another map of the split, whose patches will move."""
    sources, size = hdri.maps(card, split), _size(card)
    image = hdri.read_map(sources[(shot.number + dice.integer(1, max(len(sources) - 1, 1))) % len(sources)])
    return views.look(image, views.draw_pose(image, dice, dice.uniform(), size), size)


def verify(card: "Card") -> list[str]:
    """Check that maps and response curves are there, fit the preset, and can be read whole."""
    try:
        height, width = _size(card)
        found = [path for split in card.splits if scene_names(card, split) for path in hdri.maps(card, split)]
        for name in responses_of(card):
            virtual_camera.make_response(name, _curves(card), exact.Dice("verify"))
    except HdrbenchError as error:
        return [str(error)]
    problems = []
    for path in found:
        try:
            image = io.read_hdr(path, allow_negative=True)
        except ImageError as error:
            problems.append(f"{error}; or get it from {card.homepage}")
            continue
        if preset_of(card).azimuths is not None and not views.is_panorama(image):
            problems.append(f"{path}: {_NOT_2_TO_1.format(*image.shape[1::-1])}")
        elif image.shape[0] < height or image.shape[1] < width:
            problems.append(f"{path}: {image.shape[1]}x{image.shape[0]}, expected at least {width}x{height}")
        elif not image.max() > 0:
            problems.append(f"{path}: is black; get it again from {card.homepage}")
    return problems


def fingerprint(card: "Card") -> dict[str, Any]:
    """Identify the content: a digest of the maps, the response curves, the preset and the card's options."""
    used = [path for split in card.splits for path in hdri.maps(card, split)]
    used += virtual_camera.curve_files(responses_of(card), _curves(card))
    content = files.digest(files.data_root(), used)
    scenes = {split: len(scene_names(card, split)) for split in card.splits}
    inputs = {
        "files": content["digest"],
        "generator": [GENERATOR_VERSION, *hdri.generator()],
        "options": card.options,
        "preset": asdict(preset_of(card)),
        "scenes": scenes,
    }
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
    return {"name": card.name, **content, "digest": digest, "scenes": scenes}
