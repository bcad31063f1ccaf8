"""The teacher's losses: the best line found exactly, normals by hand, nothing that scale or shift could change."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from da3_pipeline.training.samples import Batch
from da3_pipeline.training.teacher.losses import (
    TeacherWeights,
    Windows,
    align_l1,
    local_loss,
    normal_loss,
    normals,
    teacher_loss,
)

K = torch.tensor([[40.0, 0, 21], [0, 42, 15], [0, 0, 1]], dtype=torch.float64)[None]
SIZE = (30, 42)


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _plane(normal: tuple[float, float, float], distance: float) -> Tensor:
    """z-depth (1, H, W) of the plane normal . X = distance."""
    y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) + 0.5 for n in SIZE), indexing="ij")
    rays = torch.stack([(x - 21) / 40, (y - 15) / 42, torch.ones_like(x)], -1)
    return (distance / (rays @ torch.tensor(normal, dtype=torch.float64)))[None]


def _bumpy(seed: int = 1) -> Tensor:
    return _plane((0.2, -0.3, 1.0), 3.0) + 0.05 * torch.randn(1, *SIZE, dtype=torch.float64, generator=_generator(seed))


def test_the_best_line_is_the_best_of_all_lines_through_two_points() -> None:
    x = torch.randn(2, 15, dtype=torch.float64, generator=_generator())
    y = 2 * x + 1 + torch.randn(2, 15, dtype=torch.float64, generator=_generator(1)) ** 3
    weight = torch.rand(2, 15, dtype=torch.float64, generator=_generator(2))
    weight[1, :4] = 0
    scale, shift = align_l1(x, y, weight, 15)
    for b in range(2):
        costs = []
        for i, j in itertools.combinations(range(15), 2):
            s = (y[b, j] - y[b, i]) / (x[b, j] - x[b, i])
            if s > 0:
                costs.append(float((weight[b] * (s * x[b] + y[b, i] - s * x[b, i] - y[b]).abs()).sum()))
        cost = float((weight[b] * (scale[b] * x[b] + shift[b] - y[b]).abs()).sum())
        assert cost == pytest.approx(min(costs))


def test_a_falling_truth_gets_no_negative_scale() -> None:
    """Mean and spread are brought together instead."""
    x = torch.linspace(1, 2, 20)[None]
    scale, shift = align_l1(x, 5 - x, torch.ones(1, 20), 20)
    assert float(scale) == pytest.approx(1) and float(shift) == pytest.approx(5 - 2 * 1.5)


def test_outliers_do_not_move_the_line() -> None:
    x = torch.rand(1, 200, generator=_generator())
    y = 3 * x + 0.5
    y[0, :60] += 100
    scale, shift = align_l1(x, y, torch.ones(1, 200), 32, _generator())
    assert float(scale) == pytest.approx(3, abs=1e-3) and float(shift) == pytest.approx(0.5, abs=1e-3)


def test_normals_of_a_plane_are_the_planes() -> None:
    wanted = np.array([0.2, -0.3, 1.0])
    wanted = -wanted / np.linalg.norm(wanted)
    each, mean = normals(_plane((0.2, -0.3, 1.0), 3.0), K)
    np.testing.assert_allclose(mean.numpy(), np.broadcast_to(wanted, mean.shape), atol=1e-6)
    np.testing.assert_allclose(each.numpy(), np.broadcast_to(wanted, each.shape), atol=1e-6)


def test_normals_by_their_definition() -> None:
    depth = _bumpy()
    each, mean = normals(depth, K)
    z = depth[0].numpy()

    def point(r: int, c: int) -> np.ndarray:  # type: ignore[type-arg]
        return z[r, c] * np.array([(c + 0.5 - 21) / 40, (r + 0.5 - 15) / 42, 1])

    for r, c in ((1, 1), (7, 30), (28, 40)):
        ways = {
            name: point(r + a, c + b) - point(r, c)
            for name, a, b in (("r", 0, 1), ("d", 1, 0), ("l", 0, -1), ("u", -1, 0))
        }
        crossed = [np.cross(ways[a], ways[b]) for a, b in (("d", "r"), ("l", "d"), ("u", "l"), ("r", "u"))]
        lengths = [np.linalg.norm(n) for n in crossed]
        total = sum((sum(lengths) - length) * n / length for n, length in zip(crossed, lengths, strict=True))
        np.testing.assert_allclose(mean[0, r - 1, c - 1].numpy(), total / np.linalg.norm(total), atol=1e-6)
        for k in range(4):
            np.testing.assert_allclose(each[0, k, r - 1, c - 1].numpy(), crossed[k] / lengths[k], atol=1e-6)


def test_the_angle_between_two_planes_is_five_times_counted() -> None:
    """Once for the mean normal, once for each of the four; pixels next to what is unknown take no part."""
    angle = np.arctan(0.2)
    truth = _plane((0, 0, 1.0), 3.0)
    truth[0, 10, 10:20] = 0
    assert float(normal_loss(_plane((0.2, 0, 1.0), 3.0), truth, K)) == pytest.approx(5 * angle, rel=1e-6)
    assert float(normal_loss(_plane((0, 0, 1.0), 7.0), truth, K)) == pytest.approx(0, abs=1e-6)


def test_gradients_of_normals_are_those_of_finite_differences() -> None:
    truth = _plane((0.1, 0.1, 1.0), 3.0)[:, :8, :9].clone()
    depth = _bumpy()[:, :8, :9].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda d: normal_loss(d, truth, K), (depth,), eps=1e-7, atol=1e-4, fast_mode=True)
    flat = truth.clone().requires_grad_()
    normal_loss(flat, truth, K).backward()  # type: ignore[no-untyped-call]
    assert flat.grad is not None and flat.grad.isfinite().all()


def _terms(depth: Tensor, truth: Tensor, sky: Tensor) -> dict[str, float]:
    return {name: float(value) for name, value in teacher_loss(depth, sky, truth, K, _generator(3)).items()}


def test_every_term_vanishes_at_the_truth_in_any_scale_and_shift() -> None:
    truth = _bumpy()
    truth[0, :5] = 0
    sky = (truth == 0).double()
    for scale, shift in ((1.0, 0.0), (0.2, 5.0), (30.0, -1.0)):
        terms = _terms((torch.where(truth > 0, truth, 9.0) - shift) / scale, truth, sky)
        assert set(terms) == {"gradient", "whole", "local", "normal", "sky"}
        for name, value in terms.items():
            assert value == pytest.approx(0, abs=1e-5), name


def test_terms_do_not_depend_on_scale_and_shift_of_the_prediction() -> None:
    truth, depth = _bumpy(), _bumpy(7)
    plain, changed = (_terms(d, truth, torch.zeros_like(truth)) for d in (depth, 4 * depth + 2))
    for name, value in plain.items():
        assert changed[name] == pytest.approx(value, rel=1e-6), name
    assert all(plain[name] > 0 for name in ("gradient", "whole", "local", "normal"))


def test_small_windows_see_detail_that_has_moved_as_a_whole() -> None:
    """Two halves, each right but for a shift of its own: the whole is wrong, most small windows are not."""
    truth = _plane((0.3, 0.2, 1.0), 3.0)
    depth = truth.clone()
    depth[..., 21:] += 1.0
    whole = float(teacher_loss(depth, torch.zeros_like(truth), truth, K, _generator())["whole"])
    small = float(local_loss(depth, truth, _generator(), Windows(parts=(8,), count=200)))
    assert whole > 0.05 and small < 0.25 * whole
    assert float(local_loss(depth, torch.zeros_like(truth), _generator(), Windows())) == 0


def test_terms_follow_their_weights() -> None:
    truth, depth = _bumpy(), _bumpy(7)
    plain = teacher_loss(depth, truth * 0 + 0.5, truth, K, _generator())
    weights = TeacherWeights(gradient=1.0, whole=3.0, local=0.0, normal=2.0, sky=4.0)
    changed = teacher_loss(depth, truth * 0 + 0.5, truth, K, _generator(), weights)
    for name, factor in (("gradient", 2), ("whole", 3), ("local", 0), ("normal", 2), ("sky", 4)):
        assert float(changed[name]) == pytest.approx(factor * float(plain[name])), name
    assert float(plain["sky"]) == pytest.approx(0.25)


def test_rendered_scenes_have_finite_losses(rendered: Batch) -> None:
    truth = rendered.depth.flatten(0, 1)
    depth = (torch.rand(truth.shape, generator=_generator()) + 0.5).requires_grad_()
    terms = teacher_loss(depth, torch.zeros_like(truth), truth, rendered.K.flatten(0, 1), _generator())
    torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
    assert all(value.isfinite() for value in terms.values())
    assert depth.grad is not None and depth.grad.isfinite().all() and depth.grad.abs().sum() > 0


def test_no_term_pulls_at_scale_or_shift(rendered: Batch) -> None:
    """The alignment would undo it: such a pull has no end. Exact for what the whole picture's alignment serves."""
    truth = rendered.depth[:3, 0].double()
    lens = rendered.K[:3, 0].double()
    noise = torch.rand(truth.shape, dtype=torch.float64, generator=_generator(5))
    depth = (truth.clamp_min(0.5) * (1 + 0.3 * noise)).requires_grad_()
    terms = teacher_loss(depth, torch.zeros_like(depth), truth, lens, _generator())
    for name in ("gradient", "whole", "normal"):
        (pull,) = torch.autograd.grad(terms[name], depth, retain_graph=True)
        strength = float(pull.norm() * depth.detach().norm())
        assert strength > 0
        for way in (depth.detach(), torch.ones_like(depth)):
            assert (pull * way).sum((1, 2)).abs().max() < 1e-6 * strength, name
