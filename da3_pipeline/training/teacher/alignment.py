"""Teacher depth in the units of sparse or noisy metric depth: one scale and one shift an image, robustly.

The teacher sees details and edges that a sensor or a reconstruction lacks, but knows neither scale nor shift. The paper
(SPEC section 5) finds them by RANSAC over least squares with s > 0 and takes as inlier threshold the mean absolute
deviation of the residuals from their median. We take the residuals of a least-squares fit to everything for this: the
threshold then is one number an image, and hypotheses can be compared by how many points agree.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Alignment", "align_depth", "least_squares"]

_POINTS = 2048
_HYPOTHESES = 256
_REFITS = 5
_LEAST_POINTS = 8
_TINY = 1e-12
_ROUNDING = 1e-5  # of depth: what float32 cannot tell is no disagreement


class Alignment(NamedTuple):
    """Of B images: scale and shift (B,) with metric = scale * relative + shift; inliers (B,), their share among the
    valid pixels; found (B,), false where too few pixels are valid or no positive scale explains them (scale is 1 and
    shift 0 there)."""

    scale: Tensor
    shift: Tensor
    inliers: Tensor
    found: Tensor

    def apply(self, relative: Tensor) -> Tensor:
        """Relative depth (B, H, W) in metric units."""
        return self.scale[:, None, None] * relative + self.shift[:, None, None]


def align_depth(relative: Tensor, metric: Tensor, valid: Tensor, generator: torch.Generator | None = None) -> Alignment:
    """From relative depth, metric depth and where that is known, all (B, H, W). No gradient flows.

    Hypotheses are drawn from pairs of at most 2,048 valid pixels of each image, all of a batch at once; the best one is
    fitted anew, a few times, to all pixels that agree with it. generator: source of the draws, on the CPU.
    """
    with torch.no_grad():
        x, y, weight = (part.flatten(1).double() for part in (relative, metric, valid))
        y = torch.where(weight > 0, y, 0.0)
        counts = weight.sum(1)
        threshold = _threshold(x, y, weight)
        scale, shift = _best_hypothesis(x, y, weight, threshold, generator)
        agreeing = weight
        for _ in range(_REFITS):
            near = (scale[:, None] * x + shift[:, None] - y).abs() <= threshold[:, None]
            agreeing = weight * near
            scale, shift = least_squares(x, y, agreeing)
        found = (counts >= _LEAST_POINTS) & (scale > 0) & scale.isfinite() & shift.isfinite()
        scale, shift = torch.where(found, scale, 1.0), torch.where(found, shift, 0.0)
        share = agreeing.sum(1) / counts.clamp_min(1)
        return Alignment(scale.to(relative.dtype), shift.to(relative.dtype), share.to(relative.dtype), found)


def least_squares(x: Tensor, y: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """scale and shift (...) that minimise sum weight * (scale * x + shift - y)^2 over the last dimension."""
    total = weight.sum(-1).clamp_min(_TINY)
    mean_x, mean_y = (weight * x).sum(-1) / total, (weight * y).sum(-1) / total
    dx, dy = x - mean_x[..., None], y - mean_y[..., None]
    scale = (weight * dx * dy).sum(-1) / (weight * dx * dx).sum(-1).clamp_min(_TINY)
    return scale, mean_y - scale * mean_x


def _threshold(x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """(B,) mean absolute deviation from their median of the residuals of a fit to everything."""
    scale, shift = least_squares(x, y, weight)
    residual = torch.where(weight > 0, scale[:, None] * x + shift[:, None] - y, torch.nan)
    deviation = (residual - residual.nanmedian(1).values[:, None]).abs().nanmean(1).nan_to_num(0)
    size = (weight * y.abs()).sum(1) / weight.sum(1).clamp_min(1)
    return torch.maximum(deviation, _ROUNDING * size).clamp_min(_TINY)


def _best_hypothesis(
    x: Tensor, y: Tensor, weight: Tensor, threshold: Tensor, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """The scale and shift (B,), of random pairs, that most points agree with."""
    usable = torch.where(weight.sum(1, keepdim=True) > 0, weight, 1.0).cpu()
    chosen = torch.multinomial(usable, _POINTS, replacement=True, generator=generator).to(x.device)
    px, py, known = (part.gather(1, chosen) for part in (x, y, weight))
    first, second = torch.randint(_POINTS, (2, len(x), _HYPOTHESES), generator=generator).to(x.device)
    x1, y1, x2, y2 = px.gather(1, first), py.gather(1, first), px.gather(1, second), py.gather(1, second)
    apart = (x2 - x1).abs() > _TINY
    scales = torch.where(apart, (y2 - y1) / torch.where(apart, x2 - x1, 1.0), -1.0)
    shifts = y1 - scales * x1
    residual = scales[..., None] * px[:, None] + shifts[..., None] - py[:, None]
    votes = ((residual.abs() <= threshold[:, None, None]) * known[:, None]).sum(-1)
    best = torch.where(scales > 0, votes, -1.0).argmax(1, keepdim=True)
    return scales.gather(1, best)[:, 0], shifts.gather(1, best)[:, 0]
