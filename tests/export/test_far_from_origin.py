"""Worlds in survey coordinates: what single precision cannot hold is taken off, named, and the same in every file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from da3_pipeline.export import ExportConfig, run, write_report
from da3_pipeline.export.config import ReportConfig
from da3_pipeline.export.nerfstudio import read_trainer_world, trainer_world
from da3_pipeline.export.ply import read_ply
from da3_pipeline.geometry import Camera, Sim3, centres, invert, transform_points
from da3_pipeline.ingest.projects.registry import read_views
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import ExportResult, Scene, Tracks

Float = NDArray[np.float64]

UTM = np.array([441547.5, 5121946.5, 2345.1])
FAR = np.array([-5e6, 5e6, 0.0])
TILT = np.array([[1, 0, 0], [0, 0.6, -0.8], [0, 0.8, 0.6]])
"""Of the world: the cameras' up is not an axis."""


def moved(scene: Scene, offset: Float, rotation: Float = TILT) -> Scene:
    there = Sim3(1.0, rotation, offset)
    tracks = replace(scene.tracks, points=there.apply(scene.tracks.points))
    return replace(scene, cam_from_world=there.apply_to_cameras(scene.cam_from_world), tracks=tracks)


def export(scene: Scene, folder: Path, **options: Any) -> ExportResult:
    return run(scene, ExportConfig(**options), SilentProgress(), folder)


def document(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "transforms.json").read_text())
    return read


def comments(path: Path) -> list[str]:
    header = path.read_bytes().partition(b"end_header\n")[0].decode("ascii").splitlines()
    return [line.removeprefix("comment ") for line in header if line.startswith("comment ")]


def extent(scene: Scene) -> float:
    return float(np.ptp(centres(scene.cam_from_world), axis=0).max())


@pytest.mark.parametrize("offset", [UTM, FAR], ids=["utm", "far"])
def test_cameras_and_seeds_agree_in_single_precision_and_lead_back(mixed: Scene, tmp_path: Path, offset: Float) -> None:
    """As nerfstudio reads them: everything in float32, one frame for poses and seeds."""
    scene = moved(mixed, offset)
    export(scene, tmp_path / "out", depth_seeds=False)
    told = document(tmp_path / "out")
    seeds = read_ply(tmp_path / "out" / told["ply_file_path"])[0]
    turn, origin = np.array(told["applied_transform"])[:, :3], np.array(told["world_offset"])
    close = 1e-6 * extent(scene)
    np.testing.assert_allclose(seeds @ turn + origin, scene.tracks.points, atol=close)
    by_frame = scene.tracks.by_frame(len(scene.frames))
    for index, entry in enumerate(told["frames"]):
        pose = np.array(entry["transform_matrix"], np.float32).astype(np.float64)
        np.testing.assert_allclose(pose[:3, 3] @ turn + origin, centres(scene.cam_from_world[index]), atol=close)
        opencv_from_stored = (np.diag([1.0, -1, -1, 1]) @ np.linalg.inv(pose))[:3]
        names = ("fl_x", "fl_y", "cx", "cy", "k1", "k2", "p1", "p2")
        camera = Camera("OPENCV", entry["w"], entry["h"], tuple(entry[name] for name in names))
        mine = by_frame[index]
        pixels = camera.project(transform_points(opencv_from_stored, seeds[scene.tracks.observation_point[mine]]))
        np.testing.assert_allclose(pixels, scene.tracks.observation_xy[mine], atol=1e-3)


def test_the_offset_changes_nothing_else(mixed: Scene, tmp_path: Path) -> None:
    """The same scene at the origin gives the same files but for a shift of less than a unit of the offset."""
    for name, offset in (("near", np.zeros(3)), ("far", UTM)):
        export(moved(mixed, offset), tmp_path / name)
    near, far = document(tmp_path / "near"), document(tmp_path / "far")
    assert "world_offset" not in near and not np.array(near["applied_transform"])[:, 3].any()
    turn = np.array(near["applied_transform"])[:, :3]
    shift = turn @ (UTM - far["world_offset"])
    np.testing.assert_allclose(np.array(far["applied_transform"])[:, :3], turn, atol=1e-9)
    assert np.abs(shift).max() < extent(mixed) * 3
    for one, other in zip(near["frames"], far["frames"], strict=True):
        difference = np.array(other["transform_matrix"]) - one["transform_matrix"]
        np.testing.assert_allclose(difference[:3, 3], shift, atol=1e-8)
        np.testing.assert_allclose(difference[:3, :3], 0, atol=1e-9)
    seeds, far_seeds = (read_ply(tmp_path / name / "sparse_pc.ply") for name in ("near", "far"))
    assert len(seeds[0]) > 3000 and abs(len(seeds[0]) - len(far_seeds[0])) < 0.01 * len(seeds[0])
    matched = len(mixed.tracks)
    np.testing.assert_allclose(far_seeds[0][:matched] - seeds[0][:matched], np.tile(shift, (matched, 1)), atol=1e-5)


def test_the_model_is_whole_in_double_precision(mixed: Scene, tmp_path: Path) -> None:
    scene = moved(mixed, UTM)
    result = export(scene, tmp_path / "out", depth_seeds=False)
    model = pycolmap.Reconstruction(tmp_path / "out" / "sparse" / "0")
    points = np.array([model.points3D[k + 1].xyz for k in range(len(scene.tracks))])
    np.testing.assert_array_equal(points, scene.tracks.points)
    by_name = {image.name: image for image in model.images.values()}
    for index, frame in enumerate(scene.frames):
        centre = by_name[result.image_names[frame.name]].projection_center()
        np.testing.assert_allclose(centre, centres(scene.cam_from_world[index]), atol=1e-7)
    in_model = read_ply(tmp_path / "out" / "init.ply")[0]
    np.testing.assert_array_equal(in_model, scene.tracks.points.astype(np.float32))
    assert "rounded" in comments(tmp_path / "out" / "init.ply")[0]


def test_every_file_and_the_report_name_the_offset(mixed: Scene, tmp_path: Path) -> None:
    scene = moved(mixed, UTM)
    result = export(scene, tmp_path / "out")
    offset = document(tmp_path / "out")["world_offset"]
    first, how = comments(tmp_path / "out" / "sparse_pc.ply")
    assert first.split() == ["offset", *map(repr, offset)]
    assert "transpose" in how and how.endswith("+ offset")
    assert all(abs(part) < 10 or part % 1 == 0 for part in offset)  # as people write it down
    write_report(tmp_path / "out", scene, result, (), {}, (), ReportConfig())
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["world"]["offset"] == offset
    page = (tmp_path / "out" / "report.html").read_text()
    assert f"{offset[1]:,.0f}".replace(",", "\u202f") in page and f"{offset[0]:,.0f}".replace(",", "\u202f") in page


def test_a_report_draws_cameras_among_the_points(mixed: Scene, tmp_path: Path) -> None:
    from da3_pipeline.export.report.pictures import collect_pictures

    drawn = []
    for name, offset in (("near", np.zeros(3)), ("far", FAR)):
        scene = moved(mixed, offset)
        result = export(scene, tmp_path / name)
        drawn.append(collect_pictures(tmp_path / name, scene, result, None, (), {}, ReportConfig()).viewer)
    np.testing.assert_allclose(drawn[0]["centres"], drawn[1]["centres"], atol=2e-3)
    assert np.abs(drawn[1]["centres"]).max() < 3


def test_our_own_transforms_json_leads_back_to_the_survey(mixed: Scene, tmp_path: Path) -> None:
    """Given as --poses to another run."""
    scene = moved(mixed, UTM)
    export(scene, tmp_path / "out")
    for view, pose in zip(read_views(tmp_path / "out" / "transforms.json"), scene.cam_from_world, strict=True):
        assert view.cam_from_world is not None
        np.testing.assert_allclose(invert(view.cam_from_world), invert(pose), atol=1e-6 * extent(scene))


def test_the_rotation_is_one_to_the_last_digit() -> None:
    """What is missing to it, survey coordinates multiply by millions; here the world leads back to 1e-7."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        poses = np.tile(np.eye(3, 4), (8, 1, 1))
        poses[:, :, :3] = Rotation.from_rotvec(rng.normal(0, 0.3, 3) + rng.normal(0, 0.1, (8, 3))).as_matrix()
        poses[:, :, 3] = rng.uniform(-1, 1, (8, 3))
        there = Sim3(1.0, np.eye(3), FAR).apply_to_cameras(poses)
        world = trainer_world(there, np.zeros((0, 3)), None, 1e-5)
        assert not world.is_model
        turn = world.from_model.rotation
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=4e-15)
        near = centres(world.from_model.apply_to_cameras(there))
        np.testing.assert_allclose(near @ turn + world.offset, centres(there), atol=1e-7)


@pytest.mark.parametrize(("extents", "taken_off"), [(0.0, False), (40.0, False), (200.0, True), (1e7, True)])
def test_an_offset_is_taken_off_where_single_precision_does_not_do(extents: float, taken_off: bool) -> None:
    poses = np.tile(np.eye(3, 4), (5, 1, 1))
    poses[:, :, 3] = np.random.default_rng(0).uniform(-1, 1, (5, 3))
    size = float(np.ptp(centres(poses), axis=0).max())
    for axis in range(3):
        offset = np.eye(3)[axis] * extents * size
        there = Sim3(1.0, np.eye(3), offset).apply_to_cameras(poses)
        world = trainer_world(there, np.zeros((0, 3)), "gps", 1e-5)
        assert world.offset.any() == taken_off and world.is_model != taken_off
        step = np.spacing(np.float32(np.abs(centres(world.from_model.apply_to_cameras(there))).max()))
        assert step <= 1e-5 * size


def test_a_single_place_takes_its_size_from_what_is_seen() -> None:
    poses = np.tile(np.eye(3, 4), (4, 1, 1))
    poses[:, :, 3] = [-100.0, 0, 0]
    points = np.random.default_rng(0).normal(0, 30, (100, 3)) + np.array([100, 0, 0])
    assert not trainer_world(poses, points, "gps", 1e-5).offset.any()
    assert trainer_world(poses, points / 1e5 + [99.9, 0, 0], "gps", 1e-5).offset[0] == pytest.approx(100, abs=0.01)
    assert trainer_world(poses, np.zeros((0, 3)), "gps", 1e-5).offset.tolist() == [100, 0, 0]
    assert not trainer_world(poses * 0, np.zeros((0, 3)), "gps", 1e-5).offset.any()


def test_what_was_written_is_read(mixed: Scene, tmp_path: Path) -> None:
    for name, offset in (("near", np.zeros(3)), ("far", UTM)):
        scene = moved(mixed, offset)
        export(scene, tmp_path / name, depth_seeds=False)
        world = read_trainer_world(tmp_path / name / "transforms.json")
        seeds = read_ply(tmp_path / name / "sparse_pc.ply")[0]
        np.testing.assert_allclose(world.from_model.apply(scene.tracks.points), seeds, atol=1e-6 * extent(scene))


def test_a_scene_without_tracks_far_away(mixed: Scene, tmp_path: Path) -> None:
    scene = replace(moved(mixed, UTM), tracks=Tracks.empty(), pose_source=("prior",) * 10)
    export(scene, tmp_path / "out")
    told = document(tmp_path / "out")
    world = read_trainer_world(tmp_path / "out" / "transforms.json")
    seeds = read_ply(tmp_path / "out" / told["ply_file_path"])[0]
    assert len(seeds) > 3000 and np.abs(seeds).max() < 20
    assert np.abs(world.from_model.inverse().apply(seeds) - UTM).max() < 20
