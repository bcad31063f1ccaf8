"""The whole stage on photographs of one lens, upright and on its side: one focal length, unless matches ask for two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import LANDSCAPE, Make, Synthetic

from da3_pipeline.geometry import Camera
from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine import RefineConfig
from da3_pipeline.refine.refinement import refine_matched
from da3_pipeline.refine.solve.lenses import turned
from da3_pipeline.types import Scene

BENT = replace(LANDSCAPE, params=(*LANDSCAPE.params[:3], -0.06))
ZOOMED = Camera("SIMPLE_RADIAL", 2400, 3200, (4500.0, 1200.0, 1600.0, 0.0))


def refined(capture: Synthetic) -> tuple[Synthetic, Scene]:
    capture = capture.with_frames(replace(frame, lens="one") for frame in capture.frames)
    return capture, refine_matched(capture.prediction, capture.correspondences, RefineConfig(), SilentProgress())


@pytest.mark.parametrize("prior_focal", [1.15, 0.7])
def test_both_cameras_come_out_as_one_lens_at_their_own_sizes(make_capture: Make, prior_focal: float) -> None:
    capture, scene = refined(make_capture(frames=9, lenses=(BENT, turned(BENT, 1)), prior_focal=prior_focal))
    wide, tall = scene.cameras["landscape"], scene.cameras["portrait"]
    assert (wide.width, wide.height, tall.width, tall.height) == (3200, 2400, 2400, 3200)
    assert (wide.model, tall.model) == ("OPENCV", "OPENCV")
    assert wide.params[2:4] == (1600.0, 1200.0) and tall.params[2:4] == (1200.0, 1600.0)
    for part in (slice(0, 2), slice(4, 8)):
        assert wide.params[part] == pytest.approx(tall.params[part], rel=1e-9)
    rotation_deg, shift = capture.pose_errors(scene.cam_from_world)
    assert rotation_deg < 0.1 and shift < 0.002 and capture.focal_error(scene.cameras) < 0.002
    assert scene.verdict.passed


def test_given_poses_stay_and_calibrate_the_one_lens(make_capture: Make) -> None:
    capture = make_capture(lenses=(LANDSCAPE, turned(LANDSCAPE, 1)))
    poses = capture.cam_from_world
    capture = capture.with_frames(
        replace(frame, known_cam_from_world=pose) for frame, pose in zip(capture.frames, poses, strict=True)
    )
    capture, scene = refined(capture)
    np.testing.assert_array_equal(scene.cam_from_world, poses)
    assert scene.cameras["landscape"].focal_px == pytest.approx(scene.cameras["portrait"].focal_px, rel=1e-12)
    assert capture.focal_error(scene.cameras) < 0.002


def test_a_zoom_between_the_two_is_seen_in_the_matches(make_capture: Make) -> None:
    """Without EXIF the transposed size is all that speaks for one lens; half as long again speaks against."""
    capture, scene = refined(make_capture(frames=10, lenses=(LANDSCAPE, ZOOMED)))
    assert scene.cameras["portrait"].focal_px == pytest.approx(4500, rel=0.01)
    assert scene.cameras["landscape"].focal_px == pytest.approx(3000, rel=0.01)
    rotation_deg, shift = capture.pose_errors(scene.cam_from_world)
    assert rotation_deg < 0.15 and shift < 0.003 and scene.verdict.passed
