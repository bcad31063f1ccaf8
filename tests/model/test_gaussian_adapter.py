"""Gaussians from raw parameters: the published numbers, and where the right mathematics departs from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from da3_pipeline.model import GaussianOptions, Gaussians, Network
from da3_pipeline.model.camera import rotation_from_quaternion
from da3_pipeline.model.gaussian_adapter import place_gaussians, rotate_harmonics, scale_to_given

TOLERANCE = 1e-5


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _rotations(count: int, seed: int = 0) -> Tensor:
    return rotation_from_quaternion(_random(count, 4, seed=seed))


@pytest.mark.parametrize("name", ["nogt", "gt"])
def test_the_adapter(golden: Callable[[str], Any], name: str) -> None:
    case = golden(f"unit_gsadapter_{name}")
    given = case.tensors()
    placed = place_gaussians(
        *(given[key].flatten(0, 1) for key in ("raw", "opac", "depth")),
        given["w2c"][0, :, :3],
        given["K"][0],
        exact_rotation=False,
    )
    cloud = Gaussians(*(values.flatten(0, 1)[None] for values in placed))
    if name == "gt":
        cloud = cloud.scaled(scale_to_given(given["w2c"], given["gt"]))
    case.compare(TOLERANCE, **vars(cloud))


def test_harmonics_turn_as_published(golden: Callable[[str], Any]) -> None:
    case = golden("unit_rotsh")
    given = case.tensors()
    turned = rotate_harmonics(given["sh"].flatten(0, 1), given["R"].flatten(0, 1)).view_as(given["out"])
    case.compare(TOLERANCE, out=turned)


def _basis(directions: Tensor) -> Tensor:
    """(..., 9) real spherical harmonics as 3D Gaussian splatting evaluates them."""
    x, y, z = directions.unbind(-1)
    c0, c1 = 0.28209479177387814, 0.4886025119029199
    c2 = (1.0925484305920792, 0.31539156525252005, 0.5462742152960396)
    bands = [torch.full_like(x, c0), -c1 * y, c1 * z, -c1 * x]
    bands += [
        c2[0] * x * y,
        -c2[0] * y * z,
        c2[1] * (2 * z * z - x * x - y * y),
        -c2[0] * x * z,
        c2[2] * (x * x - y * y),
    ]
    return torch.stack(bands, dim=-1)


def test_turned_harmonics_say_in_the_turned_direction_what_they_said_before() -> None:
    rotation, coefficients = _rotations(6), _random(6, 3, 9)
    directions = torch.nn.functional.normalize(_random(6, 50, 3, seed=1), dim=-1)
    before = _basis(directions) @ coefficients.mT
    after = _basis(directions @ rotation.mT) @ rotate_harmonics(coefficients, rotation).mT
    torch.testing.assert_close(after, before)


def _placed(raw: Tensor, rotation: Tensor, *, exact: bool) -> tuple[Tensor, ...]:
    """Gaussians of one 4 x 5 view whose camera is turned by `rotation` (world from camera)."""
    pose = torch.cat([rotation.mT, torch.tensor([[0.3], [-0.2], [0.5]], dtype=raw.dtype)], dim=-1)[None]
    intrinsics = torch.tensor([[[40.0, 0, 2.5], [0, 50, 2], [0, 0, 1]]], dtype=raw.dtype)
    ones = torch.ones(1, 4, 5, dtype=raw.dtype)
    return place_gaussians(raw, ones, 2 * ones, pose, intrinsics, exact)


def test_exact_rotation_turns_the_gaussians_with_the_camera_and_the_published_one_does_not() -> None:
    raw, rotation = _random(1, 4, 5, 37), _rotations(1)[0]
    still = torch.eye(3, dtype=torch.float64)
    off = {}
    for exact in (True, False):
        axes, turned = (_axes(_placed(raw, r, exact=exact)[2]) for r in (still, rotation))
        off[exact] = (turned - rotation @ axes).norm(dim=(-2, -1)).median()
    assert off[True] < 1e-12
    assert off[False] > 0.5
    for one, other in zip(_placed(raw, still, exact=True), _placed(raw, still, exact=False), strict=True):
        # Without a rotation both agree, up to the sign of the quaternion.
        sign = torch.where((one * other).sum(-1, keepdim=True) < 0, -1.0, 1.0) if one.shape[-1] == 4 else 1.0
        torch.testing.assert_close(one, sign * other)


def _axes(quaternion: Tensor) -> Tensor:
    return rotation_from_quaternion(quaternion[..., [1, 2, 3, 0]])


def test_gaussians_lie_on_the_rays_of_their_pixels() -> None:
    raw = torch.zeros(1, 4, 5, 37, dtype=torch.float64)
    raw[..., 8] = 1.0
    means, scales, rotations, _, opacities = _placed(raw, torch.eye(3, dtype=torch.float64), exact=True)
    offset = means[0] - torch.tensor([-0.3, 0.2, -0.5], dtype=torch.float64)
    torch.testing.assert_close(offset.norm(dim=-1), torch.full((20,), 2.0, dtype=torch.float64))
    torch.testing.assert_close(40 * offset[:, 0] / offset[:, 2] + 2.5, torch.arange(5.0).repeat(4).double() + 0.5)
    torch.testing.assert_close(rotations[0], torch.tensor([1.0, 0, 0, 0]).double().expand(20, 4))
    torch.testing.assert_close(scales[0], torch.full((20, 3), 15.000005 * 2 * 0.1 * (1 / 40 + 1 / 50)).double())
    assert (opacities == 1).all()


@pytest.mark.parametrize(
    ("centres", "scale"),
    [
        ([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]], 2.0),
        ([[0.0, 0, 0], [1, 0, 0], [3, 0, 0]], 2.0),
        ([[0.0, 0, 0], [1, 0, 0]], 0.5),
        ([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]], 100.0),
        ([[0.0, 0, 0]], 7.0),
        ([[1.0, 2, 3], [1, 2, 3]], 7.0),
    ],
)
def test_the_scale_to_given_cameras_is_defined_for_any_layout(centres: list[list[float]], scale: float) -> None:
    predicted = torch.eye(3, 4).repeat(1, len(centres), 1, 1)
    predicted[0, :, :, 3] = -torch.tensor(centres)
    given = predicted.clone()
    given[..., 3] *= scale
    extent = (predicted[..., 3] - predicted[:, :1, :, 3]).abs().max() > 0
    expected = min(max(scale, 1 / 3), 3.0) if extent else 1.0
    assert scale_to_given(predicted, given).item() == pytest.approx(expected, rel=1e-6)


def _run(net: Network, *args: Tensor, **options: object) -> Gaussians:
    with torch.inference_mode():
        return net(*args, **options).gaussians


def test_gaussians_follow_given_cameras_unless_asked_not_to(small: Callable[[str], Network]) -> None:
    net, images = small("gaussian"), _random(1, 3, 3, 28, 42).float()
    poses = torch.eye(4).repeat(1, 3, 1, 1)
    poses[0, :, :3, 3] = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    cameras = poses, torch.tensor([[50.0, 0, 21], [0, 50, 14], [0, 0, 1]]).repeat(1, 3, 1, 1)
    free = _run(net, images, *cameras, gaussians=GaussianOptions(follow_given=False))
    published = _run(net, images, *cameras, gaussians=True)
    with torch.inference_mode():
        scale = scale_to_given(net(images, *cameras).cam_from_world, poses)
    assert abs(scale - 1) > 0.1
    torch.testing.assert_close(published.means, free.means * scale)
    torch.testing.assert_close(published.scales, free.scales * scale)
    assert torch.equal(published.rotations, free.rotations)


def test_gaussians_of_a_network_are_one_a_pixel_in_the_order_of_the_views(small: Callable[[str], Network]) -> None:
    net, images = small("gaussian"), _random(1, 3, 3, 28, 42).float()
    cloud = _run(net, images, gaussians=True)
    assert cloud.means.shape == cloud.scales.shape == (1, 3 * 28 * 42, 3)
    assert cloud.rotations.shape == (1, 3 * 28 * 42, 4)
    assert cloud.harmonics.shape == (1, 3 * 28 * 42, 3, 9)
    assert ((cloud.opacities > 0) & (cloud.opacities < 1)).all()
    torch.testing.assert_close(cloud.rotations.norm(dim=-1), torch.ones(1, 3 * 28 * 42))
    order = [2, 0, 1]
    shuffled = _run(net, images[:, order], gaussians=True)
    by_view = torch.unflatten(cloud.opacities, 1, (3, -1))[:, order].flatten(1)
    torch.testing.assert_close(shuffled.opacities, by_view, rtol=1e-4, atol=1e-5)
