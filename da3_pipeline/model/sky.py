"""What the monocular networks call sky, and the depth that it is given (SPEC 1.6, 1.8)."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["FEWEST_PIXELS", "SKY_THRESHOLD", "exact_quantile", "far_depth", "fill_sky", "is_sky"]

SKY_THRESHOLD = 0.3
FEWEST_PIXELS = 10  # or fewer are too few to tell anything by
_FAR_SHARE = 0.99


def is_sky(sky: Tensor) -> Tensor:
    """Which pixels a monocular network calls sky."""
    return sky >= SKY_THRESHOLD


def fill_sky(depth: Tensor, sky: Tensor) -> Tensor:
    """Depth (B, S, H, W) with the 0.99 quantile of an item's other pixels where there is sky.

    An item in which at most ten pixels are sky, or at most ten are not, is left as it is.
    """
    clear = ~is_sky(sky)
    filled = [
        torch.where(seen, item, far_depth(item, seen)) if (~seen).sum() > FEWEST_PIXELS else item
        for item, seen in zip(depth, clear, strict=True)
    ]
    return torch.stack(filled)


def far_depth(depth: Tensor, clear: Tensor) -> Tensor:
    """The 0.99 quantile of the `clear` pixels of one item; `depth` itself where they are ten or fewer."""
    values = depth[clear]
    return exact_quantile(values, _FAR_SHARE) if len(values) > FEWEST_PIXELS else depth


def exact_quantile(values: Tensor, share: float) -> Tensor:
    """The `share` quantile of (n,) values, linear between neighbours.

    Of all values, however many: beyond 100,000 the published code takes it of that many random draws, which
    estimate the same number; `torch.quantile` refuses more than 16 million.
    """
    place = share * (len(values) - 1)
    below = int(place)
    # Sorted, because the time of kthvalue is quadratic where values already come in order, as depths often do.
    ordered = values.sort().values
    return torch.lerp(ordered[below], ordered[min(below + 1, len(values) - 1)], place - below)
