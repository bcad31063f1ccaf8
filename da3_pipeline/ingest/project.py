"""Lay what other programs' projects say over a capture: cameras, poses as priors, sensor depth, masks."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from ..geometry import turned_camera
from ..types import Capture, Frame
from .known import quarter_turns, with_intrinsics, with_poses
from .projects.clips import with_known_frames
from .projects.name_matching import match_names
from .projects.registry import find_project
from .projects.views import KnownView, Project

__all__ = ["FoundProject", "find_projects", "missing_images", "with_projects"]

logger = logging.getLogger(__name__)

_NO_CLIP = "its video is not here, or has other frames; it is not used"


@dataclass(frozen=True)
class FoundProject:
    """A project and the source, a folder, that it was found in."""

    source: Path
    project: Project

    @property
    def beside(self) -> tuple[Path, ...]:
        """Absolute paths of its files and folders that hold no photographs of the capture."""
        return tuple(Path(os.path.abspath(path)) for path in self.project.beside)


def find_projects(sources: Sequence[Path]) -> list[FoundProject]:
    """The projects among the sources. Raises CaptureError for one that is recognised and cannot be read."""
    found = ((source, find_project(source)) for source in sources if source.is_dir())
    return [FoundProject(source, project) for source, project in found if project is not None]


def missing_images(found: Sequence[FoundProject]) -> str | None:
    """The one line for projects without any image; None without projects."""
    if not found:
        return None
    project = found[0].project
    example = project.views[0].name if project.views else "none named"
    return (
        f"{project.path}: a {project.program} project without its images: none of {len(project.views)} "
        f"(such as {example}) is in {found[0].source}; export it with images, or copy them there"
    )


def with_projects(
    capture: Capture,
    found: Sequence[FoundProject],
    poses: Literal["prior", "fixed", "none"],
    intrinsics: bool = True,
) -> Capture:
    """The capture with what the projects know of its photographs, and in `told` what is to be said of it.

    Photographs are found by path, else by name. poses: taken as priors, kept, or left out. intrinsics: whether they are
    taken. Poses of two projects are in two worlds: then neither's are taken.
    """
    one_world = sum(any(view.cam_from_world is not None for view in one.project.views) for one in found) <= 1
    for one in found:
        capture = _with_project(capture, one, poses if one_world else "none", intrinsics)
    if not one_world:
        told = "several projects: each has a world of its own, so their poses are not used"
        capture = replace(capture, told=(*capture.told, told))
    return capture


def _with_project(
    capture: Capture, found: FoundProject, poses: Literal["prior", "fixed", "none"], intrinsics: bool
) -> Capture:
    project = found.project
    if project.clip is not None:
        capture, frames = with_known_frames(capture, project, poses, intrinsics)
        told = _sentence(project, frames, poses, intrinsics) if frames else f"{project.program} project: {_NO_CLIP}"
        return replace(capture, told=(*capture.told, told))
    views = _matched(capture.photos, found)
    if not views:
        told = f"{project.program} project: none of its {len(project.views)} images is here; it is not used"
        logger.warning("%s: %s", project.path, told)
        return replace(capture, told=(*capture.told, told))
    photos = {photo.name: photo for photo in capture.photos}
    views = {name: _fitting(view, photos[name], project) for name, view in views.items()}
    named = [replace(view, name=name) for name, view in views.items()]
    calibrated = [view for view in named if view.calibrated and view.intrinsics is not None]
    if intrinsics and calibrated:
        # A calibration by others holds for their pictures; the rest of the same camera follows.
        capture = with_intrinsics(capture, calibrated, project.path, only_named=True)
    posed = [view for view in named if view.cam_from_world is not None]
    if poses != "none" and posed:
        capture = with_poses(capture, posed, project.path, quiet=True)
    laid = [
        _laid(photo, views[photo.name], project, poses, intrinsics) if photo.name in views else photo
        for photo in capture.photos
    ]
    return replace(capture, photos=tuple(laid), told=(*capture.told, _sentence(project, named, poses, intrinsics)))


def _matched(photos: Sequence[Frame], found: FoundProject) -> dict[str, KnownView]:
    """Views by the name of their photograph: that at their path, else the one their name means within the source."""
    source = Path(os.path.abspath(found.source))
    inside = {
        path: photo.name for photo in photos if (path := Path(os.path.abspath(photo.path))).is_relative_to(source)
    }
    # Links may lead the two sides to one file by different paths.
    places = {path.resolve(): name for path, name in inside.items()} | inside
    matched: dict[str, KnownView] = {}
    by_name: dict[str, KnownView] = {}
    for view in found.project.views:
        name = _placed(view, places)
        if name is not None:
            matched[name] = view
        else:
            by_name.setdefault(view.name, view)
    free = {path.relative_to(source).as_posix(): name for path, name in inside.items() if name not in matched}
    for ours, theirs in match_names(list(free), list(by_name)).items():
        matched[free[ours]] = by_name[theirs]
    return matched


def _placed(view: KnownView, places: dict[Path, str]) -> str | None:
    """The name of the photograph at a view's path."""
    if view.path is None:
        return None
    return places.get(Path(os.path.abspath(view.path)), places.get(view.path.resolve()))


def _fitting(view: KnownView, photo: Frame, project: Project) -> KnownView:
    """The view without intrinsics of another shape, as of a picture that was cropped since."""
    if view.intrinsics is None:
        return view
    turns = quarter_turns(photo, view.intrinsics, view.stored)
    size = (photo.height, photo.width) if turns % 2 else (photo.width, photo.height)
    if view.intrinsics.fits(*size):
        return view
    logger.warning("%s: its camera of %s is of another shape and is not used", project.path, view.name)
    return replace(view, intrinsics=None)


def _laid(
    photo: Frame, view: KnownView, project: Project, poses: Literal["prior", "fixed", "none"], intrinsics: bool
) -> Frame:
    """The frame with what is not intrinsics or pose alone; a start for its focal length where nothing calibrates it."""
    turns = quarter_turns(photo, view.intrinsics, view.stored)
    if photo.known_cam_from_world is not None and poses != "none" and view.cam_from_world is not None:
        photo = replace(
            photo,
            known_pose_program=project.program if poses == "prior" else None,
            known_pose_metric=project.metric,
        )
        if project.up is not None:
            up = turned_camera(view.cam_from_world, turns)[:, :3] @ np.asarray(project.up)
            photo = replace(photo, up_in_camera=(float(up[0]), float(up[1]), float(up[2])))
    if intrinsics and view.intrinsics is not None and not view.calibrated and photo.known_camera is None:
        size = (photo.height, photo.width) if turns % 2 else (photo.width, photo.height)
        photo = replace(photo, exif_focal_px=view.intrinsics.at(*size).focal_px)
    if view.depth is not None:
        photo = replace(photo, depth=replace(view.depth, quarter_turns=turns))
    return photo if view.mask is None else replace(photo, mask=view.mask)


def _sentence(project: Project, views: Sequence[KnownView], poses: str, intrinsics: bool) -> str:
    """What is read of it, in one line."""
    read = []
    if poses != "none" and (posed := sum(view.cam_from_world is not None for view in views)):
        read.append("poses" if posed == len(views) else f"{posed} poses")
    if intrinsics and any(view.intrinsics is not None for view in views):
        read.append("cameras")
    told = f" {'kept' if poses == 'fixed' else 'as priors'}" if read and read[0].endswith("poses") else ""
    for key in ("depth", "mask"):
        if count := sum(getattr(view, key) is not None for view in views):
            plural = {"depth": "depth", "mask": "masks"}[key]
            read.append(plural if count == len(views) else f"{count} {plural}")
    kind = "images" if project.clip is None else f"frames of {project.clip.name}"
    share = (
        f"{len(views)} {kind}" if len(views) == len(project.views) else f"{len(views)} of {len(project.views)} {kind}"
    )
    what = " and ".join(filter(None, [", ".join(read[:-1]), read[-1]])) if read else "nothing"
    return f"{project.program} project: {share}, {what} read{told}"
