"""The teacher's losses on relative depth, whose scale and shift mean nothing (SPEC section 5).

    total = 0.5 gradient + global + local + normals + sky

Prediction and truth are brought together first, by the scale and shift that minimise a weighted L1 (MoGe's ROE, Wang et
al. 2024): over the whole picture for all terms but the local one, and over each of many small windows for that. The
weights are inverse depths, so that what is near counts as much as what is far. No gradient flows through the alignment,
but the prediction is first brought to mean 0 and mean deviation 1, through which it does: so no term pulls at scale and
shift, which the alignment would undo again. (Without it the normals drove the scale of depth to thousands and away from
everything else.)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..losses import gradient_loss

__all__ = ["TeacherWeights", "Windows", "align_l1", "local_loss", "normal_loss", "normals", "teacher_loss"]

_ANCHORS = 32
_POINTS = 512
_TINY = 1e-9
_LEAST_KNOWN = 0.5  # share of a window's pixels that must be known


@dataclass(frozen=True)
class Windows:
    """Windows of the local loss: of one part in each of `parts` of the picture's sides, `count` each."""

    parts: tuple[int, ...] = (4, 16)
    count: int = 16


@dataclass(frozen=True)
class TeacherWeights:
    """Weights of the terms; 0.5 is the paper's, the others are 1 there."""

    gradient: float = 0.5
    whole: float = 1.0
    local: float = 1.0
    normal: float = 1.0
    sky: float = 1.0
    windows: Windows = Windows()


def teacher_loss(
    depth: Tensor,
    sky: Tensor,
    truth: Tensor,
    K: Tensor,
    generator: torch.Generator,
    weights: TeacherWeights = TeacherWeights(),
) -> dict[str, Tensor]:
    """The weighted terms by name, of depth and sky (B, H, W) as predicted.

    truth (B, H, W): true depth, 0 at the sky and where nothing is known, both of which the sky's mask takes for sky.
    K (B, 3, 3) in pixels. generator: source of the points and windows, on the CPU.
    """
    known = truth > 0
    depth = _normalised(depth, truth, known)
    scale, shift = _align_whole(depth, truth, known, generator)
    aligned = scale[:, None, None] * depth + shift[:, None, None]
    size = (truth.sum((1, 2)) / known.sum((1, 2)).clamp_min(1)).clamp_min(_TINY)[:, None, None]
    error = (aligned - truth).abs() / truth.clamp_min(_TINY)
    return {
        "gradient": weights.gradient * gradient_loss(aligned / size, truth / size, known),
        "whole": weights.whole * _mean(error, known),
        "local": weights.local * local_loss(depth, truth, generator, weights.windows),
        "normal": weights.normal * normal_loss(aligned, truth, K),
        "sky": weights.sky * (sky - (~known).to(sky.dtype)).square().mean(),
    }


def align_l1(
    predicted: Tensor, truth: Tensor, weight: Tensor, anchors: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """scale > 0 and shift (B,) that minimise sum weight |scale predicted + shift - truth| over points (B, N).

    The best line of an L1 fit goes through two of the points. Of each of some anchors the best line through it is found
    exactly, as a weighted median; the best of these is taken. With every point an anchor that is the optimum. Where no
    best line rises, as where the truth falls with the prediction, means and mean deviations are brought together.
    """
    with torch.no_grad():
        chosen = _draw(weight, anchors, generator) if anchors < predicted.shape[1] else None
        every = torch.arange(predicted.shape[1], device=predicted.device).expand_as(predicted)
        index = every if chosen is None else chosen
        x, y, own = (part.gather(1, index)[..., None] for part in (predicted, truth, weight))
        run, rise = predicted[:, None] - x, truth[:, None] - y
        slopes = rise / torch.where(run.abs() > _TINY, run, _TINY)
        scales = _weighted_median(slopes, weight[:, None] * run.abs())
        shifts = y[..., 0] - scales * x[..., 0]
        off = (scales[..., None] * predicted[:, None] + shifts[..., None] - truth[:, None]).abs()
        cost = (weight[:, None] * off).sum(-1)
        cost = torch.where((scales > 0) & (own[..., 0] > 0), cost, torch.inf)
        best = cost.argmin(1, keepdim=True)
        found = cost.gather(1, best)[:, 0].isfinite()
        other_scale, other_shift = _same_spread(predicted, truth, weight)
        scale = torch.where(found, scales.gather(1, best)[:, 0], other_scale)
        return scale, torch.where(found, shifts.gather(1, best)[:, 0], other_shift)


def _same_spread(predicted: Tensor, truth: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """scale and shift (B,) that make the weighted mean and mean deviation of the prediction those of the truth."""
    total = weight.sum(1, keepdim=True).clamp_min(_TINY)
    means = [(weight * part).sum(1, keepdim=True) / total for part in (predicted, truth)]
    spreads = [(weight * (part - mean).abs()).sum(1) for part, mean in zip((predicted, truth), means, strict=True)]
    scale = spreads[1] / spreads[0].clamp_min(_TINY)
    return scale, means[1][:, 0] - scale * means[0][:, 0]


def local_loss(depth: Tensor, truth: Tensor, generator: torch.Generator, windows: Windows) -> Tensor:
    """Mean relative error in small windows, each aligned on its own; detail counts here that the whole would hide."""
    terms = []
    for parts in windows.parts:
        found, wanted = _cut(depth, truth, parts, windows.count, generator)
        known = wanted > 0
        usable = known.float().mean(-1) >= _LEAST_KNOWN
        if usable.any():
            found, wanted, known = found[usable], wanted[usable], known[usable]
            weight = known / wanted.clamp_min(_TINY)
            scale, shift = align_l1(*_thinned(found, wanted, weight), _ANCHORS, generator)
            terms.append(((scale[:, None] * found + shift[:, None] - wanted).abs() * weight).sum() / known.sum())
    return torch.stack(terms).mean() if terms else depth.sum() * 0


def normals(depth: Tensor, K: Tensor) -> tuple[Tensor, Tensor]:
    """Of depth (B, H, W) and K (B, 3, 3): each inner pixel's four normals (B, 4, H-2, W-2, 3) and their mean, of length
    1, towards the camera.

    A normal is the cross product of the ways to two neighbours at a right angle. In the mean a normal's weight is the
    sum of all four cross products' lengths less its own: where the surface breaks off, the way across is long, and the
    normals that it spoils count little.
    """
    points = _points(depth, K)
    centre = points[:, 1:-1, 1:-1]
    right, left = points[:, 1:-1, 2:] - centre, points[:, 1:-1, :-2] - centre
    down, up = points[:, 2:, 1:-1] - centre, points[:, :-2, 1:-1] - centre
    turns = ((down, right), (left, down), (up, left), (right, up))
    crossed = torch.stack([torch.cross(a, b, dim=-1) for a, b in turns], 1)
    length = _length(crossed)
    unit = crossed / length[..., None]
    mean = ((length.sum(1, keepdim=True) - length)[..., None] * unit).sum(1)
    return unit, mean / _length(mean)[..., None]


def normal_loss(depth: Tensor, truth: Tensor, K: Tensor) -> Tensor:
    """Mean angle in radians between the mean normals plus those between each of the four, where all five are known."""
    known = truth > 0
    inner = known[:, 1:-1, 1:-1] & known[:, 1:-1, 2:] & known[:, 1:-1, :-2] & known[:, 2:, 1:-1] & known[:, :-2, 1:-1]
    each, mean = normals(depth, K)
    true_each, true_mean = normals(torch.where(known, truth, 1.0), K)
    return _mean(_angle(mean, true_mean) + _angle(each, true_each).sum(1), inner)


def _normalised(depth: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """Depth (B, H, W) less its mean, by its mean deviation, of known pixels weighted by inverse depth."""
    weight = known / truth.clamp_min(_TINY)
    weight = weight / weight.sum((1, 2), keepdim=True).clamp_min(_TINY)
    centred = depth - (weight * depth).sum((1, 2), keepdim=True)
    return centred / ((weight * centred.abs()).sum((1, 2), keepdim=True) + _TINY)


def _align_whole(depth: Tensor, truth: Tensor, known: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    weight = (known / truth.clamp_min(_TINY)).flatten(1)
    points = _draw(known.flatten(1), _POINTS, generator)
    predicted, wanted = (part.flatten(1).detach().gather(1, points) for part in (depth, truth))
    return align_l1(predicted, wanted, weight.gather(1, points), _ANCHORS, generator)


def _cut(depth: Tensor, truth: Tensor, parts: int, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """`count` windows of each picture, at random places, as (B * count, pixels)."""
    batch, height, width = depth.shape
    rows, columns = max(2, height // parts), max(2, width // parts)
    top = torch.randint(height - rows + 1, (batch, count, 1, 1), generator=generator)
    left = torch.randint(width - columns + 1, (batch, count, 1, 1), generator=generator)
    y, x = top + torch.arange(rows)[:, None], left + torch.arange(columns)
    index = (y * width + x).flatten(1).to(depth.device)
    found, wanted = (part.flatten(1).gather(1, index).reshape(batch * count, -1) for part in (depth, truth))
    return found, wanted


def _thinned(*parts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """At most so many points of each row, evenly."""
    step = -(-parts[0].shape[1] // _POINTS)
    predicted, truth, weight = (part.detach()[:, ::step] for part in parts)
    return predicted, truth, weight


def _draw(weight: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """(B, count) indices of points whose weight is not zero; any where there are none."""
    usable = (weight > 0).float()
    usable = torch.where(usable.sum(1, keepdim=True) > 0, usable, 1.0)
    return torch.multinomial(usable.cpu(), count, replacement=True, generator=generator).to(weight.device)


def _weighted_median(values: Tensor, weight: Tensor) -> Tensor:
    """Over the last dimension: the smallest value up to which half of the weight lies."""
    ordered, order = values.sort(-1)
    below = weight.gather(-1, order).cumsum(-1)
    place = (below >= below[..., -1:] / 2).float().argmax(-1, keepdim=True)
    return ordered.gather(-1, place)[..., 0]


def _points(depth: Tensor, K: Tensor) -> Tensor:
    """(B, H, W, 3) in the camera's frame; pixel centres at +0.5."""
    height, width = depth.shape[-2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=depth.device, dtype=depth.dtype) + 0.5,
        torch.arange(width, device=depth.device, dtype=depth.dtype) + 0.5,
        indexing="ij",
    )
    focal, centre = torch.stack([K[:, 0, 0], K[:, 1, 1]], -1), K[:, :2, 2]
    rays = (torch.stack([x, y], -1) - centre[:, None, None]) / focal[:, None, None]
    return depth[..., None] * torch.cat([rays, torch.ones_like(rays[..., :1])], -1)


def _length(x: Tensor) -> Tensor:
    """Of the last dimension; with a gradient at zero."""
    return (x.square().sum(-1) + _TINY**2).sqrt()


def _angle(a: Tensor, b: Tensor) -> Tensor:
    return torch.atan2(_length(torch.cross(a, b, dim=-1)), (a * b).sum(-1))


def _mean(value: Tensor, where: Tensor) -> Tensor:
    return torch.where(where, value, 0.0).sum() / where.sum().clamp_min(1)
