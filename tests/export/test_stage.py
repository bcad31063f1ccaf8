"""The exported folder as its readers see it: COLMAP's rules, gsplat's rules, transforms.json, seeds."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
import pytest
from PIL import Image

from da3_pipeline.errors import ExportError
from da3_pipeline.export import ExportConfig, run
from da3_pipeline.export import stage as stage_module
from da3_pipeline.export.ply import read_ply
from da3_pipeline.geometry import Camera, transform_points
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import ExportResult, Scene, Tracks

NAMES = ('a b/été\'s "first".png', "a b/2.png", "c/2.png", "c/2.jpg", "clip.mp4/000001.jpg", "画像.webp")
TWO_CAMERAS = {
    "phone": Camera("SIMPLE_RADIAL", 240, 160, (180.0, 120.0, 80.0, -0.04)),
    "tablet": Camera("SIMPLE_PINHOLE", 240, 160, (170.0, 121.0, 79.0)),
}


def export(scene: Scene, folder: Path, **options: Any) -> ExportResult:
    return run(scene, ExportConfig(**options), SilentProgress(), folder)


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def snapshot(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in files(folder)}


def obey_gsplat(folder: Path) -> None:
    """The rules of gsplat's example reader, which LichtFeld Studio and others took over."""
    model = pycolmap.Reconstruction(folder / "sparse" / "0")
    assert model.num_images() > 0
    sizes: dict[int, set[tuple[int, int]]] = {}
    for image in model.images.values():
        camera = model.cameras[image.camera_id]
        assert camera.model.name in {"SIMPLE_PINHOLE", "PINHOLE", "RADIAL", "OPENCV", "OPENCV_FISHEYE"}
        observed = image.get_observation_points2D()
        assert len(observed) > 0
        assert all(point.point3D_id in model.points3D for point in observed)
        with Image.open(folder / "images" / image.name) as picture:
            assert picture.format in ("JPEG", "PNG") and picture.mode == "RGB"
            assert picture.size == (camera.width, camera.height)
            sizes.setdefault(image.camera_id, set()).add(picture.size)
    assert all(len(of_camera) == 1 for of_camera in sizes.values())
    assert files(folder / "images") == sorted(image.name for image in model.images.values())
    stems = {os.path.splitext(image.name)[0].casefold() for image in model.images.values()}
    assert len(stems) == model.num_images()
    for point in model.points3D.values():
        assert np.isfinite(point.error) and np.isfinite(point.xyz).all()
        assert point.track.length() > 0


def test_folder_holds_what_the_readme_says(room: Any, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    result = export(replace(room(), up_source="cameras"), folder)
    assert {path.name for path in folder.iterdir()} == {"images", "sparse", "transforms.json", "sparse_pc.ply", ".da3"}
    assert files(folder / "sparse") == [f"0/{name}.bin" for name in ("cameras", "frames", "images", "points3D", "rigs")]
    assert (result.images, result.folder, result.dropped) == (6, folder, ())
    obey_gsplat(folder)


def test_model_round_trips_with_its_reprojection_errors(room: Any, tmp_path: Path) -> None:
    scene = room(names=NAMES, camera_ids=("phone", "phone", "tablet", "phone", "tablet", "phone"), cameras=TWO_CAMERAS)
    noise = np.random.default_rng(0).normal(0, 0.4, scene.tracks.observation_xy.shape)
    moved = np.linalg.norm(noise, axis=1)
    point = scene.tracks.observation_point
    error_px = np.bincount(point, moved) / np.bincount(point)
    tracks = replace(scene.tracks, observation_xy=scene.tracks.observation_xy + noise, point_error_px=error_px)
    result = export(replace(scene, tracks=tracks), tmp_path / "out")
    obey_gsplat(tmp_path / "out")

    model = pycolmap.Reconstruction(tmp_path / "out" / "sparse" / "0")
    assert (model.num_cameras(), model.num_rigs(), model.num_frames()) == (2, 2, 6)
    by_name = {image.name: image for image in model.images.values()}
    for index, frame in enumerate(scene.frames):
        image = by_name[result.image_names[frame.name]]
        np.testing.assert_allclose(image.cam_from_world().matrix(), scene.cam_from_world[index], atol=1e-12)
        assert image.num_points3D == (tracks.observation_frame == index).sum()
    stored = np.array([model.points3D[k + 1].error for k in range(len(tracks))])
    np.testing.assert_allclose(stored, error_px)
    model.update_point_3d_errors()
    recomputed = np.array([model.points3D[k + 1].error for k in range(len(tracks))])
    np.testing.assert_allclose(recomputed, error_px, atol=1e-6)
    colours = np.array([model.points3D[k + 1].color for k in range(len(tracks))])
    np.testing.assert_array_equal(colours, tracks.colours)


def test_names_keep_their_paths_and_formats_change_only_where_they_must(room: Any, tmp_path: Path) -> None:
    scene = room(names=NAMES)
    result = export(scene, tmp_path / "out")
    assert list(result.image_names) == list(NAMES)
    assert list(result.image_names.values()) == [*NAMES[:3], "c/2_jpg.jpg", NAMES[4], "画像.jpg"]
    for name in NAMES[:3]:
        assert (tmp_path / "out" / "images" / name).read_bytes() == (room.folder / name).read_bytes()
    document = json.loads((tmp_path / "out" / "transforms.json").read_text(encoding="utf-8"))
    assert [f["file_path"] for f in document["frames"]] == [f"images/{name}" for name in result.image_names.values()]


@pytest.mark.parametrize("two", [False, True])
def test_transforms_seeds_and_model_agree(room: Any, tmp_path: Path, two: bool) -> None:
    """Seeing the ply through transforms.json gives the pixels that the model's own points have."""
    ids = tuple("phone" if k % 2 else "tablet" for k in range(6))
    scene = room(camera_ids=ids, cameras=TWO_CAMERAS) if two else room()
    folder = tmp_path / "out"
    result = export(scene, folder, depth_seeds=False)
    document = json.loads((folder / "transforms.json").read_text())
    seeds, colours = read_ply(folder / document["ply_file_path"])
    model = pycolmap.Reconstruction(folder / "sparse" / "0")
    assert len(seeds) == result.seed_points == len(scene.tracks)
    np.testing.assert_array_equal(colours, scene.tracks.colours)
    assert ("fl_x" in document) is not two
    for entry in document["frames"]:
        image = model.images[entry["colmap_im_id"]]
        assert entry["file_path"] == f"images/{image.name}"
        intrinsics = document if "fl_x" in document else entry
        camera = Camera(
            "OPENCV",
            intrinsics["w"],
            intrinsics["h"],
            tuple(intrinsics[key] for key in ("fl_x", "fl_y", "cx", "cy", "k1", "k2", "p1", "p2")),
        )
        opengl_from_world = np.linalg.inv(np.array(entry["transform_matrix"]))
        opencv_from_world = (np.diag([1, -1, -1, 1]) @ opengl_from_world)[:3]
        seen = camera.project(transform_points(opencv_from_world, seeds))
        for keypoint in image.get_observation_points2D():
            np.testing.assert_allclose(seen[keypoint.point3D_id - 1], keypoint.xy, atol=1e-3)


def test_applied_transform_leads_from_the_model_to_the_seeds_and_z_is_up(room: Any, tmp_path: Path) -> None:
    angle = 0.8
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    scene = room(world=np.concatenate([turn, [[1.0], [2.0], [3.0]]], axis=1))
    export(scene, tmp_path / "out", depth_seeds=False)
    document = json.loads((tmp_path / "out" / "transforms.json").read_text())
    applied = np.array(document["applied_transform"])
    np.testing.assert_allclose(applied[:, :3] @ applied[:, :3].T, np.eye(3), atol=1e-12)
    seeds, _ = read_ply(tmp_path / "out" / "sparse_pc.ply")
    np.testing.assert_allclose(seeds, transform_points(applied, scene.tracks.points), atol=1e-5)
    assert (applied[:, :3] @ turn @ [0, -1, 0])[2] > np.cos(np.radians(0.5))  # the room's -y is up


def test_a_world_that_is_upright_already_is_left_as_it_is(room: Any, tmp_path: Path) -> None:
    scene = replace(room(), up_source="gps")
    export(scene, tmp_path / "out", depth_seeds=False)
    document = json.loads((tmp_path / "out" / "transforms.json").read_text())
    np.testing.assert_array_equal(document["applied_transform"], np.eye(3, 4))
    seeds, _ = read_ply(tmp_path / "out" / "sparse_pc.ply")
    np.testing.assert_allclose(seeds, scene.tracks.points, atol=1e-5)


def test_level_colmap_world_gets_the_transform_that_nerfstudio_uses(room: Any, tmp_path: Path) -> None:
    scene = room()
    level = np.concatenate([np.eye(3), np.zeros((3, 1))], axis=1)
    scene = replace(scene, cam_from_world=np.tile(level, (6, 1, 1)), tracks=Tracks.empty())
    export(scene, tmp_path / "out")
    document = json.loads((tmp_path / "out" / "transforms.json").read_text())
    np.testing.assert_allclose(document["applied_transform"], [[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0]], atol=1e-12)


def test_depth_seeds_are_on_the_surface_and_coloured_by_the_images(room: Any, tmp_path: Path) -> None:
    scene = room()
    result = export(scene, tmp_path / "out")
    document = json.loads((tmp_path / "out" / "transforms.json").read_text())
    seeds, colours = read_ply(tmp_path / "out" / "sparse_pc.ply")
    points = seeds @ np.array(document["applied_transform"])[:, :3]
    assert result.figures["seed_points_from_depth"] == len(points) - len(scene.tracks) > 5000
    assert room.distance_to_surface(points).max() < 5e-3
    assert np.abs(colours.astype(int) - room.paint(points)).mean() < 2


def test_without_refinement_tracks_come_from_depth_and_are_counted_as_such(room: Any, tmp_path: Path) -> None:
    scene = replace(room(), tracks=Tracks.empty(), pose_source=("prior",) * 6)
    result = export(scene, tmp_path / "out")
    obey_gsplat(tmp_path / "out")
    figures = result.figures
    assert figures["tracks_measured"] == figures["observations_measured"] == figures["seed_points_matched"] == 0
    assert figures["tracks_from_depth"] == result.tracks > 500
    assert figures["images_without_measured_tracks"] == 6
    model = pycolmap.Reconstruction(tmp_path / "out" / "sparse" / "0")
    points = np.array([point.xyz for point in model.points3D.values()])
    colours = np.array([point.color for point in model.points3D.values()])
    assert np.abs(colours.astype(int) - room.paint(points)).mean() < 2


def test_frames_that_cannot_be_placed_are_left_out_of_everything(room: Any, tmp_path: Path) -> None:
    scene = room()
    keep = scene.tracks.observation_frame != 4
    tracks = replace(
        scene.tracks,
        observation_point=scene.tracks.observation_point[keep],
        observation_frame=scene.tracks.observation_frame[keep],
        observation_xy=scene.tracks.observation_xy[keep],
    )
    poses, scales = scene.cam_from_world.copy(), scene.depth_scale.copy()
    poses[4, :, 3] += 100  # far away, looking at nothing
    scales[4] = np.nan
    sources = ("none", "refined", "refined", "refined", "prior", "refined")
    scene = replace(scene, tracks=tracks, cam_from_world=poses, depth_scale=scales, pose_source=sources)
    result = export(scene, tmp_path / "out")
    obey_gsplat(tmp_path / "out")
    assert files(tmp_path / "out" / "images") == [f"view_0{k}.png" for k in (1, 2, 3, 5)]
    assert [item.frame for item in result.dropped] == ["view_00.png", "view_04.png"]
    document = json.loads((tmp_path / "out" / "transforms.json").read_text())
    assert len(document["frames"]) == 4


def test_no_pose_at_all_is_an_error_that_touches_nothing(room: Any, tmp_path: Path) -> None:
    scene = room()
    export(scene, tmp_path / "out")
    before = snapshot(tmp_path / "out")
    lost = replace(scene, cam_from_world=np.full((6, 3, 4), np.nan), pose_source=("none",) * 6)
    with pytest.raises(ExportError, match="none of the 6 frames"):
        export(lost, tmp_path / "out")
    assert snapshot(tmp_path / "out") == before


@pytest.mark.parametrize("step", ["copy_images", "write_colmap", "seed_points", "write_ply", "write_transforms"])
def test_a_failure_at_any_step_leaves_the_earlier_data_set(
    room: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    scene = room(names=("a.png", "b.png"), track_count=100)
    export(scene, tmp_path / "out")
    before = snapshot(tmp_path / "out")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stage_module, step, full)
    with pytest.raises(ExportError, match="free some space"):
        export(scene, tmp_path / "out")
    assert snapshot(tmp_path / "out") == before


def test_a_model_that_the_disk_cut_short_is_noticed(room: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """COLMAP's streams do not raise when the disk is full."""
    scene = room(names=("a.png", "b.png"), track_count=100)
    write = pycolmap.Reconstruction.write_binary

    def cut_short(model: pycolmap.Reconstruction, folder: Path) -> None:
        write(model, folder)
        with open(folder / "points3D.bin", "r+b") as file:
            file.truncate(100)

    monkeypatch.setattr(pycolmap.Reconstruction, "write_binary", cut_short)
    with pytest.raises(ExportError, match=r"points3D\.bin.*in full"):
        export(scene, tmp_path / "out")
    assert not (tmp_path / "out" / "sparse").exists()


def test_a_source_that_vanished_is_named(room: Any, tmp_path: Path) -> None:
    scene = room(names=("a.png", "b.png"), track_count=100)
    scene.frames[1].path.write_bytes(b"")
    with pytest.raises(ExportError, match=r"b\.png"):
        export(scene, tmp_path / "out")
    assert not (tmp_path / "out" / "images").exists()


def test_same_scene_same_bytes(room: Any, tmp_path: Path) -> None:
    scene = room(names=("a.png", "b.png", "c.png"))
    export(scene, tmp_path / "one")
    export(scene, tmp_path / "two")
    one, two = (snapshot(tmp_path / name) for name in ("one", "two"))
    times = {".da3/outputs.json", ".da3/outputs-copy.json"}  # which hold times, too
    assert times <= one.keys() == two.keys()
    assert {name: one[name] for name in one.keys() - times} == {name: two[name] for name in two.keys() - times}


def test_progress_counts_images(room: Any, tmp_path: Path) -> None:
    class Recorder(SilentProgress):
        def __init__(self) -> None:
            self.steps: list[tuple[int, int]] = []

        def step(self, done: int, total: int, note: str = "") -> None:
            self.steps.append((done, total))

    recorder = Recorder()
    run(room(), ExportConfig(), recorder, tmp_path / "out")
    assert recorder.steps == [(k, 6) for k in range(1, 7)]
