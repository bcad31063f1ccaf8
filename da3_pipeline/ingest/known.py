"""Lay known cameras and poses over a capture, matched by name."""

from __future__ import annotations

import logging
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from ..errors import CaptureError
from ..geometry.cameras import Camera
from ..types import Capture, Frame, VideoClip
from .calibration import Intrinsics, KnownView, read_calibration
from .names import UniqueNames

__all__ = ["comparable_names", "match_names", "with_known_cameras"]

logger = logging.getLogger(__name__)


def with_known_cameras(capture: Capture, intrinsics: Path | None, poses: Path | None) -> Capture:
    """The capture with `known_camera` and `known_cam_from_world` filled in from the two files, where given.

    Raises CaptureError where a file cannot be read or fits no picture of the capture.
    """
    if intrinsics is not None:
        capture = _with_intrinsics(capture, read_calibration(intrinsics), intrinsics)
    if poses is not None:
        capture = _with_poses(capture, read_calibration(poses), poses)
    return capture


def match_names(names: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """From names of the capture to names of a file, each name at most once.

    By the whole path; then by its ending; then by the path without suffix, so that pictures converted to another
    format are found; then by the stem alone. A weaker rule applies only to what is unique on both sides by that rule.
    """
    matched: dict[str, str] = {}
    for rule in _RULES:
        ours, theirs = _grouped(names, rule), _grouped(known, rule)
        taken = set(matched.values())
        for key, candidates in ours.items():
            others = theirs.get(key, [])
            if len(candidates) == len(others) == 1 and candidates[0] not in matched and others[0] not in taken:
                matched[candidates[0]] = others[0]
    return matched


def comparable_names(name: str) -> tuple[str, ...]:
    """The forms of a name of the capture in which a file may speak of it: the whole path, and that below `images/`."""
    return tuple(dict.fromkeys((_whole(name), _below_images(name))))


def _whole(name: str) -> str:
    return unicodedata.normalize("NFC", name).removeprefix("./")


def _below_images(name: str) -> str:
    return _whole(name).removeprefix("images/")


def _basename(name: str) -> str:
    return PurePosixPath(_whole(name)).name


def _without_suffix(name: str) -> str:
    return str(PurePosixPath(_below_images(name)).with_suffix(""))


def _stem(name: str) -> str:
    return PurePosixPath(_whole(name)).stem


_RULES: tuple[Callable[[str], str], ...] = (_whole, _below_images, _basename, _without_suffix, _stem)


def _grouped(names: Sequence[str], rule: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[rule(name)].append(name)
    return groups


def _with_intrinsics(capture: Capture, views: Sequence[KnownView], path: Path) -> Capture:
    """Matched frames get their view's camera, and so do the other frames of the same physical camera.

    A file that describes one camera only is a calibration: it holds for every picture of its proportions.
    """
    known = {view.name: view.intrinsics for view in views if view.intrinsics is not None}
    if not known:
        raise CaptureError(f"{path}: it tells no focal length; give a file with intrinsics")
    matched = match_names([photo.name for photo in capture.photos], list(known))
    by_name = {ours: known[theirs] for ours, theirs in matched.items()}
    distinct = set(known.values())
    if len(distinct) == 1:
        return _calibrated(capture, distinct.pop(), by_name, path)
    if not by_name:
        raise CaptureError(_no_match(path, list(known), capture))
    by_camera: dict[str, set[Intrinsics]] = defaultdict(set)
    for photo in capture.photos:
        if photo.name in by_name:
            by_camera[photo.camera_id].add(by_name[photo.name])
    shared = {camera_id: next(iter(found)) for camera_id, found in by_camera.items() if len(found) == 1}
    photos = []
    for photo in capture.photos:
        intrinsics = by_name.get(photo.name, shared.get(photo.camera_id))
        photos.append(photo if intrinsics is None else replace(photo, known_camera=_camera(intrinsics, photo, path)))
    return replace(capture, photos=_split_cameras(photos))


def _calibrated(capture: Capture, intrinsics: Intrinsics, named: dict[str, Intrinsics], path: Path) -> Capture:
    """Every photograph and clip of the calibration's proportions with its camera; named ones must have them."""
    photos = [
        replace(photo, known_camera=(_camera if photo.name in named else _camera_if_fitting)(intrinsics, photo, path))
        for photo in capture.photos
    ]
    clips = [replace(clip, known_camera=_camera_if_fitting(intrinsics, clip, path)) for clip in capture.videos]
    cameras = [photo.known_camera for photo in photos] + [clip.known_camera for clip in clips]
    if not any(cameras):
        _camera(intrinsics, (capture.photos or capture.videos)[0], path)
    return replace(capture, photos=_split_cameras(photos), videos=tuple(clips))


def _camera_if_fitting(intrinsics: Intrinsics, picture: Frame | VideoClip, path: Path) -> Camera | None:
    try:
        return _camera(intrinsics, picture, path)
    except CaptureError as error:
        logger.warning("%s", error)
        return None


def _camera(intrinsics: Intrinsics, picture: Frame | VideoClip, path: Path) -> Camera:
    try:
        camera = intrinsics.at(picture.width, picture.height)
    except ValueError as error:
        raise CaptureError(
            f"{path}: its camera for {picture.name} {error}: another shape; give the intrinsics of this very picture"
        ) from error
    if intrinsics.width is not None and intrinsics.width != picture.width:
        logger.info("%s: intrinsics for %s rescaled from width %d px", path, picture.name, intrinsics.width)
    return camera


def _split_cameras(photos: Sequence[Frame]) -> tuple[Frame, ...]:
    """Frames with different known cameras under different ids, the first under the id it had."""
    ids = UniqueNames()
    for camera_id in sorted({photo.camera_id for photo in photos}):
        ids.claim(camera_id, before_suffix=False)
    names: dict[tuple[str, Camera | None], str] = {}
    first_of: set[str] = set()
    for photo in photos:
        key = (photo.camera_id, photo.known_camera)
        if key not in names:
            names[key] = (
                ids.claim(photo.camera_id, before_suffix=False) if photo.camera_id in first_of else photo.camera_id
            )
            first_of.add(photo.camera_id)
    return tuple(replace(photo, camera_id=names[photo.camera_id, photo.known_camera]) for photo in photos)


def _with_poses(capture: Capture, views: Sequence[KnownView], path: Path) -> Capture:
    """Matched photographs with their poses. Frames of a video have no names yet: they cannot be matched."""
    known = {view.name: view for view in views if view.cam_from_world is not None}
    if not known:
        raise CaptureError(f"{path}: it holds no poses; give a file with transform_matrix or registered images")
    matched = match_names([photo.name for photo in capture.photos], list(known))
    if not matched:
        raise CaptureError(_no_match(path, list(known), capture))
    if len(matched) < len(capture.photos):
        logger.warning("%s: poses for %d of %d photographs", path, len(matched), len(capture.photos))
    photos = []
    for photo in capture.photos:
        if photo.name in matched:
            view = known[matched[photo.name]]
            photo = replace(photo, known_cam_from_world=view.cam_from_world, known_pose_form=view.form)
        photos.append(photo)
    return replace(capture, photos=tuple(photos))


def _no_match(path: Path, known: Sequence[str], capture: Capture) -> str:
    if not capture.photos:
        return f"{path}: speaks of single pictures, the capture is a video; extract its frames to a folder first"
    return (
        f"{path}: none of its {len(known)} names fits a photograph of the capture "
        f"({known[0]} there, {capture.photos[0].name} here); rename one side"
    )
