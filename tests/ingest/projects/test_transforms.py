"""transforms.json: every field that changes what a number means is read, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from project_truth import CAMERA, POSES, opengl, project_point, seen_where_it_is

from da3_pipeline.errors import CaptureError
from da3_pipeline.ingest.projects import transforms
from da3_pipeline.ingest.projects.views import KnownView


def document(**changes: Any) -> dict[str, Any]:
    fx, fy, cx, cy = CAMERA.params[:4]
    fields: dict[str, Any] = {"w": CAMERA.width, "h": CAMERA.height, "fl_x": fx, "fl_y": fy, "cx": cx, "cy": cy}
    fields["frames"] = [
        {"file_path": f"images/{index}.jpg", "transform_matrix": opengl(pose).tolist()}
        for index, pose in enumerate(POSES)
    ]
    return fields | changes


def views_of(folder: Path, fields: dict[str, Any], name: str = "transforms.json") -> tuple[KnownView, ...]:
    (folder / name).write_text(json.dumps(fields))
    return transforms.read(folder).views


def test_a_point_of_the_world_is_seen_where_it_is(tmp_path: Path) -> None:
    seen_where_it_is(views_of(tmp_path, document()))


def test_the_mark_of_windows_programs_is_passed_over(tmp_path: Path) -> None:
    text = json.dumps(document())
    (tmp_path / "transforms.json").write_text(text, encoding="utf-8-sig")
    assert (tmp_path / "transforms.json").read_bytes()[:3] == b"\xef\xbb\xbf"
    seen_where_it_is(transforms.read(tmp_path).views)


def test_fisheye_is_heard_from_either_program(tmp_path: Path) -> None:
    bent = {"k1": 0.1, "k2": 0.02, "k3": 0.003, "k4": 0.0004}
    for told in ({"is_fisheye": True}, {"camera_model": "OPENCV_FISHEYE"}):
        intrinsics = views_of(tmp_path, document(**bent, **told))[0].intrinsics
        assert intrinsics is not None and intrinsics.model == "OPENCV_FISHEYE"
        assert intrinsics.params == (*CAMERA.params, 0.1, 0.02, 0.003, 0.0004)


def test_the_applied_scale_and_transform_are_undone(tmp_path: Path) -> None:
    """nerfstudio turns the world, then multiplies places, and leaves axes as long as they were."""
    applied = np.array([[0, 1.0, 0, 3], [0, 0, 1, -1], [1, 0, 0, 2], [0, 0, 0, 1]])
    fields = document(applied_transform=applied[:3].tolist(), applied_scale=0.25)
    for frame, pose in zip(fields["frames"], POSES, strict=True):
        stored = applied @ opengl(pose)
        stored[:3, 3] *= 0.25
        frame["transform_matrix"] = stored.tolist()
    seen_where_it_is(views_of(tmp_path, fields))


def test_a_frames_own_intrinsics_go_before_the_files(tmp_path: Path) -> None:
    fields = document()
    fields["frames"][1] |= {"fl_x": 333.0, "k1": 0.5}
    first, second = (view.intrinsics for view in views_of(tmp_path, fields)[:2])
    assert first is not None and first.params == CAMERA.params
    assert second is not None and second.params[0] == 333.0 and second.params[4] == 0.5


def test_angles_of_view_give_both_focal_lengths(tmp_path: Path) -> None:
    fields = document(fl_x=None, fl_y=None, camera_angle_x=np.pi / 2, y_fov=60.0)
    intrinsics = views_of(tmp_path, fields)[0].intrinsics
    assert intrinsics is not None
    assert intrinsics.params[:2] == pytest.approx((CAMERA.width / 2, CAMERA.height / 2 / np.tan(np.pi / 6)))
    assert intrinsics.params[2:] == CAMERA.params[2:]


def test_a_rolling_shutters_pose_is_that_of_its_middle(tmp_path: Path) -> None:
    fields = document()
    for frame, pose in zip(fields["frames"], POSES, strict=True):
        turn = np.eye(4)
        turn[:2, :2] = [[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]]
        shift = np.eye(4)
        shift[0, 3] = 0.2
        del frame["transform_matrix"]
        frame["transform_matrix_start"] = (shift @ opengl(pose) @ turn).tolist()
        frame["transform_matrix_end"] = (np.linalg.inv(shift) @ opengl(pose) @ np.linalg.inv(turn)).tolist()
    seen_where_it_is(views_of(tmp_path, fields))


def test_depth_and_masks_are_told_with_their_units(tmp_path: Path) -> None:
    for name in ("d.png", "m.png"):
        (tmp_path / name).touch()
    fields = document(integer_depth_scale=0.0005)
    fields["frames"][0] |= {"depth_file_path": "d.png", "mask_path": "./m.png"}
    fields["frames"][1] |= {"depth_path": "d.png"}
    nerfstudio, ngp, plain = views_of(tmp_path, fields)
    assert nerfstudio.depth is not None and (nerfstudio.depth.path, nerfstudio.depth.unit) == (tmp_path / "d.png", 1e-3)
    assert ngp.depth is not None and ngp.depth.unit == 0.0005
    assert not ngp.depth.metric  # in units of the poses, which may be any
    assert (nerfstudio.mask, ngp.mask, plain.depth) == (tmp_path / "m.png", None, None)
    assert set(transforms.read(tmp_path).beside) == {tmp_path / "d.png", tmp_path / "m.png"}


def test_blenders_parts_are_one_project_and_its_layers_no_photographs(tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "r_0.png").touch()
        (tmp_path / part / "r_0_depth_0001.png").touch()
        fields = {"camera_angle_x": 0.7, "frames": [{"file_path": f"./{part}/r_0"}]}
        (tmp_path / f"transforms_{part}.json").write_text(json.dumps(fields))
    project = transforms.read(tmp_path)
    assert [view.path for view in project.views] == [tmp_path / "train" / "r_0.png", tmp_path / "test" / "r_0.png"]
    assert set(project.beside) == {tmp_path / part / "r_0_depth_0001.png" for part in ("train", "test")}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"camera_model": "OPENCV", "is_fisheye": True}, "contradict"),
        ({"ftheta_p0": 0.1}, "f-theta"),
        ({"latlong": True}, "equirectangular"),
        ({"camera_model": "EQUIRECTANGULAR"}, "EQUIRECTANGULAR is not supported"),
        ({"applied_scale": 0}, "applied_scale"),
        ({"fl_x": None, "fl_y": None, "camera_angle_x": 1.0, "w": None}, "without image size"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=said) as refusal:
        views_of(tmp_path, document(**changes))
    assert "\n" not in str(refusal.value)


def test_files_that_are_named_must_be_there(tmp_path: Path) -> None:
    fields = document()
    fields["frames"][0]["mask_path"] = "gone.png"
    with pytest.raises(CaptureError, match=r"mask_path gone\.png is not there"):
        views_of(tmp_path, fields)


def test_the_truth_itself_is_where_arithmetic_puts_it() -> None:
    """The camera of the tests at the origin looks along +z, x right and y down."""
    fx, fy, cx, cy = CAMERA.params
    seen = project_point(CAMERA, np.eye(3, 4), np.array([0.5, -0.25, 2.0]))
    assert seen == pytest.approx((cx + fx * 0.25, cy - fy * 0.125))
