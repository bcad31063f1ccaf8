"""Relative poses of views that share a centre: from the matches of all views, in whichever they lie."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import Make, Synthetic, landscape, on_spheres

from da3_pipeline.geometry import compose, invert, rotation_angle_deg
from da3_pipeline.refine.config import TwoViewConfig
from da3_pipeline.refine.initialisation.one_centre import relative_poses_of_centres
from da3_pipeline.refine.initialisation.two_view import RelativePoses, relative_poses
from da3_pipeline.types import Frame

CONFIG = TwoViewConfig()


@pytest.fixture
def spheres(make_capture: Make) -> Synthetic:
    return on_spheres(make_capture(frames=9, layout="around", lenses=(landscape(1600.0),), points=700))


def found(capture: Synthetic) -> RelativePoses:
    problem = capture.problem()
    assert problem.rigs is not None
    rigs = problem.rigs.of_one_centre()
    assert rigs is not None
    return relative_poses_of_centres(problem, capture.truth.cameras, rigs, CONFIG, 0)


def errors_deg(capture: Synthetic, relative: RelativePoses) -> tuple[np.ndarray, np.ndarray]:
    """(Q,) of rotations, and of directions between the centres."""
    first, second = (capture.cam_from_world[side] for side in relative.frames.T)
    true = compose(second, invert(first))
    turned = rotation_angle_deg(relative.second_from_first[:, :, :3], true[:, :, :3])
    length = np.linalg.norm(true[:, :, 3], axis=1)
    along = (relative.second_from_first[:, :, 3] * true[:, :, 3]).sum(1) / np.where(length > 1e-9, length, np.nan)
    return turned, np.degrees(np.arccos(np.clip(along, -1, 1)))


def test_all_views_tell_how_two_centres_stand(spheres: Synthetic) -> None:
    relative = found(spheres)
    instant = relative.frames // 3
    within = instant[:, 0] == instant[:, 1]
    assert within.sum() == 6 and (~within).sum() == len(spheres.correspondences.pairs)
    turned, off = errors_deg(spheres, relative)
    assert turned.max() < 0.1 and np.nanmax(off) < 1.0
    assert turned[within].max() < 1e-6 and not relative.second_from_first[within, :, 3].any()
    assert relative.support[within].min() > relative.support[~within].sum()
    alone = errors_deg(spheres, relative_poses(spheres.problem(), spheres.truth.cameras, CONFIG, 0))
    assert np.median(turned[~within]) < 0.7 * np.median(alone[0])


def test_a_pair_that_its_centres_contradict_is_left_out(spheres: Synthetic) -> None:
    """Each of its matches ends at another point of the second view."""
    pairs = spheres.correspondences.pairs
    wrong = next(k for k, pair in enumerate(pairs) if pair.i // 3 == 0 and pair.j // 3 == 1)
    shifted = pairs[wrong].matches.copy()
    shifted[:, 1] = np.roll(shifted[:, 1], 5)
    rolled = [replace(pair, matches=shifted) if k == wrong else pair for k, pair in enumerate(pairs)]
    relative = found(spheres.with_pairs(tuple(rolled)))
    told = {tuple(pair) for pair in relative.frames.tolist()}
    assert (pairs[wrong].i, pairs[wrong].j) not in told
    assert len(told) == len(pairs) - 1 + 6
    assert errors_deg(spheres, relative)[0].max() < 0.1


def test_frames_of_no_rig_are_paired_by_themselves(spheres: Synthetic) -> None:
    def bare(k: int, frame: Frame) -> Frame:
        return replace(frame, rig=None, camera_id="flat") if k == 4 else frame

    cameras = {**spheres.cameras, "flat": spheres.cameras["view0"]}
    mixed = replace(spheres, prediction=replace(spheres.prediction, cameras=cameras), cameras=cameras)
    mixed = mixed.with_frames(tuple(bare(k, frame) for k, frame in enumerate(spheres.frames)))
    relative = found(mixed)
    assert (relative.frames == 4).any()
    turned, _ = errors_deg(mixed, relative)
    assert turned.max() < 0.5
    lone = (relative.frames == 4).any(axis=1)
    np.testing.assert_allclose(np.linalg.norm(relative.second_from_first[lone, :, 3], axis=1), 1.0, atol=1e-9)
