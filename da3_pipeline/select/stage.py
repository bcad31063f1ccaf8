"""The second stage: which frames to work on."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..errors import SelectionError
from ..progress import Progress
from ..types import Capture, Dropped, Frame, FrameSet, KnownFrames, VideoClip
from ..videoio import UnreadableVideoError
from .analysis import VideoAnalysis, analyse
from .choose import Choice, choose
from .config import SelectConfig
from .names import frame_names
from .panorama_views import with_views
from .photos import looked_at, without_smeared
from .stills import still_path, write_stills

__all__ = ["run"]

Item = TypeVar("Item", Frame, VideoClip)


def run(capture: Capture, config: SelectConfig, progress: Progress, stills: Path) -> FrameSet:
    """All photographs but exact duplicates, then the chosen frames of each video in the order of time.

    Frames too blurred to train on, yet worth having for the poses, are in it with `training` False and a remark.

    Videos are decoded twice, a frame in memory at a time: once small, to see sharpness and motion, once to write the
    chosen frames as JPEG files below `stills`. Those already there from an interrupted run are kept. In the place of a
    panorama come pinhole views that were rendered from it, likewise below `stills`.
    Every frame left out is in `FrameSet.dropped` with its reason, a video's under the name it would have had.
    Raises SelectionError where fewer than two frames are left.
    """
    photos, twin_photos = _without_twins(capture.photos)
    clips, twin_clips = _without_twins(capture.videos)
    dropped = [*twin_photos, *twin_clips]
    analysed, unreadable = _analysed(clips, config, progress)
    choices = choose([analysis for _, analysis in analysed], [clip.times_s for clip, _ in analysed], config)
    dropped += unreadable
    names = frame_names(capture)
    frames = without_smeared(looked_at(photos, config, progress), config)
    for (clip, analysis), choice in zip(analysed, choices, strict=True):
        name = names[clip.name]
        frames += [_frame(clip, name(index), analysis, choice, index, stills) for index in choice.taken.tolist()]
        dropped += [Dropped(name(index), reason) for index, reason in choice.reasons.items()]
    if len(frames) < 2:
        raise SelectionError(_too_few(capture, frames, dropped))
    _write([clip for clip, _ in analysed], choices, stills, progress)
    seen, unread = with_views(_trainable(frames, config), config.panoramas, stills / "views", progress)
    return FrameSet(tuple(seen), (*dropped, *unread))


def _trainable(frames: Sequence[Frame], config: SelectConfig) -> Sequence[Frame]:
    """The frames, all of them for training where the config wants that or fewer than two would be left."""
    if config.pose_only and sum(frame.training for frame in frames) >= 2:
        return frames
    return [replace(frame, training=True) for frame in frames]


def _without_twins(items: Sequence[Item]) -> tuple[list[Item], list[Dropped]]:
    """The items without those whose file is byte for byte that of an earlier one."""
    first: dict[Hashable, str] = {}
    kept: list[Item] = []
    twins: list[Dropped] = []
    for item in items:
        if item.fingerprint in first:
            twins.append(Dropped(item.name, f"the same file as {first[item.fingerprint]}"))
        else:
            first[item.fingerprint] = item.name
            kept.append(item)
    return kept, twins


def _analysed(
    clips: Sequence[VideoClip], config: SelectConfig, progress: Progress
) -> tuple[list[tuple[VideoClip, VideoAnalysis]], list[Dropped]]:
    results: list[tuple[VideoClip, VideoAnalysis]] = []
    dropped: list[Dropped] = []
    total = sum(len(clip.times_s) for clip in clips)
    before = 0
    for clip in clips:

        def heard(index: int, clip: VideoClip = clip, before: int = before) -> None:
            progress.step(before + index + 1, total, f"frames of {clip.name} looked at")

        if not config.asked_for(clip.times_s).any():
            dropped.append(Dropped(clip.name, _too_short(clip)))
            continue
        try:
            results.append((clip, analyse(clip, config, heard)))
        except UnreadableVideoError as error:
            dropped.append(Dropped(clip.name, error.reason))
        before += len(clip.times_s)
    return results, dropped


def _write(clips: Sequence[VideoClip], choices: Sequence[Choice], stills: Path, progress: Progress) -> None:
    total = sum(len(choice.taken) for choice in choices)
    done = 0

    def heard(index: int) -> None:
        nonlocal done
        done += 1
        progress.step(done, total, "stills")

    for clip, choice in zip(clips, choices, strict=True):
        write_stills(clip, choice.taken.tolist(), stills, heard)


def _frame(clip: VideoClip, name: str, analysis: VideoAnalysis, choice: Choice, index: int, stills: Path) -> Frame:
    """Of another shape than the clip begins with, it is of a camera of its own, of which nothing is known."""
    shot, own = int(analysis.shot[index]), analysis.other_shapes.get(index)
    width, height = own or (clip.width, clip.height)
    frame = Frame(
        name=name,
        path=still_path(clip, index, stills),
        width=width,
        height=height,
        camera_id=f"{clip.camera_id}-{width}x{height}" if own else clip.camera_id,
        fingerprint=f"{clip.fingerprint}-{index:06d}",
        time_s=float(clip.times_s[index]),
        video=clip.name if shot == 0 else f"{clip.name}#{shot + 1}",
        exif_focal_px=None if own else clip.exif_focal_px,
        lens=None if own else clip.lens,
        known_camera=None if own else clip.known_camera,
        sharpness=float(analysis.sharpness[index]),
        mask=clip.frame_masks.get(index, clip.mask),
        training=index not in choice.pose_only,
        remark=choice.pose_only.get(index) or choice.remarks.get(index),
        exposure=analysis.exposures.get(index),
        pixels=(*clip.pixels, *_size_changes(clip, analysis, index)),
        panorama=None if own else clip.panorama,
    )
    return frame if own or clip.known_frames is None else _with_known(frame, clip.known_frames, index)


def _with_known(frame: Frame, known: KnownFrames, index: int) -> Frame:
    frame = replace(frame, depth=known.depth.get(index))
    pose = np.asarray(known.cam_from_world[index])
    if not np.isfinite(pose).all():
        return frame
    up = None if known.up is None else pose[:, :3] @ np.asarray(known.up)
    return replace(
        frame,
        known_cam_from_world=pose,
        known_pose_form="colmap",
        known_pose_program=known.program,
        known_pose_metric=known.metric,
        up_in_camera=None if up is None else (float(up[0]), float(up[1]), float(up[2])),
    )


def _size_changes(clip: VideoClip, analysis: VideoAnalysis, index: int) -> tuple[str, ...]:
    if index in analysis.resized:
        return (f"partly of another size in the video, brought to {clip.width} x {clip.height} px",)
    if index in analysis.other_shapes:
        return ("partly of another shape in the video, as of another camera",)
    return ()


def _too_short(clip: VideoClip) -> str:
    return (
        f"it lasts {clip.times_s[-1] - clip.times_s[0]:.2f} s, which ends before the stretch that is asked for begins"
    )


def _too_few(capture: Capture, frames: Sequence[Frame], dropped: Sequence[Dropped]) -> str:
    """The one line for a capture that gives no two views."""
    left = f"{frames[0].name} is the only frame left" if frames else "no frame is left"
    if not frames and len(dropped) == len(capture.videos) == 1:
        return f"{dropped[0].frame}: {dropped[0].reason}; correct --from"
    if capture.videos and not capture.photos:
        return f"{left} of {len(dropped) + len(frames)}: the video shows one view; move the camera while filming"
    return f"{left}: reconstruction needs at least two different views; add photographs"
