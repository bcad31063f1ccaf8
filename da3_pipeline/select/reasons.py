"""Why frames of a video are not taken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import Float, Int
from .analysis import VideoAnalysis

__all__ = ["Reasons"]


@dataclass(frozen=True)
class Reasons:
    """Why frames of one clip are left out.

    still: motion that counts as none. pause_s (F,): see `pause_lengths_s`. blurred_share: of another's sharpness, below
    which a frame is blurred. full: what is said of frames beyond the budget, empty within it.
    """

    analysis: VideoAnalysis
    times_s: Float
    taken: Int
    still: float
    pause_s: Float
    blurred_share: float
    full: str

    def of(self, frame: int) -> str:
        """One clause about a frame that was not taken, beside the one that was taken in its place."""
        analysis = self.analysis
        if frame in analysis.outside:
            return "outside the stretch that was asked for"
        if not analysis.decoded[frame]:
            return "it cannot be decoded"
        if analysis.visits[frame] > 1:
            return "seen before: its place was shown twice already"
        same_shot = self.taken[analysis.shot[self.taken] == analysis.shot[frame]]
        if len(same_shot) == 0:
            return self.full or "nothing new is to be seen in its shot"
        distance = np.abs(analysis.travelled[same_shot] - analysis.travelled[frame])
        other = int(same_shot[np.lexsort((np.abs(same_shot - frame), distance))[0]])
        apart = f"{abs(self.times_s[other] - self.times_s[frame]):.2f} s away"
        if analysis.sharpness[frame] < self.blurred_share * analysis.sharpness[other]:
            return f"blurred: a sharper frame {apart} was taken"
        shown = "shows nearly the same" if distance.min() < self.still else "is close enough"
        if self.pause_s[frame] > 0:
            return f"stationary: the camera pauses for {self.pause_s[frame]:.1f} s; the frame {apart} {shown}"
        if distance.min() < self.still or not self.full:
            return f"the frame {apart} {shown}"
        return self.full
