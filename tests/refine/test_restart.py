"""A scene that fails its gates starts again elsewhere; the better of both stands."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scenes import Make, Synthetic

from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine import refinement
from da3_pipeline.refine.amendments.repeats import where_expected
from da3_pipeline.refine.config import RefineConfig
from da3_pipeline.refine.matching.correspondences import Correspondences
from da3_pipeline.refine.refinement import _escalated, _is_better, _prior_scene, _restarted
from da3_pipeline.types import Gate, Prediction, Scene, Verdict


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


def judged(capture: Synthetic, held: int, failed: str = "", passed: bool | None = None) -> Scene:
    """A scene that holds the first frames, and fails at the gates of these letters."""
    gates = tuple(Gate(name, 0.0, ">=", 1.0, name not in failed, "") for name in "abc")
    verdict = Verdict(not failed if passed is None else passed, gates, "judged")
    sources = tuple("refined" if k < held else "none" for k in range(len(capture.frames)))
    scene = _prior_scene(capture.prediction, RefineConfig(), "made")
    return replace(scene, pose_source=sources, verdict=verdict)


@pytest.mark.parametrize(
    ("other", "scene", "better"),
    [
        ((4, ""), (4, "a"), True),
        ((4, "a"), (4, "a"), False),
        ((4, ""), (4, ""), False),
        ((5, "a"), (4, "a"), True),
        ((4, "a"), (4, "ab"), True),
        ((5, "b"), (4, "a"), False),  # fails at something new
        ((5, "ab"), (4, "a"), False),
        ((3, "a"), (4, "ab"), False),  # holds fewer
        ((3, ""), (4, "a"), True),  # but passes
        ((5, "b"), (0, "a"), True),  # of one that holds none
        ((0, "b"), (0, "a"), False),
        ((4, "", True), (4, "", False), True),  # where the other is unverified
        ((4, "", False), (4, "", True), False),
    ],
)
def test_the_better_scene_holds_more_or_fails_at_less_and_at_nothing_new(
    make_capture: Make, other: tuple[Any, ...], scene: tuple[Any, ...], better: bool
) -> None:
    capture = make_capture(frames=5, points=40)
    assert _is_better(judged(capture, *other), judged(capture, *scene)) is better


@pytest.mark.parametrize(
    ("frames", "up_to", "given", "pairs", "failed", "asked"),
    [
        (3, 60, 0, True, "a", True),
        (2, 60, 0, True, "a", False),
        (5, 5, 0, True, "a", True),
        (5, 4, 0, True, "a", False),
        (4, 60, 3, True, "a", True),
        (4, 60, 4, True, "a", False),
        (4, 60, 0, False, "a", False),
        (4, 60, 0, True, "", False),
    ],
)
def test_few_frames_that_match_and_that_nobody_placed_start_again(
    make_capture: Make,
    monkeypatch: pytest.MonkeyPatch,
    frames: int,
    up_to: int,
    given: int,
    pairs: bool,
    failed: str,
    asked: bool,
) -> None:
    capture = make_capture(frames=frames, points=100)
    capture = capture.with_frames(
        replace(frame, known_cam_from_world=capture.cam_from_world[k]) if k < given else frame
        for k, frame in enumerate(capture.frames)
    )
    capture = capture if pairs else capture.with_pairs(())
    good, tries = judged(capture, frames), []

    def refine(*told: Any) -> Scene:
        tries.append(told)
        return replace(good, figures=dict(told[4]))

    monkeypatch.setattr(refinement, "refine_matched", refine)
    config = RefineConfig.model_validate({"initialisation": {"restart_up_to": up_to}})
    first = replace(judged(capture, frames, failed), figures={"matching_s": 1.5})
    scene = _restarted(first, capture.prediction, capture.correspondences, config, SilentProgress())
    assert len(tries) == asked
    if not asked:
        assert scene is first
        return
    prediction, correspondences, again, _, figures, amendments = tries[0]
    assert prediction is capture.prediction and correspondences is capture.correspondences
    assert set(refinement.OF_THE_WINNER) - set(amendments) == {where_expected}
    assert again.initialisation.start == "incremental" and again.solve == config.solve
    assert figures == {"matching_s": 1.5} and scene.figures.keys() == {"matching_s", "restart_s"}
    assert scene.verdict.passed and scene.figures["restart_s"] >= 0


@pytest.mark.parametrize(
    ("held", "failed", "weak", "said"),
    [
        (4, "a", [1], "001.png, 004.png hang"),
        (4, "a", [], "004.png hangs"),
        (4, "", [1], "001.png, 004.png hang"),
        (5, "a", [1, 4], "001.png, 004.png hang"),
        (5, "a", [], ""),
        (5, "", [1], ""),
    ],
)
def test_frames_that_are_lost_or_hang_on_little_are_escalated_where_it_shows(
    make_capture: Make, monkeypatch: pytest.MonkeyPatch, held: int, failed: str, weak: list[int], said: str
) -> None:
    capture = make_capture(frames=5, points=40)
    monkeypatch.setattr(refinement, "left_weak", lambda count, *_: np.isin(np.arange(count), weak))
    monkeypatch.setattr(refinement, "escalation_matcher", lambda _: None)
    first = judged(capture, held, failed)
    config = RefineConfig.model_validate({"pairs": {"escalated_up_to": 4}})
    scene = _escalated(first, capture.prediction, capture.correspondences, config, SilentProgress())
    assert (scene is first) is (not said)
    remark = f"{said} on little: pip install 'da3-pipeline[matchers]' may help"
    assert scene.verdict.remarks == ((remark,) if said else ())
