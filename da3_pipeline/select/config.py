"""How many frames of a video are taken, and how far apart."""

from __future__ import annotations

from pydantic import Field

from ..settings import Settings

__all__ = ["SelectConfig"]


class SelectConfig(Settings):
    """Settings of the second stage. Photographs are all taken, whatever these say about number and motion."""

    max_frames: int = Field(default=300, ge=2, description="most frames to take from all videos together")
    min_motion: float = Field(
        default=0.04, gt=0, le=1, description="image motion between frames taken, as a share of the picture's diagonal"
    )
    pose_only: bool = Field(
        default=True,
        description="frames too blurred or too redundant to train on help the solve alone; False: all train",
    )
