"""Jumps along the capture: their size, and the frames between which they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from da3_pipeline.refine.verdict.jumps import Jump, scale_jump, speed_jump
from da3_pipeline.types import Frame


def size(jump: Jump | None) -> float:
    assert jump is not None
    return jump.size


def video(count: int) -> tuple[Frame, ...]:
    return tuple(
        Frame(f"v/{k}.jpg", Path(f"{k}.jpg"), 64, 48, "c", "x", time_s=0.5 * k, video="v.mp4") for k in range(count)
    )


def test_speed_jump_sees_a_fold_and_not_a_turn() -> None:
    steady = np.column_stack([np.cos(np.arange(20) / 5), np.sin(np.arange(20) / 5), np.zeros(20)])
    assert size(speed_jump(video(20), steady)) == pytest.approx(1.0, abs=0.05)
    folded = steady.copy()
    folded[11:] += [8.0, 0, 0]
    leap = speed_jump(video(20), folded)
    assert leap is not None and leap.size > 15 and (leap.before, leap.after) == (10, 11)
    assert speed_jump(video(3), steady[:3]) is None
    photos = tuple(replace(frame, video=None) for frame in video(20))
    assert speed_jump(photos, steady) is None


def test_speed_jump_skips_frames_without_a_pose() -> None:
    line = np.column_stack([np.arange(12.0), np.zeros(12), np.zeros(12)])
    line[5] = np.nan
    assert size(speed_jump(video(12), line)) == pytest.approx(1.0)
    line[:8] = np.nan
    assert speed_jump(video(12), line) is None, "four are left"


def test_speed_jump_is_the_longest_step_over_the_upper_quartile_of_the_worst_video() -> None:
    """Eight steps of 1 along one axis and 10 along another; in a second video, twice as slow, of 1 and 3."""
    line = np.column_stack([np.arange(9.0), np.zeros(9), np.zeros(9)])
    jumped = line + np.outer(np.arange(9) >= 4, [-1.0, 10.0, 0.0])
    less = line + np.outer(np.arange(9) >= 4, [-1.0, 3.0, 0.0])
    slow = tuple(replace(frame, video="slow.mp4", time_s=2 * frame.time_s) for frame in video(9))
    assert size(speed_jump(video(9), jumped)) == pytest.approx(10.0)
    assert size(speed_jump((*slow, *video(9)), np.concatenate([less, jumped]))) == pytest.approx(10.0)
    assert size(speed_jump((*slow, *video(9)), np.concatenate([jumped, less]))) == pytest.approx(10.0)
    assert speed_jump(video(9), np.zeros((9, 3))) is None
    once = np.where(np.arange(9)[:, None] < 4, 0.0, 1.0) * np.ones(3)
    assert size(speed_jump(video(9), once)) == np.inf


def test_scale_jump_is_the_ratio_of_parts_and_bears_single_frames() -> None:
    scales = np.full(20, 2.0)
    assert size(scale_jump(scales)) == 0.0
    scales[[3, 11]] = [20.0, 0.1]
    assert size(scale_jump(scales)) == 0.0
    scales[10:] *= 1.5
    assert scale_jump(scales) == Jump(pytest.approx(np.log(1.5)), 9, 10)
    assert scale_jump(np.insert(scales, 4, [np.nan, 0.0])) == Jump(pytest.approx(np.log(1.5)), 11, 12), (
        "their own places"
    )
    assert scale_jump(scales[:9]) is None
    assert scale_jump(np.concatenate([scales[:9], [np.inf, np.nan, 0.0, -1.0]])) is None, "no scales"
    falling = np.concatenate([np.full(5, 6.0), np.full(5, 2.0), np.full(5, 1.0)])
    assert size(scale_jump(falling)) == pytest.approx(np.log(3))
