"""Known cameras and poses: both formats mean the same, and numbers that no camera has are refused in one line."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
import pytest
from scipy.spatial.transform import Rotation

from da3_pipeline.errors import CaptureError
from da3_pipeline.geometry.cameras import Camera
from da3_pipeline.ingest.calibration import read_calibration

PARAMS = (900.0, 910.0, 510.0, 345.0, 0.02, -0.01, 0.001, -0.002)


def poses(count: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    rotations = Rotation.random(count, random_state=7).as_matrix()
    return np.concatenate([rotations, rng.normal(size=(count, 3, 1))], axis=2)


def colmap_model(folder: Path, cam_from_world: np.ndarray, binary: bool = True) -> Path:
    model = pycolmap.Reconstruction()
    model.add_camera_with_trivial_rig(Camera("OPENCV", 1024, 683, PARAMS).to_pycolmap(1))
    for index, pose in enumerate(cam_from_world, start=1):
        image = pycolmap.Image(name=f"sub/{index:02d}.jpg", camera_id=1, image_id=index)
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d(pose))
    folder.mkdir(parents=True)
    model.write_binary(str(folder)) if binary else model.write_text(str(folder))
    return folder


def transforms(
    cam_from_world: np.ndarray, stored_from_world: np.ndarray | None = None, **changes: Any
) -> dict[str, Any]:
    """As nerfstudio writes it: OpenGL camera-to-world, after `applied_transform`."""
    frames = []
    for index, pose in enumerate(cam_from_world, start=1):
        world_from_cam = np.linalg.inv(np.vstack([pose, [0, 0, 0, 1]]))
        opengl = world_from_cam @ np.diag([1, -1, -1, 1])
        if stored_from_world is not None:
            opengl = stored_from_world @ opengl
        frames.append({"file_path": f"./images/sub/{index:02d}.jpg", "transform_matrix": opengl.tolist()})
    names = ("fl_x", "fl_y", "cx", "cy", "k1", "k2", "p1", "p2")
    document: dict[str, Any] = {"w": 1024, "h": 683, "camera_model": "OPENCV", **dict(zip(names, PARAMS, strict=True))}
    document.update(frames=frames)
    document.update(changes)
    return document


def write(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("below", ["", "sparse/0", "sparse"])
def test_colmap_models_are_found_and_read(tmp_path: Path, binary: bool, below: str) -> None:
    truth = poses(3)
    colmap_model(tmp_path / "set" / below, truth, binary)
    views = read_calibration(tmp_path / "set")
    assert [view.name for view in views] == ["sub/01.jpg", "sub/02.jpg", "sub/03.jpg"]
    for view, pose in zip(views, truth, strict=True):
        assert view.cam_from_world == pytest.approx(pose, abs=1e-9)
        assert view.intrinsics is not None
        assert view.intrinsics.at(1024, 683) == Camera("OPENCV", 1024, 683, PARAMS)


def test_transforms_mean_the_same_as_colmap(tmp_path: Path) -> None:
    truth = poses(3)
    views = read_calibration(write(tmp_path / "transforms.json", transforms(truth)))
    assert [view.name for view in views] == [f"images/sub/{index:02d}.jpg" for index in (1, 2, 3)]
    for view, pose in zip(views, truth, strict=True):
        assert view.cam_from_world == pytest.approx(pose, abs=1e-9)
        assert view.intrinsics is not None
        assert view.intrinsics.at(1024, 683) == Camera("OPENCV", 1024, 683, PARAMS)


def test_the_applied_transform_is_undone(tmp_path: Path) -> None:
    truth = poses(3)
    applied = np.eye(4)
    applied[:3, :3] = [[0, 1, 0], [1, 0, 0], [0, 0, -1]]
    applied[:3, 3] = (1, 2, 3)
    document = transforms(truth, applied, applied_transform=applied[:3].tolist())
    views = read_calibration(write(tmp_path / "transforms.json", document))
    for view, pose in zip(views, truth, strict=True):
        assert view.cam_from_world == pytest.approx(pose, abs=1e-9)


def test_intrinsics_follow_the_resolution_but_not_the_shape(tmp_path: Path) -> None:
    view = read_calibration(write(tmp_path / "transforms.json", transforms(poses(1))))[0]
    assert view.intrinsics is not None
    half = view.intrinsics.at(512, 342)  # 341.5 px rounded up
    assert half.params[:3] == pytest.approx((450.0, 910 * 342 / 683, 255.0))
    assert half.params[4:] == PARAMS[4:]
    for width, height in ((1024, 768), (683, 1024)):
        with pytest.raises(ValueError, match="1024 x 683"):
            view.intrinsics.at(width, height)


def test_blender_angles_and_fisheyes(tmp_path: Path) -> None:
    frames = [{"file_path": "r_0", "transform_matrix": np.eye(4).tolist()}]
    blender = read_calibration(write(tmp_path / "a.json", {"camera_angle_x": math.pi / 2, "frames": frames}))[0]
    assert blender.intrinsics is not None
    assert blender.intrinsics.at(800, 600).params == pytest.approx((400, 400, 300))
    fields = {"w": 100, "h": 80, "fl_x": 50, "fl_y": 51, "cx": 50, "cy": 40, "k1": 0.1, "k4": 0.2}
    fisheye = read_calibration(
        write(tmp_path / "b.json", {"camera_model": "OPENCV_FISHEYE", "frames": [{**frames[0], **fields}]})
    )[0]
    assert fisheye.intrinsics is not None
    assert fisheye.intrinsics.at(100, 80) == Camera("OPENCV_FISHEYE", 100, 80, (50, 51, 50, 40, 0.1, 0, 0, 0.2))


def test_a_centred_principal_point_is_assumed_where_none_is_given(tmp_path: Path) -> None:
    document = {"w": 100, "h": 80, "fl_x": 50, "frames": [{"file_path": "a.jpg"}]}
    view = read_calibration(write(tmp_path / "a.json", document))[0]
    assert view.intrinsics is not None
    assert view.intrinsics.at(200, 160) == Camera("PINHOLE", 200, 160, (100, 100, 100, 80))
    assert view.cam_from_world is None


def with_pose(matrix: np.ndarray) -> dict[str, Any]:
    document = transforms(poses(1))
    document["frames"][0]["transform_matrix"] = matrix.tolist()
    return document


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (transforms(poses(2), fl_x=float("nan")), "NaN"),
        (transforms(poses(2), k1=float("inf")), "NaN or infinity"),
        (transforms(poses(2), fl_y=-900), "not positive"),
        (transforms(poses(2), fl_x=0), "not positive"),
        (transforms(poses(2), fl_x="wide"), "not numbers"),
        (transforms(poses(2), w=0), "image size"),
        (transforms(poses(2), camera_model="EQUIRECTANGULAR"), "EQUIRECTANGULAR is not supported"),
        (transforms(poses(2), applied_transform=np.zeros((3, 4)).tolist()), "cannot be inverted"),
        (with_pose(np.full((4, 4), np.nan)), "NaN"),
        (with_pose(np.diag([1.0, 1.0, -1.0, 1.0])), "mirrors"),
        (with_pose(np.diag([2.0, 2.0, 2.0, 1.0])), "not a rotation"),
        (with_pose(np.eye(3)), "4 x 4"),
        ({"frames": []}, "no frames"),
        ({"cameras": []}, "not a transforms.json"),
        ([1, 2], "not a transforms.json"),
    ],
)
def test_impossible_transforms_are_one_line(tmp_path: Path, document: Any, problem: str) -> None:
    path = write(tmp_path / "transforms.json", document)
    with pytest.raises(CaptureError) as caught:
        read_calibration(path)
    assert problem in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_calibration(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.json").write_text("{frames: ")
    damaged = colmap_model(tmp_path / "damaged", poses(2))
    (damaged / "cameras.bin").write_bytes((damaged / "cameras.bin").read_bytes()[:20])
    for name, problem in (
        ("none", "no such file"),
        ("empty", "neither a COLMAP model"),
        ("broken.json", "not a transforms.json"),
        ("damaged", "not a readable COLMAP model|focal length 0 px"),
    ):
        with pytest.raises(CaptureError, match=problem) as caught:
            read_calibration(tmp_path / name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("own", "picture"), [((4000, 3000), (200, 151)), ((3000, 4000), (151, 200))])
def test_a_pixel_that_rounding_took_is_no_other_shape(
    own: tuple[int, int], picture: tuple[int, int], tmp_path: Path
) -> None:
    """One side of a small picture is rounded: scaled up again it is off by more than a pixel, scaled down it is not."""
    document = transforms(poses(1), w=own[0], h=own[1], cx=own[0] / 2, cy=own[1] / 2)
    intrinsics = read_calibration(write(tmp_path / "transforms.json", document))[0].intrinsics
    assert intrinsics is not None
    camera = intrinsics.at(*picture)
    assert (camera.width, camera.height) == picture
    with pytest.raises(ValueError, match="the picture has"):
        intrinsics.at(picture[0] + 3, picture[1] - 3)


def test_a_size_of_which_one_side_is_missing_is_no_size(tmp_path: Path) -> None:
    for missing in ("w", "h"):
        intrinsics = read_calibration(write(tmp_path / "t.json", transforms(poses(1), **{missing: None})))[0].intrinsics
        assert intrinsics is not None
        assert intrinsics.at(300, 200) == Camera("OPENCV", 300, 200, PARAMS)


def test_a_centre_that_is_half_told_is_completed_from_the_size(tmp_path: Path) -> None:
    for missing, expected in (("cx", (512.0, 345.0)), ("cy", (510.0, 341.5))):
        document = transforms(poses(1), **{missing: None})
        intrinsics = read_calibration(write(tmp_path / "t.json", document))[0].intrinsics
        assert intrinsics is not None and intrinsics.params[2:4] == expected
        with pytest.raises(CaptureError, match="without cx, cy or image size"):
            read_calibration(write(tmp_path / "t.json", document | {"w": None}))


def test_a_third_radial_term_needs_the_full_model_and_a_fourth_is_refused(tmp_path: Path) -> None:
    intrinsics = read_calibration(write(tmp_path / "t.json", transforms(poses(1), k3=0.003)))[0].intrinsics
    assert intrinsics is not None and intrinsics.model == "FULL_OPENCV"
    assert intrinsics.params == (*PARAMS, 0.003, 0.0, 0.0, 0.0)
    with pytest.raises(CaptureError, match="k4"):
        read_calibration(write(tmp_path / "t.json", transforms(poses(1), k4=0.003)))


@pytest.mark.parametrize("number", [math.inf, math.nan])
def test_no_matrix_holds_what_is_not_finite(number: float, tmp_path: Path) -> None:
    document = transforms(poses(1))
    document["frames"][0]["transform_matrix"][1][3] = number
    with pytest.raises(CaptureError, match="transform_matrix holds NaN or infinity"):
        read_calibration(write(tmp_path / "t.json", document))
