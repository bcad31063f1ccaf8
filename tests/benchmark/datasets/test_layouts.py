"""Every reader on a tiny tree of its layout: poses, cameras, depth and masks come out in one convention."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from dataset_layouts import HEIGHT, LAYOUTS, POSES, WIDTH, K, camera_file, picture, posed_model

from da3_pipeline.benchmark.datasets.contract import GeometryScene, sampled, with_targets
from da3_pipeline.benchmark.datasets.registry import DATASETS, availability, dataset
from da3_pipeline.benchmark.datasets.seven_scenes import evenly
from da3_pipeline.errors import CaptureError, UsageError

EXPECTED_K = {
    "7scenes": np.array([[585.0, 0, 320], [0, 585, 240], [0, 0, 1]]),
    "megadepth": np.array([[20.0, 0, 8], [0, 20, 6], [0, 0, 1]]),
    "tum": np.array([[535.4, 0, 320.6], [0, 539.2, 248.1], [0, 0, 1]]),
}
ORDER = {"eth3d": [2, 0, 1]}


def laid(name: str, root: Path) -> GeometryScene:
    LAYOUTS[name](root)
    scenes = dataset(name).scenes(root)
    assert len(scenes) == 1
    return dataset(name).read(root, scenes[0])


def test_every_data_set_has_a_layout_here() -> None:
    assert set(LAYOUTS) | {"rendered"} == set(DATASETS)


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_poses_and_cameras_are_ours(name: str, tmp_path: Path) -> None:
    scene = laid(name, tmp_path)
    np.testing.assert_allclose(scene.cam_from_world, POSES[ORDER.get(name, [0, 1, 2])], atol=1e-9)
    if name != "scannetpp":
        np.testing.assert_allclose(scene.intrinsics, np.stack([EXPECTED_K.get(name, K)] * 3), atol=1e-9)
    assert scene.views[0].image().ndim == 3


@pytest.mark.parametrize("name", ["7scenes", "eth3d", "hiroom", "tum"])
def test_depth_is_in_metres_and_nan_where_nothing_is_known(name: str, tmp_path: Path) -> None:
    read = laid(name, tmp_path).views[1].depth
    assert read is not None
    depth = read()
    assert depth.shape == (HEIGHT, WIDTH)
    assert np.isnan(depth[0, 0])
    assert np.isfinite(depth).sum() == HEIGHT * WIDTH - 1
    np.testing.assert_allclose(np.nanmean(depth), 2.0, atol=1e-3)


@pytest.mark.parametrize("name", ["dtu", "eth3d", "hiroom"])
def test_masks_leave_out_what_they_mark(name: str, tmp_path: Path) -> None:
    read = laid(name, tmp_path).views[0].mask
    assert read is not None
    np.testing.assert_array_equal(read(), np.eye(HEIGHT, WIDTH) == 0)


def test_dtus_protocol_comes_along(tmp_path: Path) -> None:
    scene = laid("dtu", tmp_path)
    assert scene.dtu is not None
    observed = scene.dtu()
    assert (observed.mask.shape, observed.step_mm) == ((2, 3, 4), 10.0)
    np.testing.assert_array_equal(observed.plane, [0, 0, 1, -5])


def test_the_thirty_fourth_view_of_dtu_comes_first(tmp_path: Path) -> None:
    for index in range(36):
        picture(tmp_path / "scan1" / "image" / f"{index:08d}.png")
        camera_file(tmp_path / "Cameras" / f"{index:08d}_cam.txt", POSES[0])
    names = dataset("dtu64").read(tmp_path, "scan1").names
    assert [int(Path(name).stem) for name in names] == [33, *range(33), 34, 35]


def test_scannetpps_pictures_are_those_of_its_pinhole(tmp_path: Path) -> None:
    """A dot where the lens puts a point is found where the pinhole puts it, and so is its depth."""
    view = laid("scannetpp", tmp_path).views[0]
    point = np.array([[[0.15, -0.1, 1.0]]])
    raw = np.array([[20 * 64.0, 0, 8 * 64 - 0.5], [0, 21 * 64, 6 * 64 - 0.5], [0, 0, 1]])
    (u, v) = cv2.projectPoints(point, np.zeros(3), np.zeros(3), raw, np.array([0.05, 0.01, 0, 0]))[0].reshape(2)
    stored = np.zeros((768, 1024, 3), np.uint8)
    cv2.circle(stored, (round(u), round(v)), 4, (255, 255, 255), -1)
    assert view.undistort is not None
    found = view.undistort(stored)[:, :, 0].astype(float)
    rows, columns = np.mgrid[: found.shape[0], : found.shape[1]] + 0.5
    centre = np.array([(columns * found).sum(), (rows * found).sum()]) / found.sum()
    expected = (view.intrinsics @ point.reshape(3))[:2]
    assert found.shape == (768, 1024)
    np.testing.assert_allclose(centre, expected, atol=1.0)
    assert view.depth is not None
    depth = view.depth()
    assert depth.shape == (768, 1024)
    assert np.nanmax(np.abs(depth - 2)) < 1e-6
    assert all("iphone" in name for name in dataset("scannetpp").read(tmp_path, "0a1b").names)


@pytest.mark.parametrize(
    ("name", "file", "damage"),
    [
        ("hiroom", "data/a/b/c/pose/1.npy", b"no array"),
        ("7scenes", "7Scenes/stairs/seq-02/frame-000001.pose.txt", b"1 0 0\n"),
        ("eth3d", "delivery_area/dslr_calibration_jpg/cameras.txt", b"8 PINHOLE x\n"),
        ("dtu64", "Cameras/00000001_cam.txt", b"extrinsic\n1 2 3 x\n"),
        ("dl3dv", "1K/0a1b2c/nerfstudio/images_8/frame_00001.png", b"no picture"),
        ("tanksandtemples", "truck/images/000001.jpg", b"no picture"),
    ],
)
def test_a_damaged_scene_is_one_line_with_the_file(name: str, file: str, damage: bytes, tmp_path: Path) -> None:
    LAYOUTS[name](tmp_path)
    (tmp_path / file).write_bytes(damage)
    with pytest.raises(CaptureError) as error:
        dataset(name).read(tmp_path, dataset(name).scenes(tmp_path)[0])
    assert Path(file).parent.name in str(error.value)
    assert "get the data set again" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_line_of_a_sequence_without_a_file_is_one_line(tmp_path: Path) -> None:
    LAYOUTS["tum"](tmp_path)
    folder = tmp_path / "rgbd_dataset_freiburg3_office"
    (folder / "rgb.txt").write_text("0.0\n")
    with pytest.raises(CaptureError, match=r"freiburg3_office: cannot be read .*; get the sequence again"):
        dataset("tum").read(tmp_path, folder.name)


def test_a_pose_that_is_no_number_does_not_hang(tmp_path: Path) -> None:
    """LAPACK's decomposition of infinities may never end."""
    LAYOUTS["7scenes"](tmp_path)
    pose = tmp_path / "7Scenes" / "stairs" / "seq-02" / "frame-000001.pose.txt"
    pose.write_text(pose.read_text().replace(pose.read_text().split()[0], "inf", 1))
    with pytest.raises(CaptureError, match=r"frame-000001.pose.txt: the pose holds NaN or infinity"):
        dataset("7scenes").read(tmp_path, "stairs")


def test_a_damaged_list_of_scenes_is_one_line_with_the_file(tmp_path: Path) -> None:
    LAYOUTS["hiroom"](tmp_path)
    (tmp_path / "selected_scene_list_val.txt").write_bytes(b"a/b/c\n\x80\n")
    with pytest.raises(CaptureError, match=r"selected_scene_list_val.txt: cannot be read .*; get the data set again"):
        dataset("hiroom").scenes(tmp_path)


def test_what_is_missing_is_said_with_where_to_get_it(tmp_path: Path) -> None:
    LAYOUTS["strecha"](tmp_path / "strecha")
    lines = availability(tmp_path).splitlines()
    assert next(line for line in lines if line.startswith("strecha")).split()[1:] == ["1", "scenes"]
    eth3d_line = next(index for index, line in enumerate(lines) if line.startswith("eth3d"))
    assert "DA3-BENCH" in lines[eth3d_line]
    assert "combined_mesh.ply" in lines[eth3d_line + 1]
    with pytest.raises(UsageError, match="kitti"):
        dataset("kitti")


def test_many_frames_are_drawn_as_the_published_benchmark_draws_them(tmp_path: Path) -> None:
    """random.seed(42), shuffle, the first ones, sorted."""
    from random import Random

    scene = laid("strecha", tmp_path)
    many = scene.subset([0, 1, 2, 0, 1, 2, 0, 1])
    order = list(range(8))
    Random(42).shuffle(order)
    assert sampled(many, 4).names == many.subset(sorted(order[:4])).names
    assert sampled(many, 4).names != many.subset(range(4)).names
    assert sampled(scene, 3) is scene
    assert len(evenly(many, 3)) == 3


def test_photographs_through_a_lens_that_bends_are_those_of_a_pinhole(tmp_path: Path) -> None:
    """A dot where MegaDepth's lens puts a point is found where the pinhole puts it."""
    size, lens = (320, 240), [260.0, 160.0, 120.0, -0.15]
    posed_model(tmp_path / "0015" / "sparse" / "manhattan" / "0", "SIMPLE_RADIAL", lens, size)
    point = np.array([0.35, -0.2, 1.0])
    bent = point[:2] * (1 + lens[3] * (point[:2] ** 2).sum()) * lens[0] + lens[1:3]
    stored = np.zeros((size[1], size[0], 3), np.uint8)
    cv2.circle(stored, tuple(np.floor(bent).astype(int).tolist()), 4, (255, 255, 255), -1)
    for index in range(3):
        picture(tmp_path / "0015" / "images" / f"{index:06d}.jpg", size=size)
    view = dataset("megadepth").read(tmp_path, "0015").views[0]
    assert view.undistort is not None and view.image().shape[0] > 100
    found = view.undistort(stored)[:, :, 0].astype(float)
    rows, columns = np.mgrid[: found.shape[0], : found.shape[1]] + 0.5
    centre = np.array([(columns * found).sum(), (rows * found).sum()]) / found.sum()
    straight = (view.intrinsics @ point)[:2]
    np.testing.assert_allclose(centre, straight, atol=0.8)
    assert np.linalg.norm(straight - view.intrinsics[:2, 2] - (bent - lens[1:3])) > 1.5  # it does bend


def test_targets_lie_halfway_between_the_given_views(tmp_path: Path) -> None:
    few = laid("strecha", tmp_path)
    numbered = tuple(replace(few.views[0], name=str(number)) for number in range(25))
    split = with_targets(replace(few, views=numbered), 5)
    assert split.names == ("0", "6", "12", "18", "24")
    assert [view.name for view in split.targets] == ["3", "9", "15", "21"]
    only = few.subset([0])
    few = with_targets(few, 12)
    assert [view.name for view in few.views] == ["0.jpg", "2.jpg"]
    assert [view.name for view in few.targets] == ["1.jpg"]
    assert (len(with_targets(only)), with_targets(only).targets) == (1, ())
