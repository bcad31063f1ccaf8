"""Gaussians that have become invisible go where others are: the relocation of 3DGS-MCMC (Kheradmand et al. 2024)."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

__all__ = ["copies_of", "shared_opacity"]

_MOST_COPIES = 12


def copies_of(opacities: Tensor, least: float, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Which of (G,) Gaussians move where: those under `least` to visible ones, drawn in proportion to opacity.

    Gives indices moved (m,), their new places (m,), and how many share each place (m,), the one that was there
    included. None moves where fewer than two are visible.
    """
    dead = torch.nonzero(opacities < least)[:, 0]
    alive = torch.nonzero(opacities >= least)[:, 0]
    if not len(dead) or len(alive) < 2:
        return dead[:0], dead[:0], dead[:0]
    drawn = torch.multinomial(opacities[alive].cpu(), len(dead), replacement=True, generator=generator)
    places = alive[drawn.to(alive.device)]
    count = torch.bincount(places, minlength=len(opacities))[places] + 1
    return dead, places, count.clamp_max(_MOST_COPIES)


def shared_opacity(opacities: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """Opacity of each of `count` equal Gaussians in one place that together look as one did, and their scale over its.

    Equation 9 of the paper: opacities multiply along a ray; the scale keeps the integral of what is seen.
    """
    each = 1 - (1 - opacities) ** (1 / count)
    table = _terms().to(opacities)[count.long() - 1]  # (m, K): sums over i of C(i - 1, k) (-1)^k / sqrt(k + 1)
    powers = each[:, None] ** torch.arange(1, _MOST_COPIES + 1, device=opacities.device)
    return each, opacities / (table * powers).sum(1)


@cache
def _terms() -> Tensor:
    """(N, K) coefficients of the powers 1..K of the new opacity, for N = 1.. copies."""
    rows = []
    for copies in range(1, _MOST_COPIES + 1):
        row = [sum(math.comb(i, k) for i in range(copies)) * (-1) ** k / math.sqrt(k + 1) for k in range(_MOST_COPIES)]
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float64)
