"""The verdict: every gate can fail by itself, and only gates that apply are asked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from da3_pipeline.refine.config import QualityConfig
from da3_pipeline.refine.solve.problem import Matches
from da3_pipeline.refine.verdict.evidence import image_motion
from da3_pipeline.refine.verdict.gates import Evidence, cells_covered, judge_evidence, scale_jump, speed_jump
from da3_pipeline.types import Frame

GOOD = Evidence(
    frames=20,
    refined_share=1.0,
    agreement=0.97,
    median_error_px=0.3,
    p95_error_px=1.4,
    weakest=0.9,
    weakest_cut=0.95,
    observations_per_frame=800,
    mean_track_length=3.4,
    ray_spread_deg=12.0,
    fov_deg=60.0,
    exif_ratio=1.02,
    prior_ratio=0.9,
    speed_jump=2.0,
    held_out_px=0.5,
    halves_deg=0.05,
    halves_position=0.002,
    cells=0.7,
    scale_jump=0.1,
    aspect=1.0,
    image_motion=0.1,
    false_pairs=0.0,
)


def test_a_good_scene_passes_every_gate() -> None:
    verdict = judge_evidence(GOOD, QualityConfig())
    assert verdict.passed
    assert all(gate.passed for gate in verdict.gates)
    json.dumps([vars(gate) for gate in verdict.gates])
    assert verdict.summary.startswith("good")


@pytest.mark.parametrize(
    ("change", "gate"),
    [
        ({"refined_share": 0.6}, "refined share"),
        ({"agreement": 0.5}, "match agreement"),
        ({"weakest": 0.2}, "weakest frames"),
        ({"weakest_cut": 0.1}, "weakest cut"),
        ({"median_error_px": 1.6}, "median error"),
        ({"p95_error_px": 3.9}, "p95 error"),
        ({"observations_per_frame": 20}, "observations"),
        ({"mean_track_length": 2.0}, "track length"),
        ({"ray_spread_deg": 1.1}, "parallax"),
        ({"fov_deg": 4.0}, "narrow view"),
        ({"fov_deg": 160.0}, "wide view"),
        ({"exif_ratio": 0.5}, "focal vs EXIF"),
        ({"prior_ratio": 2.1}, "focal vs prior"),
        ({"speed_jump": 60.0}, "speed jump"),
        ({"held_out_px": 3.0}, "held-out error"),
        ({"halves_deg": 3.0}, "halves, rotation"),
        ({"halves_position": 0.1}, "halves, position"),
        ({"cells": 0.05}, "cells covered"),
        ({"scale_jump": 1.1}, "scale jump"),
        ({"aspect": 1.3}, "pixel aspect"),
        ({"image_motion": 0.001}, "image motion"),
    ],
)
def test_each_gate_fails_alone_and_is_named(change: dict[str, float], gate: str) -> None:
    verdict = judge_evidence(replace(GOOD, **change), QualityConfig())  # type: ignore[arg-type]
    assert not verdict.passed
    assert [g.name for g in verdict.gates if not g.passed] == [gate]
    assert gate in verdict.summary


def test_gates_that_do_not_apply_are_left_out() -> None:
    verdict = judge_evidence(replace(GOOD, exif_ratio=float("nan"), speed_jump=float("nan")), QualityConfig())
    assert verdict.passed
    assert not {"focal vs EXIF", "speed jump"} & {gate.name for gate in verdict.gates}


def test_two_frames_need_no_longer_tracks() -> None:
    assert judge_evidence(replace(GOOD, frames=2, mean_track_length=2.0), QualityConfig()).passed


def test_nothing_refined_fails_on_that_alone() -> None:
    verdict = judge_evidence(Evidence.nothing(7), QualityConfig())
    assert not verdict.passed
    assert [gate.name for gate in verdict.gates] == ["refined share"]


def video(count: int) -> tuple[Frame, ...]:
    return tuple(
        Frame(f"v/{k}.jpg", Path(f"{k}.jpg"), 64, 48, "c", "x", time_s=0.5 * k, video="v.mp4") for k in range(count)
    )


def test_speed_jump_sees_a_fold_and_not_a_turn() -> None:
    steady = np.column_stack([np.cos(np.arange(20) / 5), np.sin(np.arange(20) / 5), np.zeros(20)])
    assert speed_jump(video(20), steady) == pytest.approx(1.0, abs=0.05)
    folded = steady.copy()
    folded[11:] += [8.0, 0, 0]
    assert speed_jump(video(20), folded) > 15
    assert np.isnan(speed_jump(video(3), steady[:3]))
    photos = tuple(replace(frame, video=None) for frame in video(20))
    assert np.isnan(speed_jump(photos, steady))


def test_speed_jump_skips_frames_without_a_pose() -> None:
    line = np.column_stack([np.arange(12.0), np.zeros(12), np.zeros(12)])
    line[5] = np.nan
    assert speed_jump(video(12), line) == pytest.approx(1.0)


def test_scale_jump_is_the_ratio_of_parts_and_bears_single_frames() -> None:
    scales = np.full(20, 2.0)
    assert scale_jump(scales) == 0.0
    scales[[3, 11]] = [20.0, 0.1]
    assert scale_jump(scales) == 0.0
    scales[10:] *= 1.5
    assert scale_jump(scales) == pytest.approx(np.log(1.5))
    assert np.isnan(scale_jump(scales[:9]))


def test_cells_are_counted_once_and_of_the_given_frames() -> None:
    size = np.array([[80.0, 40.0], [80.0, 40.0], [80.0, 40.0]])
    frame = np.array([0, 0, 0, 1, 2])
    xy = np.array([[1.0, 1.0], [2.0, 2.0], [79.0, 39.0], [5.0, 5.0], [40.0, 20.0]])
    assert cells_covered(frame, xy, size, np.array([True, False, False])) == 2 / 64
    assert cells_covered(frame, xy, size, np.array([True, True, True])) == 1 / 64
    assert np.isnan(cells_covered(frame, xy, size, np.zeros(3, bool)))


def test_image_motion_is_that_of_most_pairs_whatever_the_size_of_the_images() -> None:
    """Three pairs of unlike many matches: two stand still, one moves by a tenth; then two move."""
    counts = (10, 500, 30)
    pair = np.repeat(np.arange(3), counts)
    frames = np.array([[0, 1], [0, 2], [1, 2]])
    size_px = np.array([[640, 480], [480, 640], [320, 240]], float)
    place = np.random.default_rng(0).uniform(0.1, 0.6, (len(pair), 2))

    def motion(steps: tuple[float, float, float]) -> float:
        moved = place + np.array(steps)[pair][:, None] * np.array([0.6, 0.8])
        longer = size_px.max(axis=1)[frames[pair]]
        matches = Matches(pair, frames, place * longer[:, :1], moved * longer[:, 1:], np.zeros((3, 3, 3)), np.zeros(3))
        return image_motion(SimpleNamespace(matches=matches, size_px=size_px))  # type: ignore[arg-type]

    assert motion((0.0, 0.1, 0.0)) == pytest.approx(0.0)
    assert motion((0.2, 0.1, 0.0)) == pytest.approx(0.1)
