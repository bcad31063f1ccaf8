"""Pose encoding, pose normalisation and cameras from rays against analytic truth."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from da3_pipeline.model import RayPoseOptions, normalise_poses
from da3_pipeline.model.pose_encoding import (
    decode_pose,
    encode_pose,
    invert_pose,
    quaternion_from_rotation,
    rotation_from_quaternion,
)
from da3_pipeline.model.ray_pose import cameras_from_rays

SIZE = (280, 378)
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


def _ray_maps(poses: Tensor, intrinsics: Tensor, grid: tuple[int, int]) -> Tensor:
    """Exact ray maps (1, S, h, w, 6) of cameras for images of SIZE."""
    height, width = grid
    y, x = torch.meshgrid(
        (torch.arange(height, dtype=torch.float64) + 0.5) * SIZE[0] / height,
        (torch.arange(width, dtype=torch.float64) + 0.5) * SIZE[1] / width,
        indexing="ij",
    )
    pixels = torch.stack([x, y, torch.ones_like(x)], dim=-1)
    world_from_cam = invert_pose(poses)
    directions = torch.einsum("bsij,hwj->bshwi", world_from_cam[..., :3] @ torch.linalg.inv(intrinsics), pixels)
    origins = world_from_cam[..., None, None, :, 3].expand_as(directions)
    return torch.cat([directions, origins], dim=-1).float()


@pytest.mark.parametrize(
    ("decomposition", "centre", "tolerance"),
    [("published", (189.0, 140.0), 1e-4), ("exact", (189.0, 140.0), 1e-4), ("exact", (170.0, 155.0), 1e-4)],
)
def test_cameras_are_recovered_from_exact_rays(
    decomposition: str, centre: tuple[float, float], tolerance: float
) -> None:
    poses, intrinsics = _poses(3, seed=4), _intrinsics(300, 310, *centre).expand(1, 3, 3, 3)
    ray = _ray_maps(poses, intrinsics, (16, 24))
    conf = 1 + torch.rand(ray.shape[:-1], generator=torch.Generator().manual_seed(0))
    options = RayPoseOptions(decomposition, generator=torch.Generator().manual_seed(0))
    found, calibration = cameras_from_rays(ray, conf, SIZE, options)
    torch.testing.assert_close(found, poses.float(), rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(calibration, intrinsics.float(), rtol=tolerance, atol=0.05)


def test_outlying_rays_do_not_matter() -> None:
    poses, intrinsics = _poses(2, seed=5), _intrinsics(300, 300, 189, 140).expand(1, 2, 3, 3)
    ray = _ray_maps(poses, intrinsics, (20, 28))
    rng = torch.Generator().manual_seed(1)
    conf = 1 + torch.rand(ray.shape[:-1], generator=rng)
    wild = torch.rand(ray.shape[:-1], generator=rng) < 0.15
    ray[..., :3][wild] = torch.randn(int(wild.sum()), 3, generator=rng)
    found, calibration = cameras_from_rays(ray, conf, SIZE, RayPoseOptions(generator=rng))
    assert (found[..., :3] - poses[..., :3]).abs().max() < 0.05
    assert (torch.diagonal(calibration, dim1=-2, dim2=-1)[..., :2] - 300).abs().max() < 20


def test_many_inliers_are_thinned_for_the_fit() -> None:
    poses, intrinsics = _poses(2, seed=6), _intrinsics(300, 310, 189, 140).expand(1, 2, 3, 3)
    ray = _ray_maps(poses, intrinsics, (20, 28))
    conf = 1 + torch.rand(ray.shape[:-1], generator=torch.Generator().manual_seed(0))
    options = RayPoseOptions(refit_points=50, generator=torch.Generator().manual_seed(0))
    found, _ = cameras_from_rays(ray, conf, SIZE, options)
    torch.testing.assert_close(found, poses.float(), rtol=1e-3, atol=1e-3)


def test_a_view_without_agreement_does_not_break_the_others() -> None:
    poses, intrinsics = _poses(3, seed=7), _intrinsics(300, 310, 189, 140).expand(1, 3, 3, 3)
    ray = _ray_maps(poses, intrinsics, (16, 24))
    ray[:, 1, ..., :3] = 1e3 * torch.randn((*ray.shape[2:4], 3), generator=torch.Generator().manual_seed(2))
    conf = 1 + torch.rand(ray.shape[:-1], generator=torch.Generator().manual_seed(0))
    found, _ = cameras_from_rays(ray, conf, SIZE, RayPoseOptions(generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(found[:, [0, 2]], poses[:, [0, 2]].float(), rtol=1e-3, atol=1e-3)
    assert found.isfinite().all()
