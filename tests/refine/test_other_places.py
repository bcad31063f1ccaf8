"""Frames left out together are one place, or several; what a prediction says of some frames is what it said of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import Make, landscape

from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine import RefineConfig
from da3_pipeline.refine.other_places import other_places, restricted
from da3_pipeline.refine.refinement import refine_matched
from da3_pipeline.types import GaussianCloud


def joined(*groups: range) -> list[tuple[int, int]]:
    return [(i, j) for group in groups for i in group for j in group if i < j]


def test_groups_that_match_each_other_are_places_the_largest_first(make_capture: Make) -> None:
    capture = make_capture(frames=16)
    wanted = joined(range(6), range(6, 9), range(9, 14))
    pairs = [pair for pair in capture.correspondences.pairs if (pair.i, pair.j) in wanted]
    problem = capture.with_pairs(tuple(pairs)).problem()

    def places(left_out: list[int], least: int) -> list[list[int]]:
        return [place.tolist() for place in other_places(problem, np.isin(np.arange(16), left_out), least)]

    everything = list(range(16))
    assert places(everything, 3) == [[0, 1, 2, 3, 4, 5], [9, 10, 11, 12, 13], [6, 7, 8]], "14 and 15 match nothing"
    assert places(everything, 4) == [[0, 1, 2, 3, 4, 5], [9, 10, 11, 12, 13]]
    assert places([6, 7, 8, 10, 11, 12], 3) == [[6, 7, 8], [10, 11, 12]], "of equals the one that comes first"
    assert places([], 2) == []


def test_of_places_as_large_the_one_that_begins_first_is_first(make_capture: Make) -> None:
    capture = make_capture(frames=16)
    wanted = [(0, 14), (0, 15), (14, 15), (1, 2), (1, 3), (2, 3)]
    problem = capture.with_pairs(p for p in capture.correspondences.pairs if (p.i, p.j) in wanted).problem()
    found = other_places(problem, np.ones(16, bool), 3)
    assert [place.tolist() for place in found] == [[0, 14, 15], [1, 2, 3]]


def test_the_matches_of_a_frame_that_is_in_the_scene_join_none_that_are_left_out(make_capture: Make) -> None:
    capture = make_capture(frames=9)
    star = [pair for pair in capture.correspondences.pairs if 0 in (pair.i, pair.j)]
    assert other_places(capture.with_pairs(tuple(star)).problem(), np.arange(9) > 0, 2) == ()


def test_the_smaller_of_two_places_is_named_and_said(make_capture: Make) -> None:
    capture = make_capture(frames=18, layout="halves", lenses=(landscape(),), prior_deg=1.0)
    lost = capture.with_prior(np.tile(np.eye(3, 4), (18, 1, 1)))
    scene = refine_matched(lost.prediction, lost.correspondences, RefineConfig(), SilentProgress())
    assert scene.pose_source.count("refined") == 9
    left_out = tuple(f.name for f, source in zip(scene.frames, scene.pose_source, strict=True) if source != "refined")
    assert scene.other_places == (left_out,)
    said = f"9 images left out match each other, {left_out[0]} to {left_out[-1]}: another place? --split tries them"
    assert any(remark.startswith(said) for remark in scene.verdict.remarks) and said in scene.verdict.summary
    few = RefineConfig(quality=RefineConfig().quality.model_copy(update={"place_from": 10}))
    assert refine_matched(lost.prediction, lost.correspondences, few, SilentProgress()).other_places == ()


@pytest.mark.parametrize("chosen", [[2, 3, 4], [0, 3, 5]])
def test_a_restricted_prediction_says_the_same_of_fewer_frames(make_capture: Make, chosen: list[int]) -> None:
    made = make_capture(frames=6).prediction
    rng = np.random.default_rng(0)
    view = np.array([5, 0, 3, 3, 2, 4], np.int32)
    cloud = GaussianCloud(
        *(rng.random((6, *shape)).astype(np.float32) for shape in ((3,), (3,), (4,), (3, 1), ())), view=view
    )
    whole = replace(
        made,
        depth=made.depth * np.arange(6, dtype=np.float32)[:, None, None],
        descriptors=rng.random((6, 4)).astype(np.float32),
        sky=rng.random(made.depth.shape) < 0.5,
        gaussians=cloud,
    )
    part = restricted(whole, {whole.frames.names[k] for k in chosen})
    assert part.frames.frames == tuple(whole.frames.frames[k] for k in chosen)
    assert part.pixel_maps == tuple(whole.pixel_maps[k] for k in chosen)
    for name in ("depth", "conf", "cam_from_world", "view_intrinsics", "descriptors", "sky"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[chosen])
    assert np.shares_memory(part.depth, whole.depth) == (chosen == [2, 3, 4]), "long captures are not copied"
    assert part.cameras == whole.cameras, "both kinds are among them"
    assert part.gaussians is not None and whole.gaussians is not None
    kept = np.isin(view, chosen)
    np.testing.assert_array_equal(np.array(chosen)[part.gaussians.view], view[kept])
    np.testing.assert_array_equal(part.gaussians.means, cloud.means[kept])
    assert restricted(whole, {whole.frames.names[0], whole.frames.names[2]}).cameras.keys() == {"landscape"}
