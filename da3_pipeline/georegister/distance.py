"""A length that the user measured, found again in the scene."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import PurePosixPath

import numpy as np

from ..errors import UsageError
from ..geometry import centres
from ..types import Scene
from .config import LengthConfig
from .distance_option import Distance, End, parse_distance
from .estimates import ScaleEstimate
from .surface import SurfacePoint, Surfaces

__all__ = ["distance_estimate"]


_SUGGESTIONS = 3
_EXPORTED = ("", ".jpg", ".jpeg", ".png")  # suffixes under which a frame of another format is found in images/


def distance_estimate(scene: Scene, texts: Sequence[str], config: LengthConfig) -> ScaleEstimate | None:
    """The scale from one or more measured lengths, weighted by their certainty; None where none is given.

    Where several contradict each other their spread is the uncertainty. Raises UsageError for a frame that is not
    there, was left out or has no pose, a pixel that shows no surface, and ends that fall together.
    """
    if not texts:
        return None
    surfaces = Surfaces(scene, config)
    measured = [_measured(surfaces, parse_distance(text)) for text in texts]
    logs, sigmas = (np.array(column) for column in zip(*measured, strict=True))
    weight = sigmas**-2 / (sigmas**-2).sum()
    middle = float(weight @ logs)
    contradiction = np.sqrt(weight @ (logs - middle) ** 2)
    sigma = float(np.hypot(np.sqrt(1 / (sigmas**-2).sum()), contradiction))
    source = f"the distance {texts[0]}" if len(texts) == 1 else f"{len(texts)} distances"
    return ScaleEstimate("distance", source, float(np.exp(middle)), sigma)


def _measured(surfaces: Surfaces, distance: Distance) -> tuple[float, float]:
    """Logarithm of metres per unit, and its sigma."""
    if distance.points is not None:
        first, second = (_shown(surfaces, distance, end) for end in distance.points)
    else:
        a, b = _cameras(surfaces.scene, distance)
        first, second = _centre(surfaces, a), _centre(surfaces, b)
    offset = second.point - first.point
    length = float(np.linalg.norm(offset))
    sigma = float(np.sqrt(offset @ (first.covariance + second.covariance) @ offset)) / max(length, 1e-300) ** 2
    if not (length > 0 and sigma < 1):
        raise UsageError(
            f"--distance {distance.text}: its ends cannot be told apart in the scene; measure a longer one"
        )
    return float(np.log(distance.metres / length)), float(np.hypot(sigma, surfaces.config.tape_sigma))


def _shown(surfaces: Surfaces, distance: Distance, end: End) -> SurfacePoint:
    scene = surfaces.scene
    frame = _resolved(scene, distance.text, end.name)
    x, y = end.pixel or (0.0, 0.0)
    name, width, height = scene.frames[frame].name, scene.frames[frame].width, scene.frames[frame].height
    if not (0 <= x <= width and 0 <= y <= height):
        raise UsageError(
            f"--distance {distance.text}: {name} is {width}x{height} pixels, {x:g},{y:g} is outside; "
            "give pixels of the original photograph, held upright"
        )
    point = surfaces.at(frame, (x, y))
    if point is None:
        raise UsageError(
            f"--distance {distance.text}: no surface is known at {name}@{x:g},{y:g}; "
            "choose a pixel on something solid that other photographs show, too"
        )
    return point


def _centre(surfaces: Surfaces, frame: int) -> SurfacePoint:
    """A camera centre, as certain as its picture is sharp, or as the prior is."""
    scene, config, depth = surfaces.scene, surfaces.config, surfaces.typical_depth(frame)
    depth = depth if np.isfinite(depth) else 0.0
    focal_px = scene.cameras[scene.frames[frame].camera_id].focal_px
    refined = scene.pose_source[frame] == "refined"
    sigma = depth * (config.pose_sigma_px / focal_px if refined else config.prior_pose_sigma)
    return SurfacePoint(centres(scene.cam_from_world[frame]), sigma**2 * np.eye(3))


def _cameras(scene: Scene, distance: Distance) -> tuple[int, int]:
    """The two frames meant. Where names hold commas, the reading in which both exist."""
    readings = [pair for pair in distance.cameras if all(_candidates(scene, name) for name in pair)]
    if len(readings) > 1:
        raise UsageError(f"--distance {distance.text}: can be read in several ways; measure between other photographs")
    first, second = (readings or [distance.cameras[0]])[0]
    a, b = _resolved(scene, distance.text, first), _resolved(scene, distance.text, second)
    if a == b:
        raise UsageError(f"--distance {distance.text}: both names mean {scene.frames[a].name}; name two photographs")
    return a, b


def _resolved(scene: Scene, text: str, name: str) -> int:
    """The posed frame of that name."""
    found = _candidates(scene, name)
    if len(found) > 1:
        names = ", ".join(scene.frames[index].name for index in found[:_SUGGESTIONS])
        raise UsageError(f"--distance {text}: '{name}' can be {names}; write the whole path")
    if not found:
        raise UsageError(f"--distance {text}: {_absent(scene, name)}")
    if not np.isfinite(scene.cam_from_world[found[0]]).all():
        raise UsageError(f"--distance {text}: no pose was found for {name}; measure between other photographs")
    return found[0]


def _candidates(scene: Scene, name: str) -> list[int]:
    """Frames of that name; else whose path ends so; else the same without regard to suffix and case."""
    names = [frame.name for frame in scene.frames]
    for alike in (_same, _ends_with, _ends_with_stem):
        found = [index for index, own in enumerate(names) if alike(own, name)]
        if found:
            return found
    return []


def _same(own: str, name: str) -> bool:
    return own == name


def _ends_with(own: str, name: str) -> bool:
    return own.endswith(f"/{name}")


def _ends_with_stem(own: str, name: str) -> bool:
    if PurePosixPath(name).suffix.lower() not in _EXPORTED:
        return False
    own, name = (PurePosixPath(path).with_suffix("").as_posix().casefold() for path in (own, name))
    return own == name or own.endswith(f"/{name}")


def _absent(scene: Scene, name: str) -> str:
    prediction = scene.prediction
    for item in (*prediction.frames.dropped, *prediction.dropped, *scene.dropped):
        if item.frame == name or item.frame.endswith(f"/{name}"):
            return f"{item.frame} was left out ({item.reason}); measure between photographs that were used"
    names = [frame.name for frame in scene.frames]
    near = get_close_matches(name, names, _SUGGESTIONS, cutoff=0.5) or names[:_SUGGESTIONS]
    return f"there is no frame '{name}'; there are {', '.join(near)}{' ...' if len(names) > len(near) else ''}"
