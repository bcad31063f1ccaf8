"""Scenarios tell the truth: their pictures agree with the poses, lenses, masks and turns that they claim."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from da3_pipeline.benchmark.scenarios.capture_files import ScenarioCapture, write_network_prior
from da3_pipeline.benchmark.scenarios.catalogue import SCENARIOS, arc
from da3_pipeline.benchmark.scenarios.rendering import Shot, moved, take, take_panorama, turned
from da3_pipeline.benchmark.scenarios.runs import (
    Outcome,
    ScenarioRow,
    measure_scenarios,
    scenarios_json,
    scenarios_table,
)
from da3_pipeline.benchmark.scenarios.worlds import World, people, repeated_facade, stage
from da3_pipeline.benchmark.truth.pose_score import PoseScore
from da3_pipeline.benchmark.truth.prior_noise import PriorNoise
from da3_pipeline.benchmark.truth.verdicts import JudgedVerdict
from da3_pipeline.errors import UsageError
from da3_pipeline.geometry import Camera, compose, transform_points
from da3_pipeline.geometry.equirectangular import Equirectangular, view_from_panorama
from da3_pipeline.geometry.metrics.poses import pose_errors
from da3_pipeline.progress import SilentProgress
from da3_pipeline.training.synthetic.atlas import Atlas, build_atlas
from da3_pipeline.training.synthetic.viewpoints import look_at

SIZE = (128, 96)
LENSES = {
    "pinhole": Camera.pinhole(*SIZE, 110.0),
    "barrel": Camera("OPENCV", *SIZE, (84.0, 84.0, 64.0, 48.0, -0.28, 0.06, 0.0, 0.0)),
    "fisheye": Camera("OPENCV_FISHEYE", *SIZE, (52.0, 52.0, 64.0, 48.0, -0.01, 0.002, 0.0, 0.0)),
}


@cache
def atlas() -> Atlas:
    return build_atlas(1, 27)


@cache
def room() -> World:
    return people(atlas(), 5)


def points_of(shot: Shot, camera: Camera, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """World points (P, 3) and colours of every seventh pixel."""
    y, x = np.mgrid[3 : camera.height : 7, 3 : camera.width : 7]
    plane = camera.unproject(np.stack([x.ravel(), y.ravel()], 1) + 0.5)
    depth = shot.depth[y.ravel(), x.ravel()]
    in_camera = np.column_stack([plane, np.ones(len(plane))]) * depth[:, None]
    rotation, translation = pose[:, :3], pose[:, 3]
    return (in_camera - translation) @ rotation, shot.rgb[y.ravel(), x.ravel()].astype(float)


@pytest.mark.parametrize("lens", sorted(LENSES))
def test_what_one_view_sees_another_sees_where_the_lens_says(lens: str) -> None:
    camera = LENSES[lens]
    first, second = arc(room().scene, 0, frames=8, swing_deg=12.0)[[2, 4]]
    one, other = (take(room().scene, atlas(), pose, camera, seed=0) for pose in (first, second))
    points, _ = points_of(one, camera, first)
    in_second = transform_points(second, points)
    xy = camera.project(in_second)
    inside = np.isfinite(xy).all(1) & (in_second[:, 2] > 0) & (xy > 1).all(1) & (xy < np.array(SIZE) - 1).all(1)
    column, row = xy[inside].astype(int).T
    agree = np.abs(other.depth[row, column] / in_second[inside, 2] - 1) < 0.03
    assert inside.sum() > 60
    assert agree.mean() > 0.8, "all but what is hidden and what lies at an edge"


def test_a_panorama_sees_what_pinholes_see() -> None:
    sphere, pose = Equirectangular.whole(256, 128), arc(room().scene, 0, frames=4)[1]
    panorama = take_panorama(room().scene, atlas(), pose, sphere, seed=0)
    for yaw, pitch in ((0, 0), (120, 30), (270, -50)):
        turn, camera = view_from_panorama(yaw, pitch), Camera.pinhole(40, 40, 40.0)
        flat = take(room().scene, atlas(), compose(np.column_stack([turn, np.zeros(3)]), pose), camera, seed=0)
        y, x = (part.ravel() for part in np.mgrid[2:40:3, 2:40:3])
        rays = np.column_stack([camera.unproject(np.stack([x, y], 1) + 0.5), np.ones(len(x))])
        distance = flat.depth[y, x] * np.linalg.norm(rays, axis=1)
        column, row = np.floor(sphere.project(rays @ turn)).astype(int).T
        agree = np.abs(panorama.depth[row.clip(0, 127), column % 256] / distance - 1) < 0.04
        assert agree.mean() > 0.85, "all but what lies at an edge"


def test_a_shaken_picture_is_blurred_and_keeps_its_depth() -> None:
    camera, pose = LENSES["pinhole"], arc(room().scene, 0, frames=4)[1]
    still = take(room().scene, atlas(), pose, camera, seed=0)
    shaken = take(room().scene, atlas(), pose, camera, seed=0, shake_deg=np.array([0.0, 4.0, 0.0]))
    assert np.array_equal(still.depth, shaken.depth)
    along, across = (np.abs(np.diff(shaken.rgb.astype(float), axis=axis)).mean() for axis in (1, 0))
    assert along < 0.6 * np.abs(np.diff(still.rgb.astype(float), axis=1)).mean()
    assert along < across


def test_people_move_and_nothing_else_does() -> None:
    camera, pose = LENSES["pinhole"], arc(room().scene, 0, frames=4)[1]
    figures = [solid for group in room().movable for solid in group]
    before = take(room().scene, atlas(), pose, camera, seed=0)
    after = take(moved(room().scene, figures, np.array([0.4, 0.3, 0.0])), atlas(), pose, camera, seed=0)
    masked = np.isin(before.solid, figures) | np.isin(after.solid, figures)
    assert 0.02 < np.isin(before.solid, figures).mean() < 0.6
    assert np.array_equal(before.depth[~masked], after.depth[~masked])
    assert not np.array_equal(before.depth, after.depth)


def test_turning_the_object_is_turning_the_camera() -> None:
    world, camera = stage(atlas(), 3), LENSES["pinhole"]
    pose = look_at(np.array([1.6, 0.0, 1.35]), np.array([0.0, 0.0, 0.95]))
    angle = 0.7
    turn = np.array([[np.cos(angle), -np.sin(angle), 0, 0], [np.sin(angle), np.cos(angle), 0, 0], [0, 0, 1, 0]])
    object_turned = take(turned(world.scene, world.movable[0], angle), atlas(), pose, camera, seed=0)
    camera_turned = take(world.scene, atlas(), compose(pose, turn), camera, seed=0)
    on_table = np.isin(object_turned.solid, world.movable[0])
    assert on_table.mean() > 0.05
    assert np.allclose(object_turned.depth[on_table], camera_turned.depth[on_table], rtol=1e-4)


def test_the_facade_repeats_to_the_pixel() -> None:
    world, camera = repeated_facade(atlas(), 2), LENSES["pinhole"]
    shots = [
        take(world.scene, atlas(), look_at(np.array([x, -6.0, 4.0]), np.array([x, 0.0, 4.4])), camera, seed=0)
        for x in (-6.0, -4.0)
    ]
    different = np.abs(shots[0].rgb.astype(int) - shots[1].rgb).max(2) > 12
    assert different.mean() < 0.35, "brickwork has a second texture; windows and sills are the same"


def test_scenarios_have_distinct_names_and_proper_poses() -> None:
    for name, scenario in SCENARIOS.items():
        pictures = list(scenario.pictures(0))
        count = 72 if scenario.film else 24
        assert len({picture.name for picture in pictures}) == len(pictures) == count, name
        rotations = np.stack([picture.cam_from_world[:, :3] for picture in pictures])
        assert np.allclose(rotations @ rotations.transpose(0, 2, 1), np.eye(3), atol=1e-9), name
        assert np.allclose(np.linalg.det(rotations), 1), name


def test_the_prior_is_off_by_what_it_says(tmp_path: Path) -> None:
    poses = arc(room().scene, 0, frames=12)
    names = tuple(f"{k}.png" for k in range(12))
    (tmp_path / "depth").mkdir()
    for name in names:
        np.save(tmp_path / "depth" / f"{name}.npy", np.full((126, 168), 2.0, np.float16))
    K = np.tile(LENSES["pinhole"].K, (12, 1, 1))
    capture = ScenarioCapture("x", tmp_path, names, poses, K, np.tile(SIZE, (12, 1)), SCENARIOS["forward motion"])
    write_network_prior(capture, tmp_path / "prior.npz", PriorNoise(5.0, 0.05, 0.05), seed=0)
    written = np.load(tmp_path / "prior.npz")
    error = pose_errors(poses, written["extrinsics"]).rotation_deg
    assert 2 < np.sqrt((error**2).mean()) / np.sqrt(2) < 9
    focal = written["intrinsics"][:, 0, 0] * SIZE[0] / 168
    assert np.allclose(np.abs(np.log(focal / K[0, 0, 0])), np.log(1.05))


def test_a_wrong_run_that_passed_is_counted_and_named() -> None:
    right = Outcome(PoseScore(24, 24, 90.0, 97.0, 99.0, 100.0), 3.0)
    wrong = Outcome(PoseScore(24, 12, 10.0, 20.0, 40.0, 60.0), 3.0)
    rows = [
        ScenarioRow("a", 0, right, JudgedVerdict("a, seed 0", 24, "", True, "passed"), right, "PINHOLE shared"),
        ScenarioRow("b", 0, wrong, JudgedVerdict("b, seed 0", 24, "AUC@5 40.0", True, "passed")),
        ScenarioRow("c", 0, wrong, JudgedVerdict("c, seed 0", 24, "AUC@5 40.0", False, "below the gates: parallax")),
    ]
    table = scenarios_table(rows)
    assert table.splitlines()[2].split()[2:] == ["50%", "10", "40", "60", "3.0", "passed"]
    assert "wrong and passed: b, seed 0, 24 views: AUC@5 40.0" in table
    assert "c, seed 0: below the gates: parallax" in table
    assert "COLMAP (PINHOLE shared): a" in table
    assert [row["cell"] for row in json.loads(scenarios_json(rows))] == [
        "right and passed",
        "wrong and passed",
        "wrong and flagged",
    ]


def test_an_unknown_scenario_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such scenario"):
        measure_scenarios(["underwater"], [0], tmp_path, False, SilentProgress())
    with pytest.raises(UsageError, match="no such preset"):
        measure_scenarios(["turntable"], [0], tmp_path, False, SilentProgress(), "moon")
