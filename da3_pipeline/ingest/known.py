"""Lay known cameras and poses over a capture, matched by name."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import CaptureError
from ..geometry import turned_camera
from ..geometry.cameras import Camera
from ..types import Capture, Frame, VideoClip
from .names import UniqueNames
from .projects.name_matching import ambiguous_names, match_names
from .projects.registry import read_views
from .projects.views import Intrinsics, KnownView

__all__ = ["quarter_turns", "with_intrinsics", "with_known_cameras", "with_poses"]

logger = logging.getLogger(__name__)


def with_known_cameras(capture: Capture, intrinsics: Path | None, poses: Path | None) -> Capture:
    """The capture with `known_camera` and `known_cam_from_world` filled in from the two files, where given.

    Raises CaptureError where a file cannot be read or fits no picture of the capture.
    """
    if intrinsics is not None:
        capture = with_intrinsics(capture, read_views(intrinsics), intrinsics)
    if poses is not None:
        capture = with_poses(capture, read_views(poses), poses)
    return capture


def with_intrinsics(capture: Capture, views: Sequence[KnownView], path: Path, only_named: bool = False) -> Capture:
    """Matched frames get their view's camera, and so do the other frames of the same physical camera.

    A file that describes one camera only is a calibration: it holds for every picture of its proportions, unless
    `only_named`.
    """
    stored = any(view.stored for view in views)
    known = {view.name: view.intrinsics for view in views if view.intrinsics is not None}
    if not known:
        raise CaptureError(f"{path}: it tells no focal length; give a file with intrinsics")
    matched = match_names([photo.name for photo in capture.photos], list(known))
    by_name = {ours: known[theirs] for ours, theirs in matched.items()}
    distinct = set(known.values())
    if len(distinct) == 1 and not only_named:
        return _calibrated(capture, distinct.pop(), by_name, path, stored)
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
        if intrinsics is not None:
            photo = replace(photo, known_camera=_camera(intrinsics, photo, path, stored))
        photos.append(photo)
    return replace(capture, photos=_split_cameras(photos))


def _calibrated(
    capture: Capture, intrinsics: Intrinsics, named: dict[str, Intrinsics], path: Path, stored: bool
) -> Capture:
    """Every photograph and clip of the calibration's proportions with its camera; named ones must have them."""
    photos = []
    for photo in capture.photos:
        find = _camera if photo.name in named else _camera_if_fitting
        photos.append(replace(photo, known_camera=find(intrinsics, photo, path, stored)))
    clips = [replace(clip, known_camera=_camera_if_fitting(intrinsics, clip, path, stored)) for clip in capture.videos]
    cameras = [photo.known_camera for photo in photos] + [clip.known_camera for clip in clips]
    if not any(cameras):
        _camera(intrinsics, (capture.photos or capture.videos)[0], path, stored)
    return replace(capture, photos=_split_cameras(photos), videos=tuple(clips))


def quarter_turns(photo: Frame | VideoClip, intrinsics: Intrinsics | None, stored: bool) -> int:
    """Clockwise, from the picture that a file speaks of to the upright one.

    `stored`: its program does not apply EXIF's orientation. The shape of its camera says so, or the contrary, for any
    program, where the picture lies on its side.
    """
    turns = (photo.quarter_turns or 0) if isinstance(photo, Frame) else 0
    if turns % 2 and intrinsics is not None and intrinsics.width is not None:
        upright, on_its_side = intrinsics.fits(photo.width, photo.height), intrinsics.fits(photo.height, photo.width)
        if upright != on_its_side:
            return turns if on_its_side else 0
    return turns if stored else 0


def _camera_if_fitting(
    intrinsics: Intrinsics, picture: Frame | VideoClip, path: Path, stored: bool = False
) -> Camera | None:
    try:
        return _camera(intrinsics, picture, path, stored)
    except CaptureError as error:
        logger.warning("%s", error)
        return None


def _camera(intrinsics: Intrinsics, picture: Frame | VideoClip, path: Path, stored: bool = False) -> Camera:
    turns = quarter_turns(picture, intrinsics, stored)
    size = (picture.height, picture.width) if turns % 2 else (picture.width, picture.height)
    try:
        camera = intrinsics.at(*size).turned(turns)
    except ValueError as error:
        raise CaptureError(
            f"{path}: its camera for {picture.name} {error}: another shape; give the intrinsics of this very picture"
        ) from error
    if intrinsics.width is not None and intrinsics.width != size[0]:
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


def with_poses(capture: Capture, views: Sequence[KnownView], path: Path, quiet: bool = False) -> Capture:
    """Matched photographs with their poses. Frames of a video have no names yet: they cannot be matched.

    quiet: that photographs have none is no news.
    """
    known = {view.name: view for view in views if view.cam_from_world is not None}
    if not known:
        raise CaptureError(f"{path}: it holds no poses; give a file with transform_matrix or registered images")
    matched = match_names([photo.name for photo in capture.photos], list(known))
    if not matched:
        raise CaptureError(_no_match(path, list(known), capture))
    if len(matched) < len(capture.photos) and not quiet:
        unclear = ambiguous_names([photo.name for photo in capture.photos], list(known), matched)
        told = f"; which is meant by the name of {unclear[0]} is ambiguous" if unclear else ""
        logger.warning("%s: poses for %d of %d photographs%s", path, len(matched), len(capture.photos), told)
    photos = []
    for photo in capture.photos:
        if photo.name in matched:
            view = known[matched[photo.name]]
            turns = quarter_turns(photo, view.intrinsics, view.stored)
            pose = None if view.cam_from_world is None else turned_camera(view.cam_from_world, turns)
            photo = replace(photo, known_cam_from_world=pose, known_pose_form=view.form)
        photos.append(photo)
    return replace(capture, photos=tuple(photos))


def _no_match(path: Path, known: Sequence[str], capture: Capture) -> str:
    if not capture.photos:
        return f"{path}: speaks of single pictures, the capture is a video; extract its frames to a folder first"
    return (
        f"{path}: none of its {len(known)} names fits a photograph of the capture "
        f"({known[0]} there, {capture.photos[0].name} here); rename one side"
    )
