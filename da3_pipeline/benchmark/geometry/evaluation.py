"""One scene by one method: every figure that truth and answer allow, in one row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...arrays import Float32
from ...errors import MissingExtraError
from ...geometry import centres
from ...geometry.metrics.depth import DepthAlignment, DepthMetrics, known, mean_depth_metrics, measure_depth
from ..datasets.contract import GeometryScene
from ..methods.contract import Estimate
from ..metrics.pose import measure_pose
from ..metrics.trajectory import measure_trajectory
from ..truth.verdicts import judge_verdict
from .novel_views import NovelViewOptions, NovelViews, measure_novel_views
from .surfaces import SurfaceFigures, measure_surface

__all__ = ["SceneFigures", "evaluate"]

_MOST_PIXELS = 100_000  # of a depth map that are compared, an even grid of them: a scene of 100 views fits into 1 GB


@dataclass(frozen=True)
class SceneFigures:
    """What came of a scene. Percentages are 0..100, lengths in units of the truth, None what cannot be measured.

    auc, strict_auc, published_auc, rra, rta: by threshold in degrees, as `measure_pose` has them. ate: RMS of camera
    centres after a similarity, and that in percent of the extent of the true ones; rpe, rpe_deg: of motions between
    neighbours. depth: abs_rel and delta_1 (percent), one scale for the scene (by medians), map_* with a scale for each
    map, scale_shift_* with scale and shift for each map, metric_* as it is, of methods that claim metres. unposed,
    posed: surfaces by the method's cameras and by the true ones. novel_views: of pictures that it was not given. wrong:
    why the data set should not be trained on, '' where it is right, cell: that against what the method says of itself.
    notes: what was not measured, and why.
    """

    views: int
    registered: int | None
    auc: dict[str, float | None]
    strict_auc: dict[str, float | None]
    published_auc: dict[str, float | None]
    rra: dict[str, float | None]
    rta: dict[str, float | None]
    ate: float | None
    ate_percent: float | None
    rpe: float | None
    rpe_deg: float | None
    depth: dict[str, float] | None
    unposed: SurfaceFigures | None
    posed: SurfaceFigures | None
    novel_views: NovelViews | None = None
    wrong: str | None = None
    cell: str | None = None
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, document: dict[str, Any]) -> SceneFigures:
        """From JSON, in which what is not finite is null."""
        known_names = cls.__dataclass_fields__
        return cls(**{name: value for name, value in document.items() if name in known_names})


def evaluate(scene: GeometryScene, estimate: Estimate, device: str = "cpu") -> SceneFigures:
    """Every figure of the answer `estimate` to `scene`. device: on which splats are trained, where there are any."""
    truth, found = scene.cam_from_world, estimate.cam_from_world
    pose, path = measure_pose(truth, found), measure_trajectory(truth, found)
    extent = float(np.linalg.norm(np.ptp(centres(truth), axis=0)))
    ate = path.ate_rmse if pose.registered else None
    areas = {
        name: {str(limit): value if estimate.has_poses else None for limit, value in getattr(pose, name).items()}
        for name in ("auc", "strict_auc", "published_auc", "rra", "rta")
    }
    notes: list[str] = []
    surfaces: list[SurfaceFigures | None] = []
    try:
        surfaces += [measure_surface(scene, estimate, "own"), measure_surface(scene, estimate, "true")]
    except MissingExtraError as error:
        notes.append(f"surfaces: {error}")
        surfaces = [None, None]
    meant = [view for view in range(len(scene)) if view not in estimate.set_aside]
    judged = judge_verdict(scene.name, truth[meant], found[meant], bool(estimate.passed), estimate.verdict)
    return SceneFigures(
        views=len(scene),
        registered=pose.registered if estimate.has_poses else None,
        **areas,
        ate=ate,
        ate_percent=None if ate is None or extent == 0 else 100 * ate / extent,
        rpe=path.rpe_rmse if pose.registered > 1 else None,
        rpe_deg=path.rpe_rmse_deg if pose.registered > 1 else None,
        depth=_depth(scene, estimate),
        unposed=surfaces[0],
        posed=surfaces[1],
        novel_views=measure_novel_views(scene, estimate, NovelViewOptions(device=device)),
        wrong=judged.wrong if estimate.has_poses else None,
        cell=None if estimate.passed is None else judged.cell,
        notes=notes,
    )


def _depth(scene: GeometryScene, estimate: Estimate) -> dict[str, float] | None:
    """None where the scene or the method has no depth."""
    if estimate.dense is None:
        return None
    found: list[Float32] = []
    true: list[Float32] = []
    alone: dict[DepthAlignment, list[DepthMetrics]] = {kind: [] for kind in ("median", "scale-shift", "none")}
    for view in sorted(estimate.dense.row):
        told = scene.views[view]
        if told.depth is None:
            continue
        truth, depth = told.depth(), estimate.dense.of_picture(view)
        if told.mask is not None:
            truth = np.where(told.mask(), truth, np.nan).astype(np.float32)
        step = max(1, int(np.ceil(np.sqrt(truth.size / _MOST_PIXELS))))
        truth, depth = truth[::step, ::step], depth[::step, ::step]
        both = known(truth) & known(depth)
        found.append(depth[both])
        true.append(truth[both])
        for kind, maps in alone.items():
            maps.append(measure_depth(found[-1], true[-1], kind))
    if not any(map(len, true)):
        return None
    means = {"map_": mean_depth_metrics(alone["median"]), "scale_shift_": mean_depth_metrics(alone["scale-shift"])}
    if estimate.has_poses:
        means[""] = measure_depth(np.concatenate(found), np.concatenate(true), "median")
    if estimate.in_metres:
        means["metric_"] = mean_depth_metrics(alone["none"])
    named = {f"{name}abs_rel": one.abs_rel for name, one in means.items()}
    return named | {f"{name}delta_1": one.delta[0] for name, one in means.items()}
