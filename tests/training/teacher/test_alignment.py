"""Scale and shift of teacher depth: exact where it can be, close under noise and outliers, said where absent."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from da3_pipeline.training.teacher.alignment import align_depth, least_squares

SCALE, SHIFT = torch.tensor([3.0, 0.4, 12.0]), torch.tensor([0.5, 1.0, -0.6])
SHAPE = (3, 48, 64)


def _relative() -> Tensor:
    """Rooms seen by a teacher: planes and steps, 0.2 to 1.8."""
    generator = torch.Generator().manual_seed(1)
    y, x = torch.meshgrid(torch.linspace(-1, 1, SHAPE[1]), torch.linspace(-1, 1, SHAPE[2]), indexing="ij")
    steps = torch.randn(3, 6, 8, generator=generator).repeat_interleave(8, 1).repeat_interleave(8, 2)
    return (1 + 0.4 * y + 0.2 * x + 0.15 * steps).clamp(0.2, 1.8)


def _metric(relative: Tensor) -> Tensor:
    return SCALE[:, None, None] * relative + SHIFT[:, None, None]


def _spoilt(metric: Tensor, noise: float, outliers: float) -> Tensor:
    """Noise in proportion to depth, and a share of pixels anywhere up to three times the truth."""
    generator = torch.Generator().manual_seed(2)
    noisy = metric * (1 + noise * torch.randn(SHAPE, generator=generator))
    wrong = torch.rand(SHAPE, generator=generator) < outliers
    return torch.where(wrong, 3 * metric.amax((1, 2), keepdim=True) * torch.rand(SHAPE, generator=generator), noisy)


def _worst_error(found: Tensor, truth: Tensor) -> float:
    """The largest of the images' mean relative errors of depth."""
    return float(((found - truth).abs() / truth).mean((1, 2)).max())


def test_exact_depth_gives_exact_scale_and_shift() -> None:
    relative = _relative()
    found = align_depth(relative, _metric(relative), torch.ones(SHAPE, dtype=torch.bool))
    torch.testing.assert_close(found.scale, SCALE)
    torch.testing.assert_close(found.shift, SHIFT, atol=1e-5, rtol=1e-5)
    assert found.found.all() and (found.inliers > 0.99).all()


@pytest.mark.parametrize(
    ("noise", "outliers", "known", "allowed"),
    [
        (0.03, 0.0, 1.0, 0.01),
        (0.03, 0.2, 1.0, 0.01),
        (0.03, 0.4, 1.0, 0.015),
        (0.03, 0.6, 1.0, 0.10),
        (0.03, 0.2, 0.03, 0.04),
        (0.10, 0.4, 1.0, 0.05),
    ],
)
def test_error_under_noise_and_outliers(noise: float, outliers: float, known: float, allowed: float) -> None:
    relative = _relative()
    truth = _metric(relative)
    valid = torch.rand(SHAPE, generator=torch.Generator().manual_seed(3)) < known
    metric = torch.where(valid, _spoilt(truth, noise, outliers), torch.nan)
    found = align_depth(relative, metric, valid, torch.Generator().manual_seed(0))
    error = _worst_error(found.apply(relative), truth)
    x, y, weight = (part.flatten(1).double() for part in (relative, metric.nan_to_num(0), valid))
    scale, shift = least_squares(x, y, weight)
    plain = _worst_error(scale[:, None, None] * relative + shift[:, None, None], truth)
    print(f"noise {noise:.0%} outliers {outliers:.0%} known {known:.0%}: {error:.2%}, least squares {plain:.2%}")
    assert found.found.all()
    assert error < allowed
    assert outliers == 0 or error < plain / 3


def test_what_cannot_be_aligned_is_said() -> None:
    """Nothing known, too little known, and depth that falls where the teacher's rises."""
    relative = _relative()
    metric = _metric(relative)
    metric[2] = 10 - relative[2]
    valid = torch.ones(SHAPE, dtype=torch.bool)
    valid[0] = False
    valid[1] = False
    valid[1, 0, :5] = True
    found = align_depth(relative, metric, valid)
    assert found.found.tolist() == [False, False, False]
    assert found.scale.tolist() == [1, 1, 1] and found.shift.tolist() == [0, 0, 0]


def test_a_seed_gives_one_result_and_units_do_not_matter() -> None:
    relative = _relative()
    metric, valid = _spoilt(_metric(relative), 0.02, 0.3), torch.ones(SHAPE, dtype=torch.bool)
    results = [align_depth(relative, metric * unit, valid, torch.Generator().manual_seed(4)) for unit in (1, 1, 1000)]
    assert torch.equal(results[0].scale, results[1].scale)
    np.testing.assert_allclose(results[2].scale.numpy(), 1000 * results[0].scale.numpy(), rtol=1e-5)
    np.testing.assert_allclose(results[2].shift.numpy(), 1000 * results[0].shift.numpy(), rtol=1e-4)
