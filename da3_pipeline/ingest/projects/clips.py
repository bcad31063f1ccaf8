"""Lay what another program's project says of a video's frames over the clip, by their numbers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from ...geometry import turned_camera
from ...types import Capture, KnownFrames, VideoClip
from .views import KnownView, Project

__all__ = ["with_known_frames"]


def with_known_frames(
    capture: Capture, project: Project, poses: Literal["prior", "fixed", "none"], intrinsics: bool
) -> tuple[Capture, tuple[KnownView, ...]]:
    """The capture with its clip that `project` is about, and the views that are of frames of it; none without it."""
    clip = next((clip for clip in capture.videos if _same(clip.path, project.clip)), None)
    views = () if clip is None else tuple(view for view in project.views if view.frame in range(len(clip.times_s)))
    if clip is None or not views:
        return capture, ()
    known = replace(clip, known_frames=_known(clip, project, views, poses))
    focals = [np.mean(view.intrinsics.params[:2]) for view in views if view.intrinsics is not None]
    if intrinsics and focals and clip.known_camera is None:
        known = replace(known, exif_focal_px=float(np.median(focals)))
    return replace(capture, videos=tuple(known if one is clip else one for one in capture.videos)), views


def _known(
    clip: VideoClip, project: Project, views: Sequence[KnownView], poses: Literal["prior", "fixed", "none"]
) -> KnownFrames:
    """Poses and depth of the frames as players show them."""
    turns = -clip.rotation_deg // 90 % 4
    placed = np.full((len(clip.times_s), 3, 4), np.nan)
    depth = {}
    for view in views:
        if view.frame is None:
            continue
        if view.cam_from_world is not None and poses != "none":
            placed[view.frame] = turned_camera(view.cam_from_world, turns)
        if view.depth is not None:
            depth[view.frame] = replace(view.depth, quarter_turns=turns)
    return KnownFrames(project.program if poses == "prior" else None, placed, depth, project.metric, project.up)


def _same(path: Path, other: Path | None) -> bool:
    return other is not None and (os.path.abspath(path) == os.path.abspath(other) or path.resolve() == other.resolve())
