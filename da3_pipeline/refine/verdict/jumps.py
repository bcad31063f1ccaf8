"""Jumps along the capture: of the camera's speed, and of the scene's size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arrays import Float
from ...types import Frame

__all__ = ["Jump", "scale_jump", "speed_jump"]

_WINDOW = 5  # frames on either side of a jump
_ALIKE = 0.95  # of the largest ratio


@dataclass(frozen=True)
class Jump:
    """Its size, and the frames between which it is."""

    size: float
    before: int
    after: int


def speed_jump(frames: tuple[Frame, ...], centres: Float) -> Jump | None:
    """Largest speed between consecutive posed frames of a video over its upper quartile; None without video.

    Right trajectories are smooth; a fold or a wrong registration makes one step far longer than the rest.
    """
    worst: Jump | None = None
    for video in sorted({frame.video for frame in frames if frame.video is not None}):
        mine = [k for k, f in enumerate(frames) if f.video == video and f.time_s is not None]
        mine = [k for k in mine if np.isfinite(centres[k]).all()]
        if len(mine) < 5:
            continue
        times = np.array([frames[k].time_s for k in mine], float)
        steps = np.linalg.norm(np.diff(centres[mine], axis=0), axis=1) / np.maximum(np.diff(times), 1e-6)
        typical = float(np.quantile(steps, 0.75))
        if steps.max() > 0:  # else it stands still, which is no jump
            longest = int(steps.argmax())
            size = float(steps[longest] / typical) if typical > 0 else float("inf")
            if worst is None or size > worst.size:
                worst = Jump(size, mine[longest], mine[longest + 1])
    return worst


def scale_jump(scales: Float) -> Jump | None:
    """Largest |log ratio| between the scale of frames before and after any place of the capture; None for few frames.

    scales (N,) in capture order, from predicted depth to tracks (see `depth_scale`); frames without one are passed
    over. One network pass predicts all depth at one scale, so parts of a solution that drifted apart in size show.
    Medians of five frames on either side bear single frames whose depth is poor; of places that look alike by them
    it is the one with the most even scales on either side.
    """
    usable = np.flatnonzero(np.isfinite(scales) & (scales > 0))
    known = np.log(scales[usable])
    if len(known) < 2 * _WINDOW:
        return None
    windows = np.lib.stride_tricks.sliding_window_view(known, _WINDOW)
    medians = np.median(windows, axis=1)
    scatter = np.abs(windows - medians[:, None]).sum(axis=1)
    ratios = np.abs(medians[_WINDOW:] - medians[:-_WINDOW])
    alike = np.flatnonzero(ratios >= _ALIKE * ratios.max())
    before = int(alike[np.argmin((scatter[_WINDOW:] + scatter[:-_WINDOW])[alike])]) + _WINDOW - 1
    return Jump(float(ratios.max()), int(usable[before]), int(usable[before + 1]))
