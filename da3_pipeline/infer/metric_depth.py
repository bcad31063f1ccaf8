"""Metres: from a metric network beside the any-view one, and the length of a unit of the final world."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..arrays import Bool, Bytes, Float, Float32
from ..errors import UsageError
from ..types import MetricScale
from .config import CameraConfig
from .preprocess import normalise
from .views import RawViews, typical_depth

if TYPE_CHECKING:
    import torch

__all__ = ["MetricDepth", "metric_scale_of"]


_RELATIVE = "da3mono-large"


class MetricDepth:
    """Metres and sky for views, from a network that sees one picture at a time.

    Raises UsageError where `model` is no metric network, WeightsError where it cannot be loaded.
    """

    def __init__(self, model: str, device: torch.device, config: CameraConfig) -> None:
        from ..model import MonocularNetwork, load

        if model == _RELATIVE:
            raise UsageError(f"the metric model {model}: its depth has no scale; da3metric-large has metres")
        network = load(model, device=device)
        if not isinstance(network, MonocularNetwork):
            raise UsageError(f"the metric model {model}: is no monocular network; da3metric-large has metres")
        self._network = network
        self._device = device
        self._fewest = config.least_metric_pixels

    def __call__(self, pixels: Bytes, views: RawViews) -> RawViews:
        """The views with `sky` and `depth_m`, from their (V, h, w, 3) pixels."""
        units = typical_depth(views.depth)
        depth_m, skies = np.full(len(views), np.nan), np.zeros(views.depth.shape, bool)
        for index in range(len(views)):
            metres, skies[index] = self._look(pixels[index], views.intrinsics[index])
            usable = _usable(metres, views, index) & ~skies[index]
            if usable.sum() >= self._fewest:
                ratio = _weighted_ratio(metres[usable], views.depth[index][usable], views.conf[index][usable])
                depth_m[index] = ratio * units[index]
        return replace(views, sky=skies, depth_m=depth_m)

    def _look(self, pixels: Bytes, intrinsics: Float) -> tuple[Float32, Bool]:
        """Depth in metres and sky (h, w) of one picture."""
        import torch

        from ..model import is_sky, metres_from_canonical

        with torch.inference_mode():
            output = self._network(torch.from_numpy(normalise(pixels[None])).to(self._device)[None])
            matrix = torch.from_numpy(intrinsics).float().to(self._device)[None, None]
            metres = metres_from_canonical(output.depth, matrix)[0, 0]
            return metres.float().cpu().numpy(), is_sky(output.sky)[0, 0].cpu().numpy()


def metric_scale_of(views: RawViews, source: str) -> MetricScale | None:
    """The length of a unit of the views' world: the median over the views that know theirs; None where none does.

    The uncertainty is the spread of the views about it, robustly.
    """
    if views.depth_m is None:
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.log(views.depth_m / typical_depth(views.depth))
    logs = logs[np.isfinite(logs)]
    if not len(logs):
        return None
    middle = float(np.median(logs))
    return MetricScale(float(np.exp(middle)), 1.4826 * float(np.median(np.abs(logs - middle))), source)


def _usable(metres: Float32, views: RawViews, index: int) -> Bool:
    """(h, w): where both depths of a view and the confidence are known."""
    with np.errstate(invalid="ignore"):
        known = [np.isfinite(one) & (one > 0) for one in (metres, views.depth[index], views.conf[index])]
    return np.asarray(known[0] & known[1] & known[2])


def _weighted_ratio(metres: Float32, depth: Float32, conf: Float32) -> float:
    """The median of metres / depth, all (P,), weighted by confidence."""
    ratios, weights = metres.astype(float) / depth, conf.astype(float)
    order = np.argsort(ratios, kind="stable")
    reached = np.cumsum(weights[order])
    return float(ratios[order][np.searchsorted(reached, reached[-1] / 2)])
