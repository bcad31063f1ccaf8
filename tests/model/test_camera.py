"""The pose encoding and the normalisation of known poses, against analytic truth and the published code's functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from da3_pipeline.model import normalise_poses
from da3_pipeline.model.camera import (
    decode_pose,
    encode_pose,
    invert_pose,
    quaternion_from_rotation,
    rotation_from_quaternion,
)

SIZE = (280, 378)
TOLERANCE = 1e-5
UNIT = st.floats(-1, 1)


def _rotation(axis_angle: tuple[float, float, float]) -> Tensor:
    vector = torch.tensor(axis_angle, dtype=torch.float64)
    return torch.linalg.matrix_exp(torch.linalg.cross(torch.eye(3, dtype=torch.float64), vector[None]))


def _poses(count: int, seed: int) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    angles, places = torch.randn(2, count, 3, generator=rng, dtype=torch.float64)
    rotations = torch.stack([_rotation(tuple(each.tolist())) for each in angles])
    return torch.cat([rotations, places[..., None]], dim=-1)[None]


def _intrinsics(fx: float, fy: float, cx: float, cy: float) -> Tensor:
    return torch.tensor([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=torch.float64)


@settings(max_examples=50, deadline=None)
@given(angles=st.tuples(UNIT, UNIT, UNIT), turn=st.floats(0, math.pi))
def test_rotations_survive_the_quaternion(angles: tuple[float, float, float], turn: float) -> None:
    norm = math.hypot(*angles)
    rotation = _rotation(tuple(turn * a / norm for a in angles) if norm > 1e-3 else angles)
    quaternion = quaternion_from_rotation(rotation)
    assert quaternion[3] >= 0
    torch.testing.assert_close(quaternion.norm(), torch.ones((), dtype=torch.float64))
    torch.testing.assert_close(rotation_from_quaternion(quaternion), rotation)
    torch.testing.assert_close(rotation_from_quaternion(-3 * quaternion), rotation)


@pytest.mark.parametrize("axis", range(3))
def test_half_turns_survive_the_quaternion(axis: int) -> None:
    rotation = -torch.eye(3)
    rotation[axis, axis] = 1
    quaternion = quaternion_from_rotation(rotation)
    assert torch.equal(quaternion, torch.eye(4)[axis])


def test_the_quaternion_has_gradients_everywhere() -> None:
    rotation = torch.eye(3, requires_grad=True)
    quaternion_from_rotation(rotation).sum().backward()
    assert rotation.grad is not None
    assert rotation.grad.isfinite().all()


def test_the_encoding_is_camera_to_world_with_fields_of_view() -> None:
    pose = torch.eye(3, 4)
    pose[:, 3] = torch.tensor([1.0, 2.0, 3.0])
    encoding = encode_pose(pose, _intrinsics(189, 70, 189, 140).float(), SIZE)
    expected = torch.tensor([-1, -2, -3, 0, 0, 0, 1, 2 * math.atan(2), 2 * math.atan(1)])
    torch.testing.assert_close(encoding, expected)


def test_cameras_survive_the_encoding() -> None:
    poses = _poses(6, seed=0)
    intrinsics = _intrinsics(300, 310, 189, 140).expand(1, 6, 3, 3)
    again, calibration = decode_pose(encode_pose(poses, intrinsics, SIZE), SIZE)
    torch.testing.assert_close(again, poses)
    torch.testing.assert_close(calibration, intrinsics)


def test_normalised_poses_ignore_the_frame_and_the_scale() -> None:
    poses = _poses(7, seed=1)
    moved = poses.clone()
    frame = _poses(1, seed=2)[0, 0]
    moved[..., :3] = poses[..., :3] @ frame[:, :3]
    moved[..., 3:] = 5 * (poses[..., :3] @ frame[:, 3:] + poses[..., 3:])
    normalised = normalise_poses(poses)
    torch.testing.assert_close(normalise_poses(moved), normalised)
    torch.testing.assert_close(normalised[:, 0], torch.eye(3, 4, dtype=torch.float64)[None])
    reach = invert_pose(normalised)[..., 3].norm(dim=-1)
    torch.testing.assert_close(reach.median(), torch.ones((), dtype=torch.float64))


@pytest.mark.parametrize("views", [1, 2, 4])
def test_poses_without_extent_stay_finite(views: int) -> None:
    normalised = normalise_poses(_poses(1, seed=3).repeat(2, views, 1, 1))
    torch.testing.assert_close(normalised, torch.eye(3, 4, dtype=torch.float64).expand(2, views, 3, 4))


def test_pose_encoding(golden: Callable[[str], Any]) -> None:
    case = golden("unit_posenc")
    given = case.tensors()
    size = (280, 378)
    poses, intrinsics = decode_pose(given["pose_enc"], size)
    encoding = encode_pose(given["w2c"], given["K"], size)
    case.compare(TOLERANCE, pose_enc=encoding, back_c2w=invert_pose(poses), back_K=intrinsics)


def test_pose_normalisation(golden: Callable[[str], Any]) -> None:
    case = golden("unit_normext")
    given = case.tensors()
    normalised = given["ext"].clone()
    normalised[..., :3, :] = normalise_poses(given["ext"])
    case.compare(TOLERANCE, out=normalised)
