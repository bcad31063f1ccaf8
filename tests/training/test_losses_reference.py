"""Every loss against its definition written out pixel by pixel in float64, and its gradients against differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from da3_pipeline.arrays import Float
from da3_pipeline.training.correspondence import correspondence_loss, correspondences
from da3_pipeline.training.losses import (
    Targets,
    camera_loss,
    confident_l1,
    gradient_loss,
    make_targets,
    point_loss,
    ray_loss,
)

SETS, VIEWS, HEIGHT, WIDTH = 2, 3, 28, 42
RAYS = (4, 6)
REFERENCE = torch.tensor([1, 0])


class World:
    """A tilted plane seen by cameras near the origin; some of it unknown."""

    def __init__(self) -> None:
        rng = np.random.default_rng(5)
        turns = Rotation.from_rotvec(rng.normal(0, 0.15, (SETS * VIEWS, 3))).as_matrix()
        self.poses = np.concatenate([turns, rng.normal(0, 0.3, (SETS * VIEWS, 3, 1))], 2).reshape(SETS, VIEWS, 3, 4)
        self.K = np.zeros((SETS, VIEWS, 3, 3))
        self.K[..., 0, 0] = self.K[..., 1, 1] = rng.uniform(30, 50, (SETS, VIEWS))
        self.K[..., 0, 2], self.K[..., 1, 2], self.K[..., 2, 2] = 20.5, 14.5, 1
        self.depth = np.zeros((SETS, VIEWS, HEIGHT, WIDTH))
        for b, s, y, x in np.ndindex(self.depth.shape):
            d = self.direction(b, s, x + 0.5, y + 0.5)
            n = np.array([0.2, -0.1, 1.0])
            self.depth[b, s, y, x] = (4 - n @ self.centre(b, s)) / (n @ d)
        self.depth[rng.random(self.depth.shape) < 0.1] = 0

    def centre(self, b: int, s: int) -> Float:
        return np.asarray(-self.poses[b, s, :, :3].T @ self.poses[b, s, :, 3])

    def direction(self, b: int, s: int, x: float, y: float) -> Float:
        return np.asarray(self.poses[b, s, :, :3].T @ np.linalg.inv(self.K[b, s]) @ np.array([x, y, 1.0]))

    def targets(self, ray_size: tuple[int, int] = RAYS) -> Targets:
        return make_targets(*(torch.tensor(v) for v in (self.depth, self.poses, self.K)), REFERENCE, ray_size)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def _noise(shape: tuple[int, ...], seed: int, scale: float = 0.1) -> Tensor:
    return scale * torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_targets_pixel_by_pixel(world: World) -> None:
    """Nearest depth below each coarse ray, all in the reference camera, over the mean distance of what is known."""
    targets = world.targets()
    for b in range(SETS):
        first = world.poses[b, int(REFERENCE[b])]
        points, rays = {}, {}
        for s, r, c in np.ndindex(VIEWS, *RAYS):
            x, y = (c + 0.5) * WIDTH / RAYS[1], (r + 0.5) * HEIGHT / RAYS[0]
            ray, centre = first[:, :3] @ world.direction(b, s, x, y), first[:, :3] @ world.centre(b, s) + first[:, 3]
            rays[s, r, c] = (ray, centre)
            z = world.depth[b, s, int(y), int(x)]
            if z > 0:
                points[s, r, c] = z * ray + centre
        scale = np.mean([np.linalg.norm(point) for point in points.values()])
        assert float(targets.scale[b]) == pytest.approx(scale)
        np.testing.assert_allclose(targets.depth[b].numpy(), world.depth[b] / scale)
        assert int(targets.points_valid[b].sum()) == len(points) < VIEWS * RAYS[0] * RAYS[1]
        for place, (ray, centre) in rays.items():
            np.testing.assert_allclose(targets.ray[(b, *place)].numpy(), [*ray, *centre / scale], atol=1e-12)
        for place, point in points.items():
            np.testing.assert_allclose(targets.points[(b, *place)].numpy(), point / scale, atol=1e-12)


def test_confident_depth(world: World) -> None:
    truth = torch.tensor(world.depth)
    predicted, confidence = truth + _noise(truth.shape, 0), 1 + _noise(truth.shape, 1, 1.0).abs()
    terms = [
        float(confidence[i]) * abs(float(predicted[i]) - world.depth[i]) - 0.2 * np.log(float(confidence[i]))
        for i in np.ndindex(world.depth.shape)
        if world.depth[i] > 0
    ]
    assert float(confident_l1(predicted, truth, confidence, truth > 0, 0.2)) == pytest.approx(np.mean(terms))


def test_depth_gradients(world: World) -> None:
    truth = torch.tensor(world.depth)
    predicted = truth + _noise(truth.shape, 0)
    p, t = predicted.numpy(), world.depth
    across, down = [], []
    for i in np.ndindex(*t.shape[:2], HEIGHT, WIDTH):
        for found, step in ((across, (0, 0, 0, 1)), (down, (0, 0, 1, 0))):
            j = tuple(a + b for a, b in zip(i, step, strict=True))
            if j[2] < HEIGHT and j[3] < WIDTH and t[i] > 0 and t[j] > 0:
                found.append(abs((p[j] - p[i]) - (t[j] - t[i])))
    expected = np.mean(across) + np.mean(down)
    assert float(gradient_loss(predicted, truth, truth > 0)) == pytest.approx(expected)


def _between(image: Float, y: float, x: float) -> float:
    """Bilinear, the border repeated; y and x in pixel indices."""
    y, x = np.clip(y, 0, image.shape[0] - 1), np.clip(x, 0, image.shape[1] - 1)
    top, left = int(y), int(x)
    below, right = min(top + 1, image.shape[0] - 1), min(left + 1, image.shape[1] - 1)
    v, u = y - top, x - left
    upper = (1 - u) * image[top, left] + u * image[top, right]
    return float((1 - v) * upper + v * ((1 - u) * image[below, left] + u * image[below, right]))


def test_rays_and_points(world: World) -> None:
    targets = world.targets()
    depth, ray = targets.depth + _noise(targets.depth.shape, 2), targets.ray + _noise(targets.ray.shape, 3)
    expected = np.mean([abs(float(ray[i]) - float(targets.ray[i])) for i in np.ndindex(*ray.shape)])
    assert float(ray_loss(ray, targets.ray)) == pytest.approx(expected)
    errors = []
    for b, s, r, c in np.ndindex(SETS, VIEWS, *RAYS):
        if not targets.points_valid[b, s, r, c]:
            continue
        y, x = (r + 0.5) * HEIGHT / RAYS[0] - 0.5, (c + 0.5) * WIDTH / RAYS[1] - 0.5
        point = _between(depth[b, s].numpy(), y, x) * ray[b, s, r, c, :3].numpy() + ray[b, s, r, c, 3:].numpy()
        errors.append(np.abs(point - targets.points[b, s, r, c].numpy()).mean())
    assert float(point_loss(depth, ray, targets)) == pytest.approx(np.mean(errors))


@pytest.mark.parametrize(("huber", "reference_weight"), [(0.0, 1.0), (0.1, 0.1)])
def test_cameras(world: World, huber: float, reference_weight: float) -> None:
    """Seven numbers of the pose, in which the reference counts less, and two of the field of view."""
    truth = world.targets().encoding
    predicted = truth + _noise(truth.shape, 4)
    poses, weights, fields = [], [], []
    for b, s, k in np.ndindex(SETS, VIEWS, 9):
        error = abs(float(predicted[b, s, k] - truth[b, s, k]))
        error = error**2 / (2 * huber) if error < huber else error - huber / 2
        if k < 7:
            weights.append(reference_weight if s == int(REFERENCE[b]) else 1.0)
            poses.append(error * weights[-1])
        else:
            fields.append(error)
    expected = sum(poses) / sum(weights) * 7 / 9 + np.mean(fields) * 2 / 9
    assert float(camera_loss(predicted, truth, REFERENCE, reference_weight, huber)) == pytest.approx(expected)


def _attention() -> tuple[Tensor, Tensor]:
    tokens = VIEWS * (1 + (HEIGHT // 14) * (WIDTH // 14))
    return _noise((SETS, tokens, 8), 6, 1.0), _noise((SETS, tokens, 8), 7, 1.0)


def test_correspondence(world: World) -> None:
    """Each patch's centre, carried to each other view and there held against its depth; cross-entropy on the place."""
    rows, columns = HEIGHT // 14, WIDTH // 14
    count = rows * columns
    truth = correspondences(*(torch.tensor(v) for v in (world.depth, world.poses, world.K)))
    q, k = (x.numpy() for x in _attention())
    keep = [s * (1 + count) + 1 + p for s in range(VIEWS) for p in range(count)]
    losses = []
    for b, i, p, j in np.ndindex(SETS, VIEWS, count, VIEWS):
        r, c = divmod(p, columns)
        x, y = 14 * c + 7, 14 * r + 7
        z = world.depth[b, i, y, x]
        point = z * world.direction(b, i, x + 0.5, y + 0.5) + world.centre(b, i)
        seen = world.K[b, j] @ (world.poses[b, j, :, :3] @ point + world.poses[b, j, :, 3])
        u, v = seen[:2] / seen[2]
        inside = 0 <= u < WIDTH and 0 <= v < HEIGHT
        visible = bool(
            i != j and z > 0 and inside and abs(world.depth[b, j, int(v), int(u)] - seen[2]) <= 0.04 * seen[2]
        )
        assert bool(truth.visible[b, i, j, p]) == visible
        if not visible:
            continue
        np.testing.assert_allclose(truth.place[b, i, j, p].numpy(), [u, v])
        logits = k[b, keep] @ q[b, keep[i * count + p]] / 8**0.5
        log = (logits - np.log(np.exp(logits).sum()))[j * count : (j + 1) * count].reshape(rows, columns)
        losses.append(-_between(log, v / 14 - 0.5, u / 14 - 0.5))
    found = correspondence_loss(*_attention(), truth, (rows, columns))
    assert len(losses) > 10
    assert float(found) == pytest.approx(np.mean(losses), rel=1e-5)  # logits are compared in float32


def _away_from_kinks(world: World) -> dict[str, tuple[Callable[..., Tensor], tuple[Tensor, ...]]]:
    """Losses as functions of what the network predicts, at points where L1 has a slope."""
    targets = world.targets()
    depth, ray = targets.depth[:1, :2], targets.ray[:1, :2]
    few = Targets(**{name: value[:1, :2] if value.ndim > 1 else value[:1] for name, value in vars(targets).items()})
    off = _noise(depth.shape, 8, 0.05) + 0.2
    confidence = 1 + _noise(depth.shape, 9, 1.0).abs()
    encoding = targets.encoding[:1, :2]
    return {
        "depth": (lambda d, c: confident_l1(d, depth, c, depth > 0, 0.2), (depth + off, confidence)),
        "gradient": (lambda d: gradient_loss(d, depth, depth > 0), (depth + off,)),
        "ray": (lambda r: ray_loss(r, ray), (ray + 0.3,)),
        "point": (lambda d, r: point_loss(d, r, few), (depth + off, ray + 0.3)),
        "camera": (lambda e: camera_loss(e, encoding, REFERENCE[:1], 0.3, 0.1), (encoding + 0.04,)),
    }


@pytest.mark.parametrize("name", ["depth", "gradient", "ray", "point", "camera"])
def test_gradients_are_those_of_finite_differences(world: World, name: str) -> None:
    loss, at = _away_from_kinks(world)[name]
    assert torch.autograd.gradcheck(loss, tuple(x.clone().requires_grad_() for x in at), eps=1e-6, fast_mode=True)


def test_losses_do_not_depend_on_the_order_of_views(world: World) -> None:
    """Nor do targets, once the reference is the same camera."""
    order = [2, 0, 1]
    moved = torch.tensor([order.index(int(r)) for r in REFERENCE])
    there = [torch.tensor(v[:, order]) for v in (world.depth, world.poses, world.K)]
    targets, other = world.targets(), make_targets(*there, moved, RAYS)
    torch.testing.assert_close(other.scale, targets.scale)
    torch.testing.assert_close(other.points, targets.points[:, order])
    predicted = targets.encoding + _noise(targets.encoding.shape, 4)
    torch.testing.assert_close(
        camera_loss(predicted[:, order], other.encoding, moved, 0.1, 0.1),
        camera_loss(predicted, targets.encoding, REFERENCE, 0.1, 0.1),
    )
