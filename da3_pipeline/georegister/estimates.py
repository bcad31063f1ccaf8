"""What each source says about the length of a unit, and which of them is believed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from ..errors import UsageError
from ..types import Scene
from .config import GeoregisterConfig

__all__ = ["ScaleEstimate", "choose", "network_estimate", "warn_of_disagreement"]

logger = logging.getLogger(__name__)

Kind = Literal["distance", "gps", "network"]


@dataclass(frozen=True)
class ScaleEstimate:
    """One source's length of a scene unit; relative_sigma is one sigma of its logarithm. `source` is for people."""

    kind: Kind
    source: str
    metres_per_unit: float
    relative_sigma: float


def network_estimate(scene: Scene, config: GeoregisterConfig) -> ScaleEstimate | None:
    """The prior's own metres, carried into the scene by the depth scales, whose spread adds to the uncertainty."""
    metric = scene.prediction.metric
    posed = np.array([source != "none" for source in scene.pose_source], bool)
    scales = scene.depth_scale[posed & np.isfinite(scene.depth_scale) & (scene.depth_scale > 0)]
    if metric is None or not len(scales) or not (np.isfinite(metric.metres_per_unit) and metric.metres_per_unit > 0):
        return None
    logs = np.log(scales)
    middle = float(np.median(logs))
    spread = 1.4826 * float(np.median(np.abs(logs - middle)))
    own = metric.relative_sigma if np.isfinite(metric.relative_sigma) else 0.0
    sigma = float(np.hypot(max(own, config.network_sigma), spread))
    return ScaleEstimate("network", f"the network ({metric.source})", metric.metres_per_unit / np.exp(middle), sigma)


def choose(estimates: Sequence[ScaleEstimate], config: GeoregisterConfig) -> ScaleEstimate | None:
    """The most trusted estimate that is certain enough; `estimates` come in order of trust.

    Raises UsageError where the one source that the user wants has nothing to say, or too little.
    """
    if config.metric == "none":
        return None
    wanted = [e for e in estimates if config.metric in ("auto", e.kind)]
    certain = [e for e in wanted if e.relative_sigma <= config.max_relative_sigma]
    if certain:
        return certain[0]
    if config.metric == "auto":
        return None
    remedy = "measure one length and give it as --distance, or leave --metric at auto"
    if not wanted:
        raise UsageError(f"--metric {config.metric}: {_ABSENT[config.metric]}; {remedy}")
    raise UsageError(
        f"--metric {config.metric}: {wanted[0].source} leaves the scale uncertain by "
        f"{100 * wanted[0].relative_sigma:.0f} %; {remedy}"
    )


_ABSENT = {
    "gps": "the photographs carry no GPS positions that tell places apart",
    "network": "this model does not know metres",
    "distance": "no distance is given",
}


def warn_of_disagreement(estimates: Sequence[ScaleEstimate], config: GeoregisterConfig) -> float:
    """The largest difference of two sources in units of its sigma; one line of warning where that is too much."""
    worst = 0.0
    for a, b in combinations(estimates, 2):
        difference = abs(np.log(a.metres_per_unit / b.metres_per_unit))
        sigmas = float(difference / np.hypot(a.relative_sigma, b.relative_sigma))
        worst = max(worst, sigmas)
        if sigmas > config.disagreement_sigmas:
            logger.warning(
                "scale: by %s lengths are %.3g of those by %s, %.1f sigma apart; check both",
                b.source, b.metres_per_unit / a.metres_per_unit, a.source, sigmas,
            )  # fmt: skip
    return worst
