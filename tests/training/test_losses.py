"""The paper's losses and the correspondence loss, on cases worked by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from da3_pipeline.model.camera import decode_pose
from da3_pipeline.training.correspondence import (
    Correspondences,
    attention_hit_rate,
    correspondence_loss,
    correspondences,
)
from da3_pipeline.training.losses import (
    Targets,
    camera_loss,
    confident_l1,
    gradient_loss,
    make_targets,
    point_loss,
    ray_loss,
)
from da3_pipeline.training.samples import Batch

REFERENCE = torch.tensor([0, 1, 2, 3, 0, 1])
GRID = (4, 5)


@pytest.fixture
def targets(rendered: Batch) -> Targets:
    return make_targets(rendered.depth, rendered.cam_from_world, rendered.K, REFERENCE, (32, 40))


def test_targets_live_in_the_reference_frame(targets: Targets, rendered: Batch) -> None:
    rows = torch.arange(6)
    np.testing.assert_allclose(
        targets.cam_from_world[rows, REFERENCE].numpy(), np.tile(np.eye(3, 4), (6, 1, 1)), atol=1e-4
    )
    np.testing.assert_allclose(targets.ray[rows, REFERENCE][..., 3:].numpy(), 0, atol=1e-4)
    poses, K = decode_pose(targets.encoding, rendered.size)
    np.testing.assert_allclose(poses.numpy(), targets.cam_from_world.numpy(), atol=1e-4)
    np.testing.assert_allclose(K.numpy(), rendered.K.numpy(), rtol=1e-3)


def test_targets_are_scaled_to_mean_distance_one(targets: Targets) -> None:
    distance = torch.where(targets.points_valid, targets.points.norm(dim=-1), 0.0).sum((1, 2, 3))
    np.testing.assert_allclose((distance / targets.points_valid.sum((1, 2, 3))).numpy(), 1, rtol=1e-4)


def test_targets_do_not_depend_on_units_or_world_frame(targets: Targets, rendered: Batch) -> None:
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)))[0]
    turn = turn * torch.sign(torch.linalg.det(turn))
    poses = rendered.cam_from_world.clone()
    poses[..., 3] = 3.7 * poses[..., 3] + poses[..., :3] @ torch.tensor([5.0, -1, 2])
    poses[..., :3] = poses[..., :3] @ turn
    other = make_targets(3.7 * rendered.depth, poses, rendered.K, REFERENCE, (32, 40))
    for name in ("depth", "ray", "points", "cam_from_world", "encoding"):
        np.testing.assert_allclose(getattr(other, name).numpy(), getattr(targets, name).numpy(), atol=3e-4)
    np.testing.assert_allclose(other.scale.numpy(), 3.7 * targets.scale.numpy(), rtol=1e-4)


def test_rays_of_a_camera_by_hand() -> None:
    """Focal 2 px, a 4x4 image, camera centre (1, 0, 0), no rotation: d = ((x - 2) / 2, (y - 2) / 2, 1)."""
    K = torch.tensor([[2.0, 0, 2], [0, 2, 2], [0, 0, 1]]).expand(1, 2, 3, 3)
    poses = torch.eye(3, 4).repeat(1, 2, 1, 1)
    poses[0, 1, 0, 3] = -1
    targets = make_targets(torch.full((1, 2, 4, 4), 6.0), poses, K, torch.tensor([0]), (2, 2))
    np.testing.assert_allclose(targets.ray[0, 1, 0, 0, :3].numpy(), [-0.5, -0.5, 1])
    np.testing.assert_allclose(targets.ray[0, 1, 1, 0, :3].numpy(), [-0.5, 0.5, 1])
    np.testing.assert_allclose(targets.ray[0, 1, 0, 0, 3:].numpy() * targets.scale.numpy(), [1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(targets.points[0, 1, 0, 0].numpy() * targets.scale.numpy(), [-3 + 1, -3, 6], atol=1e-5)


def test_losses_vanish_at_the_truth_and_only_there(targets: Targets) -> None:
    """Smooth depth is needed for the point loss alone: it compares at the coarse map's resolution."""
    valid = targets.depth > 0
    ones = torch.ones_like(targets.depth)
    assert float(confident_l1(targets.depth, targets.depth, ones, valid, 0.2)) == 0
    assert float(gradient_loss(targets.depth, targets.depth, valid)) == 0
    assert float(ray_loss(targets.ray, targets.ray)) == 0
    assert float(camera_loss(targets.encoding, targets.encoding, REFERENCE, 1.0, 0.0)) == 0
    assert float(confident_l1(targets.depth + 0.3, targets.depth, ones, valid, 0.2)) == pytest.approx(0.3, rel=1e-3)
    assert float(gradient_loss(targets.depth + 0.3, targets.depth, valid)) == pytest.approx(0, abs=1e-6)
    assert float(ray_loss(targets.ray + 0.1, targets.ray)) == pytest.approx(0.1, rel=1e-3)
    assert float(camera_loss(targets.encoding + 0.5, targets.encoding, REFERENCE, 1.0, 0.0)) == pytest.approx(
        0.5, rel=1e-3
    )


def test_point_loss_joins_depth_and_ray() -> None:
    K = torch.tensor([[8.0, 0, 8], [0, 8, 8], [0, 0, 1]]).expand(1, 1, 3, 3)
    targets = make_targets(torch.full((1, 1, 16, 16), 2.0), torch.eye(3, 4)[None, None], K, torch.tensor([0]), (8, 8))
    assert float(point_loss(targets.depth, targets.ray, targets)) == pytest.approx(0, abs=1e-6)
    shifted = targets.ray + torch.tensor([0, 0, 0, 0.3, 0.3, 0.3])
    assert float(point_loss(targets.depth, shifted, targets)) == pytest.approx(0.3, rel=1e-4)
    nothing = replace(targets, points_valid=torch.zeros_like(targets.points_valid))
    assert float(point_loss(targets.depth, shifted, nothing)) == 0


def test_confidence_falls_where_the_error_is_large() -> None:
    """conf * error - w * log conf is least at conf = w / error."""
    confidence = torch.tensor([[2.0, 2.0]], requires_grad=True)
    loss = confident_l1(
        torch.tensor([[1.0, 1.01]]), torch.ones(1, 2) * torch.tensor([0.5, 1.0]), confidence, torch.ones(1, 2) > 0, 0.2
    )
    (slope,) = torch.autograd.grad(loss, confidence)
    np.testing.assert_allclose(slope.numpy(), [[(0.5 - 0.1) / 2, (0.01 - 0.1) / 2]], rtol=1e-4)


def test_invalid_pixels_do_not_count() -> None:
    depth, truth = torch.tensor([[1.0, 9.0, 1.0]])[None], torch.ones(1, 1, 3)
    valid = torch.tensor([[[True, False, True]]])
    assert float(confident_l1(depth, truth, torch.ones(1, 1, 3), valid, 0.0)) == 0
    assert float(gradient_loss(depth, truth, valid)) == 0
    assert float(confident_l1(depth, truth, torch.ones(1, 1, 3), ~valid, 0.0)) == 8
    assert float(confident_l1(depth, truth, torch.ones(1, 1, 3), valid & ~valid, 0.0)) == 0


def test_camera_loss_spares_the_reference_view() -> None:
    truth = torch.zeros(1, 2, 9)
    wrong_pose = truth.clone()
    wrong_pose[0, 1, :7] = 1.0
    assert float(camera_loss(wrong_pose, truth, torch.tensor([1]), 0.0, 0.0)) == 0
    assert float(camera_loss(wrong_pose, truth, torch.tensor([0]), 0.0, 0.0)) == pytest.approx(7 / 9)
    assert float(camera_loss(wrong_pose, truth, torch.tensor([0]), 1.0, 0.0)) == pytest.approx(7 / 18)
    lens = truth.clone()
    lens[0, 1, 7:] = 1.0
    assert float(camera_loss(lens, truth, torch.tensor([1]), 0.0, 0.0)) == pytest.approx(1 / 9)
    assert float(camera_loss(lens * 0.01, truth, torch.tensor([1]), 1.0, 0.1)) < 1e-4  # quadratic near the truth


def test_correspondences_of_a_shifted_wall() -> None:
    """A wall at depth 4, focal 56 px, camera moved right by 1: everything moves 14 px, one patch, to the left."""
    K = torch.tensor([[56.0, 0, 35], [0, 56, 28], [0, 0, 1]]).expand(1, 2, 3, 3)
    poses = torch.eye(3, 4).repeat(1, 2, 1, 1)
    poses[0, 1, 0, 3] = -1
    found = correspondences(torch.full((1, 2, 56, 70), 4.0), poses, K)
    visible = found.visible[0, 0, 1].view(GRID)
    assert visible[:, 1:].all() and not visible[:, 0].any()
    np.testing.assert_allclose(found.place[0, 0, 1, :5, 0].numpy(), np.arange(5) * 14 + 7.5 - 14, atol=1e-3)
    np.testing.assert_allclose(found.place[0, 0, 1, ::5, 1].numpy(), np.arange(4) * 14 + 7.5, atol=1e-3)
    assert not found.visible[0, 0, 0].any()


def test_occluded_and_unknown_points_do_not_correspond() -> None:
    K = torch.tensor([[56.0, 0, 35], [0, 56, 28], [0, 0, 1]]).expand(1, 2, 3, 3)
    poses = torch.eye(3, 4).repeat(1, 2, 1, 1)
    depth = torch.full((1, 2, 56, 70), 4.0)
    depth[0, 1, :, 35:] = 2.0  # something stands before the right half of the second view
    depth[0, 0, :28] = 0.0
    visible = correspondences(depth, poses, K).visible[0, 0, 1].view(GRID)
    assert not visible[:2].any() and not visible[:, 3:].any()
    assert visible[2:, :2].all()


def _attending(place: torch.Tensor, sharpness: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Queries and keys of two views by which view 0's patches attend to `place` (P, 2) in view 1."""
    patches = GRID[0] * GRID[1]
    key = torch.zeros(1, 2 * (1 + patches), 64)
    key[0, 1 + patches + 1 :, :patches] = torch.eye(patches)
    index = (place[:, 1] // 14 * GRID[1] + place[:, 0] // 14).long()
    query = torch.zeros_like(key)
    query[0, 1 : 1 + patches, :patches] = sharpness * torch.eye(patches)[index]
    return query, key


def test_correspondence_loss_is_small_for_true_attention_only() -> None:
    patches = GRID[0] * GRID[1]
    place = torch.stack(
        torch.meshgrid(torch.arange(4) * 14 + 7.0, torch.arange(5) * 14 + 7.0, indexing="ij")[::-1], -1
    ).reshape(-1, 2)
    visible = torch.zeros(1, 2, 2, patches, dtype=torch.bool)
    visible[0, 0, 1] = True
    truth = Correspondences(
        torch.zeros(1, 2, 2, patches, 2).index_put((torch.tensor(0), torch.tensor(0), torch.tensor(1)), place), visible
    )
    true = correspondence_loss(*_attending(place, 200.0), truth, GRID)
    blind = correspondence_loss(*_attending(place, 0.0), truth, GRID)
    false = correspondence_loss(*_attending(place.flip(0), 200.0), truth, GRID)
    assert float(true) < 0.01
    assert float(blind) == pytest.approx(np.log(2 * patches), rel=1e-4)
    assert float(false) > float(blind)
    assert float(attention_hit_rate(*_attending(place, 200.0), truth, GRID)) == 1
    assert float(attention_hit_rate(*_attending(place.flip(0), 200.0), truth, GRID)) == 0


def test_correspondence_loss_reaches_queries_and_keys_and_survives_no_matches(rendered: Batch) -> None:
    truth = correspondences(rendered.depth, rendered.cam_from_world, rendered.K)
    query, key = (torch.randn(6, 4 * 21, 64, requires_grad=True) for _ in range(2))
    for gradient in torch.autograd.grad(correspondence_loss(query, key, truth, GRID), (query, key)):
        assert gradient.isfinite().all() and gradient.abs().sum() > 0
    none = truth._replace(visible=torch.zeros_like(truth.visible))
    assert float(correspondence_loss(query, key, none, GRID).detach()) == 0


def test_weight_between_two_patches_is_shared() -> None:
    """A place halfway between two patch centres: attention split evenly between them is the best answer."""
    patches = GRID[0] * GRID[1]
    place = torch.full((1, 2, 2, patches, 2), 14.0)
    place[..., 1] = 7.0
    visible = torch.zeros(1, 2, 2, patches, dtype=torch.bool)
    visible[0, 0, 1, 0] = True
    truth = Correspondences(place, visible)
    query, key = torch.zeros(1, 2 * (1 + patches), 64), torch.zeros(1, 2 * (1 + patches), 64)
    key[0, 1 + patches + 1, 0] = key[0, 1 + patches + 2, 1] = 1.0
    even, uneven = query.clone(), query.clone()
    even[0, 1, :2] = 100.0
    uneven[0, 1, 0], uneven[0, 1, 1] = 108.0, 92.0
    assert float(correspondence_loss(even, key, truth, GRID)) == pytest.approx(np.log(2), abs=1e-3)
    assert float(correspondence_loss(uneven, key, truth, GRID)) > np.log(2) + 0.1
