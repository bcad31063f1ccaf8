"""Which frames of analysed videos to take, and what for: pure arithmetic on what `analyse` found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..arrays import Float, Int
from .analysis import VideoAnalysis
from .config import SelectConfig
from .pauses import pause_lengths_s
from .reasons import Reasons
from .shots import Shot, common_step, shots_of
from .training import judge

__all__ = ["Choice", "choose"]

_SMEARED = "blurred: sharper frames just before and after were taken"


@dataclass(frozen=True)
class Choice:
    """`taken` indices into a clip's frames, rising; `reasons` why each other frame is left out.

    pose_only: those taken for the poses alone, and why. remarks: what is poor about others that are taken.
    """

    taken: Int
    reasons: dict[int, str]
    pose_only: dict[int, str] = field(default_factory=dict)
    remarks: dict[int, str] = field(default_factory=dict)


def choose(analyses: Sequence[VideoAnalysis], times_s: Sequence[Float], config: SelectConfig) -> list[Choice]:
    """Equal steps of image motion, the sharpest frame near each; one `Choice` a clip.

    The step is `config.min_motion`; more, where that is needed to bring all clips together within `config.max_frames`;
    down to a quarter of it where the clips would give less than a dozen. Each shot gives at least one frame, and
    exactly one if the camera stands still; where there are more shots than frames wanted, those with the most motion
    give theirs.
    What a clip shows for the third time is never taken; what it shows for the second time is taken as if it were new
    while the budget lasts, and else at three times the step and for the poses only.
    `times_s` are told in the reasons. A rate that `config` asks for is followed to the frame, whatever they show and
    however many they are.
    """
    if config.fps is not None or config.every is not None:
        return [_at_rate(analysis, times, config) for analysis, times in zip(analyses, times_s, strict=True)]
    shots = _all_shots(analyses, 1.0)
    scarce = sum(shot.count(config.min_motion) * shot.images for shot in shots) > config.max_frames
    if scarce:
        shots = _all_shots(analyses, config.spacing.again)
    kept: list[list[Shot]] = [[] for _ in analyses]
    left = config.max_frames
    for shot in sorted(shots, key=lambda shot: -shot.motion):
        if left > 0:  # the first one is kept whatever it costs
            kept[shot.clip].append(shot)
        left -= shot.images
    step = common_step([shot for of_clip in kept for shot in of_clip], config)
    choices = [_choice(of_clip, step, scarce, config) for of_clip in kept]
    full = f"over the budget of {config.max_frames} frames" if scarce else ""
    return [
        _with_reasons(choice, _reasons(choice, analysis, times, full, config))
        for choice, analysis, times in zip(choices, analyses, times_s, strict=True)
    ]


def _at_rate(analysis: VideoAnalysis, times_s: Float, config: SelectConfig) -> Choice:
    """Every so many frames, or those nearest to equal times, from the first one on."""
    frames = np.flatnonzero(analysis.decoded)
    if config.every is not None or not len(frames):
        taken = frames[:: config.every]
    else:
        own_s = times_s[frames]
        aims_s = np.arange(own_s[0], own_s[-1] + 1e-9, 1 / (config.fps or 1.0))
        after = np.searchsorted(own_s, aims_s).clip(1, max(len(own_s) - 1, 1))
        before_s, after_s = own_s[after - 1], own_s[np.minimum(after, len(own_s) - 1)]
        nearest = np.where(aims_s - before_s <= after_s - aims_s, after - 1, after)
        taken = frames[np.unique(nearest.clip(0, len(own_s) - 1))]
    rate = f"every {config.every} frames" if config.every is not None else f"{config.fps:g} frames a second"
    why = Reasons(analysis, times_s, taken, 0.0, np.zeros(len(times_s)), 0.0, "")
    rest = sorted(set(range(len(times_s))) - set(taken.tolist()))
    reasons = {k: f"{rate} were asked for" if analysis.decoded[k] else why.of(k) for k in rest}
    return Choice(taken, reasons)


def _reasons(choice: Choice, analysis: VideoAnalysis, times_s: Float, full: str, config: SelectConfig) -> Reasons:
    still = config.min_motion * config.spacing.still
    pause_s = pause_lengths_s(analysis, times_s, still, config.spacing.still_s)
    return Reasons(analysis, times_s, choice.taken, still, pause_s, config.sharpness.blurred_share, full)


def _all_shots(analyses: Sequence[VideoAnalysis], again: float) -> list[Shot]:
    return [shot for number, analysis in enumerate(analyses) for shot in shots_of(number, analysis, again)]


def _choice(shots: Sequence[Shot], step: float, scarce: bool, config: SelectConfig) -> Choice:
    """What the shots of one clip give; the reasons are those of frames that were taken and given up again."""
    taken: list[int] = []
    smeared: dict[int, str] = {}
    pose_only: dict[int, str] = {}
    remarks: dict[int, str] = {}
    for shot in shots:
        places = shot.pick(step, config)
        found = judge(shot, places, step, config, revisits_are_redundant=scarce)
        frame_of = {place: int(shot.frames[place]) for place in places}
        taken += [frame for place, frame in frame_of.items() if place not in found.dropped]
        smeared |= {frame_of[place]: _SMEARED for place in found.dropped}
        pose_only |= {frame_of[place]: why for place, why in found.pose_only.items()}
        remarks |= {frame_of[place]: remark for place, remark in found.remarks.items()}
    return Choice(np.array(sorted(taken), np.int64), smeared, pose_only, remarks)


def _with_reasons(choice: Choice, why: Reasons) -> Choice:
    left_out = sorted(set(range(len(why.times_s))) - set(choice.taken.tolist()))
    reasons = {frame: choice.reasons.get(frame) or why.of(frame) for frame in left_out}
    return Choice(choice.taken, reasons, choice.pose_only, choice.remarks)
