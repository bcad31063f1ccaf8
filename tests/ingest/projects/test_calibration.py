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
from da3_pipeline.ingest.projects.registry import read_views
from da3_pipeline.ingest.projects.views import KnownView

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
    views = read_views(tmp_path / "set")
    assert [view.name for view in views] == ["sub/01.jpg", "sub/02.jpg", "sub/03.jpg"]
    for view, pose in zip(views, truth, strict=True):
        assert view.cam_from_world == pytest.approx(pose, abs=1e-9)
        assert view.intrinsics is not None
        assert view.intrinsics.at(1024, 683) == Camera("OPENCV", 1024, 683, PARAMS)


def test_transforms_mean_the_same_as_colmap(tmp_path: Path) -> None:
    truth = poses(3)
    views = read_views(write(tmp_path / "transforms.json", transforms(truth)))
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
    views = read_views(write(tmp_path / "transforms.json", document))
    for view, pose in zip(views, truth, strict=True):
        assert view.cam_from_world == pytest.approx(pose, abs=1e-9)


def test_intrinsics_follow_the_resolution_but_not_the_shape(tmp_path: Path) -> None:
    view = read_views(write(tmp_path / "transforms.json", transforms(poses(1))))[0]
    assert view.intrinsics is not None
    half = view.intrinsics.at(512, 342)  # 341.5 px rounded up
    assert half.params[:3] == pytest.approx((450.0, 910 * 342 / 683, 255.0))
    assert half.params[4:] == PARAMS[4:]
    for width, height in ((1024, 768), (683, 1024)):
        with pytest.raises(ValueError, match="1024 x 683"):
            view.intrinsics.at(width, height)


def test_blender_angles_and_fisheyes(tmp_path: Path) -> None:
    frames = [{"file_path": "r_0", "transform_matrix": np.eye(4).tolist()}]
    blender = read_views(write(tmp_path / "a.json", {"camera_angle_x": math.pi / 2, "frames": frames}))[0]
    assert blender.intrinsics is not None
    assert blender.intrinsics.at(800, 600).params == pytest.approx((400, 400, 300))
    fields = {"w": 100, "h": 80, "fl_x": 50, "fl_y": 51, "cx": 50, "cy": 40, "k1": 0.1, "k4": 0.2}
    fisheye = read_views(
        write(tmp_path / "b.json", {"camera_model": "OPENCV_FISHEYE", "frames": [{**frames[0], **fields}]})
    )[0]
    assert fisheye.intrinsics is not None
    assert fisheye.intrinsics.at(100, 80) == Camera("OPENCV_FISHEYE", 100, 80, (50, 51, 50, 40, 0.1, 0, 0, 0.2))


def test_a_centred_principal_point_is_assumed_where_none_is_given(tmp_path: Path) -> None:
    document = {"w": 100, "h": 80, "fl_x": 50, "frames": [{"file_path": "a.jpg"}]}
    view = read_views(write(tmp_path / "a.json", document))[0]
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
        read_views(path)
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
            read_views(tmp_path / name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("own", "picture"), [((4000, 3000), (200, 151)), ((3000, 4000), (151, 200))])
def test_a_pixel_that_rounding_took_is_no_other_shape(
    own: tuple[int, int], picture: tuple[int, int], tmp_path: Path
) -> None:
    """One side of a small picture is rounded: scaled up again it is off by more than a pixel, scaled down it is not."""
    document = transforms(poses(1), w=own[0], h=own[1], cx=own[0] / 2, cy=own[1] / 2)
    intrinsics = read_views(write(tmp_path / "transforms.json", document))[0].intrinsics
    assert intrinsics is not None
    camera = intrinsics.at(*picture)
    assert (camera.width, camera.height) == picture
    with pytest.raises(ValueError, match="the picture has"):
        intrinsics.at(picture[0] + 3, picture[1] - 3)


def test_a_size_of_which_one_side_is_missing_is_no_size(tmp_path: Path) -> None:
    for missing in ("w", "h"):
        intrinsics = read_views(write(tmp_path / "t.json", transforms(poses(1), **{missing: None})))[0].intrinsics
        assert intrinsics is not None
        assert intrinsics.at(300, 200) == Camera("OPENCV", 300, 200, PARAMS)


def test_a_centre_that_is_half_told_is_completed_from_the_size(tmp_path: Path) -> None:
    for missing, expected in (("cx", (512.0, 345.0)), ("cy", (510.0, 341.5))):
        document = transforms(poses(1), **{missing: None})
        intrinsics = read_views(write(tmp_path / "t.json", document))[0].intrinsics
        assert intrinsics is not None and intrinsics.params[2:4] == expected
        with pytest.raises(CaptureError, match="without cx, cy or image size"):
            read_views(write(tmp_path / "t.json", document | {"w": None}))


def test_a_third_radial_term_needs_the_full_model_and_a_fourth_is_refused(tmp_path: Path) -> None:
    intrinsics = read_views(write(tmp_path / "t.json", transforms(poses(1), k3=0.003)))[0].intrinsics
    assert intrinsics is not None and intrinsics.model == "FULL_OPENCV"
    assert intrinsics.params == (*PARAMS, 0.003, 0.0, 0.0, 0.0)
    with pytest.raises(CaptureError, match="k4"):
        read_views(write(tmp_path / "t.json", transforms(poses(1), k4=0.003)))


@pytest.mark.parametrize("number", [math.inf, math.nan])
def test_no_matrix_holds_what_is_not_finite(number: float, tmp_path: Path) -> None:
    document = transforms(poses(1))
    document["frames"][0]["transform_matrix"][1][3] = number
    with pytest.raises(CaptureError, match="transform_matrix holds NaN or infinity"):
        read_views(write(tmp_path / "t.json", document))


def only_view(folder: Path, document: dict[str, Any]) -> KnownView:
    (view,) = read_views(write(folder / "t.json", document))
    return view


def test_of_several_models_the_one_nearest_at_hand_is_read(tmp_path: Path) -> None:
    """The folder's own, of `sparse/0`, of `sparse`, of `0`, and only then a transforms.json."""
    folders = [tmp_path / "set", tmp_path / "set" / "sparse" / "0", tmp_path / "set" / "sparse", tmp_path / "set" / "0"]
    for count in (1, 3, 2, 4):
        colmap_model(folders[count - 1] / "made", poses(count))
        for made in (folders[count - 1] / "made").iterdir():
            made.rename(folders[count - 1] / made.name)
    write(tmp_path / "set" / "transforms.json", transforms(poses(5)))
    for count, folder in enumerate(folders, start=1):
        assert len(read_views(tmp_path / "set")) == count
        (folder / "cameras.bin").unlink()
    assert len(read_views(tmp_path / "set")) == 5


def test_the_images_of_a_model_are_in_the_order_of_their_names(tmp_path: Path) -> None:
    model, truth = pycolmap.Reconstruction(), poses(2)
    model.add_camera_with_trivial_rig(Camera("OPENCV", 1024, 683, PARAMS).to_pycolmap(1))
    for index, name in enumerate(("c.jpg", "a.jpg"), start=1):
        image = pycolmap.Image(name=name, camera_id=1, image_id=index)
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d(truth[index - 1]))
    (tmp_path / "model").mkdir()
    model.write_binary(str(tmp_path / "model"))
    first, last = read_views(tmp_path / "model")
    assert (first.name, last.name, first.form) == ("a.jpg", "c.jpg", "colmap")
    assert first.cam_from_world == pytest.approx(truth[1]) and last.cam_from_world == pytest.approx(truth[0])


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ((-900.0, *PARAMS[1:]), "not positive"),
        ((*PARAMS[:7], math.nan), "NaN|not a readable"),
        (None, "holds no images"),
    ],
)
def test_a_model_that_no_camera_can_have_taken_is_refused(
    params: tuple[float, ...] | None, problem: str, tmp_path: Path
) -> None:
    model = pycolmap.Reconstruction()
    model.add_camera_with_trivial_rig(Camera("OPENCV", 1024, 683, params or PARAMS).to_pycolmap(1))
    if params is not None:
        image = pycolmap.Image(name="a.jpg", camera_id=1, image_id=1)
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d(poses(1)[0]))
    (tmp_path / "model").mkdir()
    model.write_text(str(tmp_path / "model"))
    with pytest.raises(CaptureError, match=problem):
        read_views(tmp_path / "model")


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> str:
        raise PermissionError

    path = write(tmp_path / "t.json", transforms(poses(1)))
    monkeypatch.setattr(Path, "read_text", forbidden)
    with pytest.raises(CaptureError, match="permission denied"):
        read_views(path)


def test_a_frame_speaks_before_its_file_and_names_are_those_of_any_system(tmp_path: Path) -> None:
    document = transforms(poses(2))
    document["frames"][0] |= {"fl_x": 1000.0, "file_path": ".\\images\\sub\\1.jpg"}
    first, second = read_views(write(tmp_path / "t.json", document))
    assert first.intrinsics is not None and second.intrinsics is not None
    assert (first.intrinsics.params[0], second.intrinsics.params[0]) == (1000.0, 900.0)
    assert (first.name, first.form) == ("images/sub/1.jpg", "transforms")


def test_one_focal_length_is_that_of_both_sides_and_goes_before_an_angle(tmp_path: Path) -> None:
    for missing, focal in (("fl_x", 910.0), ("fl_y", 900.0)):
        intrinsics = only_view(tmp_path, transforms(poses(1), **{missing: None}, camera_angle_x=1.0)).intrinsics
        assert intrinsics is not None and intrinsics.params[:2] == (focal, focal)
    assert only_view(tmp_path, transforms(poses(1), fl_x=None, fl_y=None)).intrinsics is None


@pytest.mark.parametrize(("angle_rad", "fine"), [(0.0, False), (-1.0, False), (0.01, True), (3.1, True), (3.2, False)])
def test_an_angle_of_view_is_less_than_half_a_turn(angle_rad: float, fine: bool, tmp_path: Path) -> None:
    document = transforms(poses(1), fl_x=None, fl_y=None, camera_angle_x=angle_rad)
    if not fine:
        with pytest.raises(CaptureError, match="camera_angle_x"):
            only_view(tmp_path, document)
        return
    intrinsics = only_view(tmp_path, document).intrinsics
    assert intrinsics is not None
    assert intrinsics.at(1024, 683).fov_deg[0] == pytest.approx(math.degrees(angle_rad))


@pytest.mark.parametrize(("width", "read"), [(1023.6, 1024), (1.0, 1), (0.9, None), (math.inf, None)])
def test_sizes_are_whole_pixels(width: float, read: int | None, tmp_path: Path) -> None:
    for key in ("w", "h"):
        document = transforms(poses(1)) | {key: width}
        if read is None:
            with pytest.raises(CaptureError, match=f"image size {key}"):
                only_view(tmp_path, document)
        else:
            intrinsics = only_view(tmp_path, document).intrinsics
            assert intrinsics is not None
            assert (intrinsics.width if key == "w" else intrinsics.height) == read


@pytest.mark.parametrize("model", ["OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "PERSPECTIVE", None])
def test_a_camera_bends_as_soon_as_one_term_does(model: str | None, tmp_path: Path) -> None:
    straight = transforms(poses(1), camera_model=model) | {"k1": 0, "k2": 0, "p1": 0, "p2": 0}
    if model is None:
        del straight["camera_model"]
    intrinsics = only_view(tmp_path, straight).intrinsics
    assert intrinsics is not None and (intrinsics.model, intrinsics.params) == ("PINHOLE", PARAMS[:4])
    for place, term in enumerate(("k1", "k2", "p1", "p2")):
        bent = only_view(tmp_path, straight | {term: 0.01}).intrinsics
        assert bent is not None and bent.model == "OPENCV"
        assert bent.params[4:] == tuple(0.01 if k == place else 0.0 for k in range(4))


def test_the_terms_of_a_fisheye_are_its_own(tmp_path: Path) -> None:
    terms = {"k1": 0.1, "k2": 0.2, "k3": 0.3, "k4": 0.4}
    intrinsics = only_view(tmp_path, transforms(poses(1), camera_model="OPENCV_FISHEYE") | terms).intrinsics
    assert intrinsics is not None and intrinsics.params == (*PARAMS[:4], 0.1, 0.2, 0.3, 0.4)


@pytest.mark.parametrize(("growth", "fine"), [(1.009, True), (0.991, True), (1.011, False), (0.989, False)])
def test_a_pose_may_be_off_by_rounding_and_comes_out_exact(growth: float, fine: bool, tmp_path: Path) -> None:
    matrix = np.diag([growth, growth, growth, 7.0])
    matrix[:3, 3] = 1, 2, 3
    for stored in (matrix, matrix[:3]):  # the last row says nothing
        document = with_pose(stored)
        if fine:
            assert only_view(tmp_path, document).cam_from_world == pytest.approx(
                np.array([[1.0, 0, 0, -1], [0, -1, 0, 2], [0, 0, -1, 3]])
            )
        else:
            with pytest.raises(CaptureError, match="not a rotation"):
                only_view(tmp_path, document)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("growth", [0.98, 1.02])
def test_one_axis_of_another_length_is_no_rotation(axis: int, growth: float, tmp_path: Path) -> None:
    matrix = np.eye(4)
    matrix[axis, axis] = growth
    with pytest.raises(CaptureError, match="not a rotation"):
        only_view(tmp_path, with_pose(matrix))


def test_a_picture_of_the_calibrated_size_has_the_very_camera(tmp_path: Path) -> None:
    intrinsics = only_view(tmp_path, transforms(poses(1))).intrinsics
    assert intrinsics is not None
    assert intrinsics.at(1024, 683).params == PARAMS
    assert intrinsics.at(1024, 684).height == 684 and intrinsics.at(1024, 684).params != PARAMS
