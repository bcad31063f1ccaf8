"""The verdict: every gate can fail by itself, and only gates that apply are asked."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from da3_pipeline.refine.config import QualityConfig
from da3_pipeline.refine.solve.problem import Matches
from da3_pipeline.refine.verdict.evidence import image_motion
from da3_pipeline.refine.verdict.gates import Evidence, cells_covered, judge_evidence

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
    odd_frame=0.9,
    points_across=0.9,
    speed_jump=2.0,
    held_out_px=0.5,
    halves_deg=0.05,
    halves_position=0.002,
    cells=0.7,
    scale_jump=0.1,
    image_motion=0.1,
    false_pairs=0.0,
    refuted_neighbours=0.0,
    refuted_overlap=0.0,
    bare_views=0.0,
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
        ({"odd_frame": 0.6}, "odd frame"),
        ({"weakest_cut": 0.1}, "weakest cut"),
        ({"points_across": 0.1}, "points across"),
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
        ({"refuted_neighbours": 1.0}, "refuted neighbours"),
        ({"refuted_overlap": 0.03}, "refuted overlap"),
        ({"look_alikes": 0.09}, "look-alikes"),
        ({"bare_views": 0.06}, "bare views"),
        ({"image_motion": 0.001}, "image motion"),
    ],
)
def test_each_gate_fails_alone_and_is_named(change: dict[str, float], gate: str) -> None:
    verdict = judge_evidence(replace(GOOD, **change), QualityConfig())  # type: ignore[arg-type]
    assert not verdict.passed
    assert [g.name for g in verdict.gates if not g.passed] == [gate]
    assert gate in verdict.summary


@pytest.mark.parametrize("name", sorted(vars(GOOD).keys() - {"frames", "false_pairs"}))
def test_neither_infinity_nor_nan_passes_for_unmeasured(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Infinite errors fail; infinite counts and shares that are asked to be large cannot; NaN is a fault of ours."""
    if getattr(GOOD, name) is None:
        return
    wrong = judge_evidence(replace(GOOD, **{name: float("nan")}), QualityConfig())
    assert not wrong.passed and not wrong.unverified
    assert "fault of da3-pipeline" in caplog.text
    caplog.clear()
    endless = judge_evidence(replace(GOOD, **{name: float("inf")}), QualityConfig())
    assert endless.passed == all(gate.relation == ">=" for gate in endless.gates if np.isinf(gate.value)), (
        "what is too large fails its upper limit"
    )
    assert any(np.isinf(gate.value) for gate in endless.gates), "and is asked"
    assert not caplog.text, "and is no fault"


def test_look_alikes_without_an_order_are_not_proven_wrong() -> None:
    verdict = judge_evidence(replace(GOOD, look_alikes=0.2), QualityConfig())
    assert verdict.unverified and "name the pictures in the order" in verdict.summary
    assert judge_evidence(replace(GOOD, look_alikes=0.02), QualityConfig()).passed


def test_an_endless_held_out_error_is_no_good_scene() -> None:
    """It had been taken for one that does not apply."""
    verdict = judge_evidence(replace(GOOD, held_out_px=float("inf")), QualityConfig())
    assert not verdict.passed and "held-out error inf" in verdict.summary


def test_what_cannot_be_measured_is_said() -> None:
    verdict = judge_evidence(replace(GOOD, exif_ratio=None, speed_jump=None), QualityConfig())
    assert verdict.passed
    assert not {"focal vs EXIF", "speed jump"} & {gate.name for gate in verdict.gates}
    assert {absent.gate: absent.reason for absent in verdict.not_measured} == {
        "focal vs EXIF": "no focal length in EXIF",
        "speed jump": "no video of five frames",
    }
    assert verdict.summary == "good: 23 gates passed, 2 do not apply: speed jump, focal vs EXIF"
    one = judge_evidence(replace(GOOD, speed_jump=None), QualityConfig())
    assert one.summary == "good: 24 gates passed, 1 does not apply: speed jump"
    assert judge_evidence(GOOD, QualityConfig()).summary == "good: 25 gates passed"


PAIR = replace(GOOD, frames=2, mean_track_length=2.0, known_focal=1.0, relief=0.5, weakest_cut=None, halves_deg=None)
FEW = replace(
    GOOD,
    frames=4,
    agreement=0.98,
    linking_points=200.0,
    focal_sigma=0.002,
    let_go_deg=0.1,
    let_go_focal=0.005,
    weakest_of_few=0.9,
    scatter_deg=0.1,
    let_bend_deg=0.01,
)


@pytest.mark.parametrize(
    ("scene", "change", "gate"),
    [
        (PAIR, {"known_focal": 0.0}, "known focal"),
        (PAIR, {"known_focal": 0.5}, "known focal"),
        (PAIR, {"relief": 0.1}, "relief"),
        (PAIR, {"observations_per_frame": 80.0}, "points of two views"),
        (PAIR, {"ray_spread_deg": 2.0}, "parallax of two views"),
        (FEW, {"linking_points": 10.0}, "linking points"),
        (FEW, {"agreement": 0.84}, "agreement of few views"),
        (FEW, {"weakest_of_few": 0.7}, "weakest of few views"),
        (FEW, {"scatter_deg": 0.7}, "parts of the scene"),
        (FEW, {"scatter_deg": 0.5, "agreement": 0.94}, "parts of the scene"),
        (FEW, {"scatter_deg": 0.27, "ray_spread_deg": 2.6}, "parts of the scene"),
        (FEW, {"focal_sigma": float("inf")}, "focal uncertainty"),
        (FEW, {"let_bend_deg": 0.2, "bend_explained": 0.2}, "free lens"),
        (FEW, {"let_bend_deg": 0.3, "bend_explained": 0.0}, "free lens"),
        (FEW, {"ray_spread_deg": 2.0}, "parallax of few views"),
        (FEW, {"let_go_deg": 1.5}, "let go, rotation"),
        (FEW, {"let_go_focal": 0.1}, "let go, focal"),
    ],
)
def test_few_views_that_prove_nothing_are_unverified(scene: Evidence, change: dict[str, float], gate: str) -> None:
    assert judge_evidence(scene, QualityConfig()).passed
    verdict = judge_evidence(replace(scene, **change), QualityConfig())  # type: ignore[arg-type]
    assert not verdict.passed and verdict.unverified
    assert [g.name for g in verdict.gates if not g.passed] == [gate]
    assert verdict.summary.startswith("unverified: ") and "add pictures" in verdict.summary and gate in verdict.summary


def test_few_views_may_scatter_further_where_few_matches_are_false() -> None:
    assert judge_evidence(replace(FEW, scatter_deg=0.5), QualityConfig()).passed


@pytest.mark.parametrize(
    ("scatter_deg", "agreement", "passes"),
    [(1.4, 0.96, True), (1.6, 0.96, False), (0.5, 0.9, False), (0.25, 0.9, True)],
)
def test_many_views_must_stay_without_parts_of_the_scene(scatter_deg: float, agreement: float, passes: bool) -> None:
    many = replace(GOOD, scatter_deg=scatter_deg, agreement=agreement)
    verdict = judge_evidence(many, QualityConfig())
    assert verdict.passed is passes and verdict.unverified is not passes
    assert passes or [gate.name for gate in verdict.gates if not gate.passed] == ["parts of the scene"]


def test_few_views_may_scatter_by_a_tenth_of_a_small_parallax() -> None:
    for scatter_deg, parallax_deg in ((0.25, 2.6), (0.34, 3.45), (0.59, 3.55)):
        few = replace(FEW, scatter_deg=scatter_deg, ray_spread_deg=parallax_deg)
        assert judge_evidence(few, QualityConfig()).passed


def test_cameras_that_a_bending_lens_turns_for_nothing_may_turn_further() -> None:
    assert judge_evidence(replace(FEW, let_bend_deg=0.2, bend_explained=0.05), QualityConfig()).passed


def test_a_scene_that_is_wrong_is_not_merely_unverified() -> None:
    verdict = judge_evidence(replace(PAIR, known_focal=0.0, agreement=0.4), QualityConfig())
    assert not verdict.passed and not verdict.unverified
    assert verdict.summary.startswith("below the gates: many matches contradict the cameras")
    assert "match agreement 0.4, needed >= 0.8" in verdict.summary


def test_what_proofs_lack_is_not_told_of_scenes_of_many_views() -> None:
    assert not judge_evidence(GOOD, QualityConfig()).not_measured


def test_the_more_views_there_are_the_more_false_matches_they_outvote() -> None:
    config = QualityConfig()
    assert [config.least_agreement(frames) for frames in (3, 5)] == [config.min_few_agreement] * 2
    assert config.min_agreement < config.least_agreement(8) < config.least_agreement(6) < config.min_few_agreement
    assert config.least_agreement(13) == pytest.approx(config.min_agreement)


def test_tracks_need_be_no_longer_than_there_are_views() -> None:
    config = QualityConfig()
    assert [config.least_track_length(frames) for frames in (2, 5)] == [2.0] * 2
    assert config.least_track_length(9) == pytest.approx(2.15)
    assert [config.least_track_length(frames) for frames in (13, 1000)] == [pytest.approx(2.3)] * 2
    assert judge_evidence(replace(FEW, frames=3, mean_track_length=2.02), config).passed
    assert not judge_evidence(replace(GOOD, mean_track_length=2.2), config).passed


def test_nothing_refined_fails_on_that_alone() -> None:
    verdict = judge_evidence(Evidence(frames=7, refined_share=0.0), QualityConfig())
    assert not verdict.passed and not verdict.unverified
    assert [gate.name for gate in verdict.gates] == ["refined share"]


def test_cells_are_counted_once_in_each_frame() -> None:
    size = np.array([[80.0, 40.0], [80.0, 40.0], [80.0, 40.0]])
    frame = np.array([0, 0, 0, 1, 2])
    xy = np.array([[1.0, 1.0], [2.0, 2.0], [79.0, 39.0], [5.0, 5.0], [40.0, 20.0]])
    assert cells_covered(frame, xy, size).tolist() == [2 / 64, 1 / 64, 1 / 64]
    assert cells_covered(frame[:3], xy[:3], size).tolist() == [2 / 64, 0.0, 0.0]
    border = np.array(
        [[80.0, 40.0], [-0.2, 20.0], [80.0, 1.0]]
    )  # on a border, or hardly beyond it, is in the cell within
    assert cells_covered(np.zeros(3, np.int64), border, size).tolist() == [3 / 64, 0.0, 0.0]


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


def test_what_is_wrong_is_said_before_what_is_merely_not_proven() -> None:
    """Look-alikes come first among the gates; alone they leave a scene unproven."""
    unproven = replace(GOOD, look_alikes=0.5)
    assert judge_evidence(unproven, QualityConfig()).summary.startswith("unverified: things look alike")
    said = judge_evidence(replace(unproven, cells=0.05), QualityConfig()).summary
    (cells,) = (gate for gate in judge_evidence(replace(GOOD, cells=0.05), QualityConfig()).gates if not gate.passed)
    assert said.startswith(f"below the gates: {cells.finding}")
