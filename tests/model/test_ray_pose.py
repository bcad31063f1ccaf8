"""Cameras from ray maps: exact and disturbed maps with known cameras, and the published solver's answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from da3_pipeline.model import RayPoseOptions
from da3_pipeline.model.camera import invert_pose
from da3_pipeline.model.ray_pose import cameras_from_rays

SIZE = (280, 378)
TOLERANCE = 1e-5
# With this size pixels are half-image units, in which the published solver answers.
UNIT_SIZE = (2, 2)


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


@pytest.mark.parametrize("name", ["clean", "noisy", "offcentre_pp"])
def test_ray_pose(golden: Callable[[str], Any], name: str) -> None:
    case = golden(f"unit_raypose_{name}")
    given = case.tensors()
    torch.manual_seed(case.meta["torch_seed"])
    poses, intrinsics = cameras_from_rays(given["ray"], given["conf"], UNIT_SIZE)
    world_from_cam = torch.eye(4).repeat(1, 4, 1, 1)
    world_from_cam[..., :3, :] = invert_pose(poses)
    focal = torch.diagonal(intrinsics, dim1=-2, dim2=-1)[..., :2]
    case.compare(TOLERANCE, out_c2w=world_from_cam, out_focal=focal, out_pp=intrinsics[..., :2, 2])


def test_exact_decomposition_finds_the_principal_point_where_the_published_one_does_not(
    golden: Callable[[str], Any],
) -> None:
    given = golden("unit_raypose_offcentre_pp").tensors()
    truth = given["gt_c2w"][..., :3, :]
    errors = {}
    for method in ("published", "exact"):
        options = RayPoseOptions(method, generator=torch.Generator().manual_seed(0))
        poses, intrinsics = cameras_from_rays(given["ray"], given["conf"], UNIT_SIZE, options)
        offset = intrinsics[..., :2, 2] - 1
        errors[method] = ((invert_pose(poses) - truth).abs().max(), (offset - given["gt_c"]).abs().max())
    assert max(errors["exact"]) < 1e-5
    assert min(errors["published"]) > 0.08
