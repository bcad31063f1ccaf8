"""What COLMAP's mapper is given is the problem, and the largest of its models is what comes back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pycolmap
from scenes import Make

from da3_pipeline.refine.initialisation.colmap_mapper import _fill_database, _keypoints, map_with_colmap


def test_keypoints_are_distinct_and_every_match_finds_its_own(make_capture: Make) -> None:
    problem = make_capture(frames=5).problem()
    matches = problem.matches
    keypoints, indices = _keypoints(problem)
    for xy in keypoints:
        assert len(np.unique(xy, axis=0)) == len(xy)
    for side, xy in enumerate((matches.xy_first, matches.xy_second)):
        frames = matches.frames[matches.pair, side]
        for frame in range(5):
            mine = frames == frame
            np.testing.assert_array_equal(keypoints[frame][indices[mine, side]], xy[mine])


def test_the_database_holds_cameras_images_and_matches(make_capture: Make, tmp_path: Path) -> None:
    """Focal lengths that are known or that EXIF told are said to be."""
    capture = make_capture(frames=4)
    for change, told in (
        ({}, set()),
        ({"exif_focal_px": {"landscape": 1500.0}}, {"landscape"}),
        ({"known_cameras": frozenset({"portrait"})}, {"portrait"}),
    ):
        problem = replace(capture.problem(), **change)  # type: ignore[arg-type]
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.db"
        numbers = _fill_database(path, problem, capture.truth.cameras)
        with pycolmap.Database.open(path) as database:
            cameras = {name: database.read_camera(number) for name, number in numbers.items()}
            images = {image.name: image for image in database.read_all_images()}
            assert database.num_matches() == database.num_inlier_matches() == len(problem.matches)
            assert database.num_rigs() == 2 and database.num_frames() == 4
        assert {name for name, camera in cameras.items() if camera.has_prior_focal_length} == told
        assert {images[str(k)].camera_id for k in (0, 2)} == {numbers["landscape"]}
        assert {images[str(k)].camera_id for k in (1, 3)} == {numbers["portrait"]}


def test_of_several_models_the_largest_is_taken(make_capture: Make) -> None:
    """Four frames of one place and five of another."""
    capture = make_capture(frames=9, layout="halves", false_matches=0.0)
    found = map_with_colmap(capture.problem(), capture.truth.cameras, seed=0)
    assert found.posed.tolist() == [False] * 4 + [True] * 5
    assert found.cameras.keys() == capture.truth.cameras.keys()


def test_image_by_image_it_finds_the_same_and_small_models_too(make_capture: Make) -> None:
    for frames in (3, 8):
        capture = make_capture(frames=frames, false_matches=0.0)
        found = map_with_colmap(capture.problem(), capture.truth.cameras, seed=0, incremental=True)
        assert found.posed.all()
        rotation_deg, shift = capture.pose_errors(found.cam_from_world)
        assert rotation_deg < 0.5 and shift < 0.02
