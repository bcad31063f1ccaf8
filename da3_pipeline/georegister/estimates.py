"""What each source says about the length of a unit, and which of them is believed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from ..errors import UsageError
from ..geometry import centres
from ..geometry.robust_alignment import distance_ratio
from ..types import Scene
from .config import GeoregisterConfig

__all__ = ["ORDER", "ScaleEstimate", "choose", "depth_estimate", "poses_estimate", "warn_of_disagreement"]

logger = logging.getLogger(__name__)

Kind = Literal["distance", "sensor", "gps", "poses", "network"]
ORDER: tuple[Kind, ...] = ("distance", "sensor", "gps", "poses", "network")
"""The most trusted first."""


@dataclass(frozen=True)
class ScaleEstimate:
    """One source's length of a scene unit; relative_sigma is one sigma of its logarithm. `source` is for people."""

    kind: Kind
    source: str
    metres_per_unit: float
    relative_sigma: float


def depth_estimate(scene: Scene, config: GeoregisterConfig) -> ScaleEstimate | None:
    """The metres of the prior's depth, a sensor's or a network's, carried into the scene by the depth scales, whose
    spread adds to the uncertainty."""
    metric = scene.prediction.metric
    posed = np.array([source != "none" for source in scene.pose_source], bool)
    scales = scene.depth_scale[posed & np.isfinite(scene.depth_scale) & (scene.depth_scale > 0)]
    if metric is None or not len(scales) or not (np.isfinite(metric.metres_per_unit) and metric.metres_per_unit > 0):
        return None
    logs = np.log(scales)
    middle = float(np.median(logs))
    spread = 1.4826 * float(np.median(np.abs(logs - middle)))
    own = metric.relative_sigma if np.isfinite(metric.relative_sigma) else 0.0
    least = config.sensor_sigma if metric.measured else config.network_sigma
    sigma = float(np.hypot(max(own, least), spread))
    source = metric.source if metric.measured else f"the network ({metric.source})"
    kind: Kind = "sensor" if metric.measured else "network"
    return ScaleEstimate(kind, source, metric.metres_per_unit / float(np.exp(middle)), sigma)


def poses_estimate(scene: Scene, config: GeoregisterConfig) -> ScaleEstimate | None:
    """By the places of cameras that another program told in metres, against those of the scene."""
    told = [
        (frame.known_cam_from_world, pose, frame.known_pose_program)
        for frame, pose in zip(scene.frames, scene.cam_from_world, strict=True)
        if frame.known_pose_metric and frame.known_cam_from_world is not None and np.isfinite(pose).all()
    ]
    if len(told) < 2:
        return None
    known, found = (centres(np.array([pair[side] for pair in told], float)) for side in (0, 1))
    ratio = distance_ratio(found, known)
    return None if ratio is None else ScaleEstimate("poses", f"the poses of {told[0][2]}", ratio, config.poses_sigma)


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
    "sensor": "the capture has no depth that a sensor measured",
    "poses": "the capture has no poses that another program measured in metres",
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
