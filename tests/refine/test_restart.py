"""A scene that fails its gates starts again elsewhere; the better of both stands."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scenes import Make, Synthetic

from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine import refinement
from da3_pipeline.refine.config import RefineConfig
from da3_pipeline.refine.matching.correspondences import Correspondences
from da3_pipeline.types import Prediction, Scene


def refined(
    capture: Synthetic, monkeypatch: pytest.MonkeyPatch, lost: bool, up_to: int = 60
) -> tuple[Scene, list[str]]:
    """The scene of a capture that loses half of its frames the first time where `lost`; and how each try started."""
    asked = []
    few = replace(capture.correspondences, pairs=tuple(pair for pair in capture.correspondences.pairs if pair.j < 4))

    def refine(prediction: Prediction, found: Correspondences, config: RefineConfig, *others: Any) -> Scene:
        asked.append(config.initialisation.start)
        first = lost and asked[-1] == "several"
        return refine_matched(prediction, few if first else found, config, *others)

    refine_matched = refinement.refine_matched
    monkeypatch.setattr(refinement, "refine_matched", refine)
    monkeypatch.setattr(refinement, "find_correspondences", lambda *_: capture.correspondences)
    config = RefineConfig.model_validate({"matcher": "sift", "initialisation": {"restart_up_to": up_to}})
    scene = refinement.run(capture.prediction, config, SilentProgress())
    monkeypatch.undo()
    return scene, asked


def test_a_wrong_solution_is_left_for_one_that_started_elsewhere(
    make_capture: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = make_capture(frames=8)
    scene, asked = refined(capture, monkeypatch, lost=True)
    assert asked == ["several", "incremental"]
    assert scene.verdict.passed, scene.verdict.summary
    assert "COLMAP incremental mapper" in [candidate.name for candidate in scene.candidates]
    assert scene.figures["restart_s"] > 0
    rotation_deg, shift = capture.pose_errors(scene.cam_from_world)
    assert rotation_deg < 0.3 and shift < 0.01


def test_what_passes_and_what_is_too_large_does_not_start_again(
    make_capture: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = make_capture(frames=8)
    good, asked = refined(capture, monkeypatch, lost=False)
    assert good.verdict.passed and asked == ["several"] and "restart_s" not in good.figures
    large, asked = refined(capture, monkeypatch, lost=True, up_to=7)
    assert not large.verdict.passed and asked == ["several"]


def test_no_better_scene_is_no_change(make_capture: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the spot neither start finds how far anything is."""
    capture = make_capture(frames=6, layout="rotation")
    scene, asked = refined(capture, monkeypatch, lost=False)
    assert "incremental" in asked and not scene.verdict.passed
    alone = refinement.refine_matched(
        capture.prediction, capture.correspondences, RefineConfig(matcher="sift"), SilentProgress()
    )
    np.testing.assert_array_equal(scene.cam_from_world, alone.cam_from_world)
