"""Which frames become images of the data set, and under which names."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, count
from pathlib import PurePosixPath

import numpy as np

from ..types import Dropped, Frame, Scene
from .config import ExportConfig

__all__ = ["image_stems", "usable_frames"]

_LEAST_FOR_TRAINING = 2
_LONGEST_BYTES = 235  # of 255: a mask is called NAME.jpeg.png, and names that are taken get a number


def usable_frames(scene: Scene, config: ExportConfig) -> tuple[list[int], list[Dropped]]:
    """Indices of the frames for training that have a pose and a camera of their size, and the others with a reason.

    Frames that nothing verified are left out, unless they are all that there is or asked for. Pose-only frames are
    images only where fewer than two others could be.
    """
    kept: list[int] = []
    dropped: list[Dropped] = []
    fisheye = None if config.undistort else _majority_is_fisheye(scene)
    keep = config.keep_unverified or not _anything_verified(scene)
    for index, frame in enumerate(scene.frames):
        reason = _reason_against(scene, index, frame, keep, fisheye)
        if reason is None:
            kept.append(index)
        else:
            dropped.append(Dropped(frame.name, reason))
    training = [index for index in kept if scene.frames[index].training]
    if len(training) < _LEAST_FOR_TRAINING:
        return kept, dropped
    spare = [scene.frames[index] for index in kept if not scene.frames[index].training]
    return training, dropped + [Dropped(frame.name, _pose_only(frame)) for frame in spare]


def _pose_only(frame: Frame) -> str:
    return f"for the poses only: {frame.remark}" if frame.remark else "for the poses only"


def _anything_verified(scene: Scene) -> bool:
    """Whether any frame is verified: of a capture that is not, all is exported, for the verdict condemns it."""
    return any(source not in ("unverified", "none") for source in scene.pose_source)


def _reason_against(scene: Scene, index: int, frame: Frame, keep_unverified: bool, fisheye: bool | None) -> str | None:
    camera = scene.cameras.get(frame.camera_id)
    if scene.pose_source[index] == "none" or not np.isfinite(scene.cam_from_world[index]).all():
        return "no pose was found"
    if scene.pose_source[index] == "unverified" and not keep_unverified:
        return scene.unverified.get(frame.name, "nothing verified its pose")
    if camera is None:
        return f"its camera {frame.camera_id} was not calibrated"
    if (frame.width, frame.height) != (camera.width, camera.height):
        return f"it is {frame.width}x{frame.height}, its camera {camera.width}x{camera.height} pixels"
    if fisheye is not None and _is_fisheye(camera.model) != fisheye:
        return "trainers read either perspective or fisheye images, and most here are of the other kind"
    return None


def _is_fisheye(model: str) -> bool:
    return model.endswith("FISHEYE")


def _majority_is_fisheye(scene: Scene) -> bool:
    cameras = (scene.cameras.get(frame.camera_id) for frame in scene.frames)
    kinds = [_is_fisheye(camera.model) for camera in cameras if camera is not None]
    return sum(kinds) * 2 > len(kinds)


def image_stems(names: Iterable[str]) -> list[str]:
    """Paths below images/, without suffix, one a frame, in order.

    They are the frames' own paths, made unique without regard to case or suffix: trainers change suffixes when
    they shrink images, and data sets are moved to file systems that ignore case. No path is the end of another
    either ("2" of "walk/2"): Brush looks an image up by the end of its path. Names are short enough for suffixes and
    for what makes them unique.
    """
    stems: list[str] = []
    taken: set[str] = set()
    ends: set[str] = set()
    for name in names:
        path = PurePosixPath(*(part for part in PurePosixPath(name).parts if part not in ("/", "..")))
        stem = path.with_suffix("").as_posix() if path.stem else "image"
        stem = "/".join(_shortened(part) for part in stem.split("/"))
        candidates = chain((stem, f"{stem}_{path.suffix.lstrip('.')}"), (f"{stem}_{k}" for k in count(2)))
        unique = next(name for name in candidates if name.casefold() not in ends and taken.isdisjoint(_ends(name)))
        taken.add(unique.casefold())
        ends.update(_ends(unique))
        stems.append(unique)
    return stems


def _shortened(part: str) -> str:
    """The beginning of a folder's or file's name that leaves room within the 255 bytes of file systems."""
    return part.encode()[:_LONGEST_BYTES].decode(errors="ignore")


def _ends(stem: str) -> list[str]:
    """The path and what is left of it without its first folders, without case."""
    parts = stem.casefold().split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]
