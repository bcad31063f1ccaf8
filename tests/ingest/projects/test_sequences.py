"""RGB-D sequences: joined by name or time, with units, and a point of the world where its camera sees it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from project_truth import CAMERA, POSES, opencv, seen_where_it_is
from scipy.spatial.transform import Rotation

from da3_pipeline.geometry.cameras import Camera
from da3_pipeline.ingest import IngestConfig, run
from da3_pipeline.ingest.projects import sequences
from da3_pipeline.ingest.projects.registry import find_project
from da3_pipeline.ingest.projects.views import Project
from da3_pipeline.progress import SilentProgress

FX, FY, CX, CY = CAMERA.params


def picture(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (120, 160, 3), np.uint8)
    Image.fromarray(pixels).resize((640, 480)).save(path)


def depth_map(path: Path, millimetres: int = 2000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((48, 64), millimetres, np.uint16)).save(path)


def matrix_file(path: Path, matrix: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, matrix)


def found(folder: Path, program: str) -> Project:
    project = find_project(folder)
    assert project is not None and project.program == program
    return project


def test_tum_is_joined_by_time(tmp_path: Path) -> None:
    """Its pixels count from the centre of the first one; depth and truth have clocks of their own."""
    folder = tmp_path / "rgbd_dataset_freiburg1_xyz"
    rgb, depth, truth = ["# colour"], ["# depth"], ["# truth"]
    for index, pose in enumerate(POSES):
        time_s = 1305031102.1753 + index / 3
        picture(folder / "rgb" / f"{time_s:.6f}.png")
        depth_map(folder / "depth" / f"{time_s - 0.015:.6f}.png")
        rgb.append(f"{time_s:.6f} rgb/{time_s:.6f}.png")
        if index < 2:
            depth.append(f"{time_s - 0.015:.6f} depth/{time_s - 0.015:.6f}.png")
        placed = opencv(pose)
        quaternion = Rotation.from_matrix(placed[:3, :3]).as_quat()
        for late_s in (0.3, 0.004, -0.5):  # the nearest of them counts
            words = [*(placed[:3, 3] + late_s - 0.004), *quaternion]
            truth.append(f"{time_s + late_s:.6f} " + " ".join(map(repr, map(float, words))))
    for name, lines in (("rgb", rgb), ("depth", depth), ("groundtruth", truth)):
        (folder / f"{name}.txt").write_text("\n".join(lines))
    project = found(folder, "TUM RGB-D")
    seen_where_it_is(project.views, Camera("PINHOLE", 640, 480, (517.3, 516.5, 319.1, 255.8)))
    units = [view.depth.unit if view.depth else None for view in project.views]
    assert units == [1 / 5000, 1 / 5000, None]
    assert project.metric and not project.views[0].calibrated
    assert find_project(folder / "rgb") is None


def test_sun3d(tmp_path: Path) -> None:
    matrix_file(tmp_path / "camera-intrinsics.txt", np.array([[FX, 0, CX - 0.5], [0, FY, CY - 0.5], [0, 0, 1]]))
    for index, pose in enumerate(POSES):
        picture(tmp_path / f"frame-{index:06d}.color.jpg")
        depth_map(tmp_path / f"frame-{index:06d}.depth.png")
        matrix_file(tmp_path / f"frame-{index:06d}.pose.txt", opencv(pose))
    project = found(tmp_path, "SUN3D")
    seen_where_it_is(project.views)
    assert {tmp_path / f"frame-{index:06d}.depth.png" for index in range(3)} == set(project.beside)


def test_seven_scenes_depth_is_seen_by_a_camera_of_its_own(tmp_path: Path) -> None:
    """Its colour camera sees more: the depth map's corner lies inside the picture, its centre on the centre."""
    for index, pose in enumerate(POSES):
        stem = tmp_path / "seq-01" / f"frame-{index:06d}"
        picture(Path(f"{stem}.color.png"))
        depth_map(Path(f"{stem}.depth.png"))
        matrix_file(Path(f"{stem}.pose.txt"), opencv(pose))
    project = found(tmp_path, "7-Scenes")
    seen_where_it_is(project.views, Camera("SIMPLE_PINHOLE", 640, 480, (525.0, 320.0, 240.0)))
    depth = project.views[0].depth
    assert depth is not None and depth.pixel_map is not None
    places = depth.pixel_map.to_original(np.array([[0.0, 0.0], [320.0, 240.0]]))
    assert places == pytest.approx(np.array([[320 * (1 - 525 / 585), 240 * (1 - 525 / 585)], [320, 240]]))


def test_scannet_knows_where_it_was_lost(tmp_path: Path) -> None:
    colour = np.array([[FX, 0, CX - 0.5, 0], [0, FY, CY - 0.5, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    matrix_file(tmp_path / "intrinsic" / "intrinsic_color.txt", colour)
    matrix_file(tmp_path / "intrinsic" / "intrinsic_depth.txt", np.diag([0.5, 0.5, 1, 1]) @ colour)
    for index, pose in enumerate([*POSES, None]):
        picture(tmp_path / "color" / f"{index}.jpg")
        depth_map(tmp_path / "depth" / f"{index}.png")
        matrix_file(tmp_path / "pose" / f"{index}.txt", np.full((4, 4), -np.inf) if pose is None else opencv(pose))
    project = found(tmp_path, "ScanNet")
    assert project.views[3].cam_from_world is None
    seen_where_it_is(project.views[:3])
    depth = project.views[0].depth
    assert depth is not None and depth.pixel_map is not None
    # What stands at the optical axis of one camera stands at that of the other.
    assert depth.pixel_map.to_original(np.array([(CX - 0.5) / 2 + 0.5, (CY - 0.5) / 2 + 0.5])) == pytest.approx(
        (CX, CY)
    )


@pytest.mark.parametrize(
    ("colour", "depth"),
    [
        ("frame-{}.jpg", "frame-{}.depth.png"),
        ("{}.png", "{}_depth.png"),
        ("rgb/{}.jpg", "depth/{}.png"),
        ("images/a_{}.png", "depth/a_{}.png"),
    ],
)
def test_depth_beside_pictures_is_theirs_and_no_photograph(colour: str, depth: str, tmp_path: Path) -> None:
    for index in range(3):
        picture(tmp_path / colour.format(index), index)
        depth_map(tmp_path / depth.format(index), 1000 + index)
    capture = run([tmp_path], IngestConfig(), SilentProgress())
    assert [photo.name for photo in capture.photos] == [colour.format(index) for index in range(3)]
    assert capture.told == ("RGB-D project: 3 images, depth read",)
    for index, photo in enumerate(capture.photos):
        assert photo.depth is not None and photo.depth.path == tmp_path / depth.format(index)
        assert photo.depth.unit == 0.001


def test_depth_of_another_clock_is_the_nearest_in_time(tmp_path: Path) -> None:
    for index in range(3):
        picture(tmp_path / "rgb" / f"{100 + index / 10:.4f}.png", index)
        if index != 1:
            depth_map(tmp_path / "depth" / f"{100 + index / 10 + 0.013:.4f}.png")
    project = sequences.read_pairs(tmp_path)
    assert {view.name: view.depth.path.name for view in project.views if view.depth is not None} == {
        "rgb/100.0000.png": "100.0130.png",
        "rgb/100.2000.png": "100.2130.png",
    }


def test_pictures_of_depth_are_no_depth(tmp_path: Path) -> None:
    """Eight bits or colours have no unit."""
    for index in range(2):
        picture(tmp_path / "rgb" / f"{index}.png", index)
        picture(tmp_path / "depth" / f"{index}.png", index + 5)
    assert find_project(tmp_path) is None
