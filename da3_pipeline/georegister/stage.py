"""The stage: a scene in, the same scene in metres and with z up out, as far as anything says how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..geometry import Sim3, centres
from ..geometry.gravity import Up, rotation_between, up_from_cameras, up_from_gimbals
from ..progress import Progress
from ..types import MetricScale, Scene
from .config import GeoregisterConfig
from .distance import distance_estimate
from .estimates import ORDER, ScaleEstimate, choose, depth_estimate, poses_estimate, warn_of_disagreement
from .gps import GpsFix, gps_fix

__all__ = ["run"]


def run(scene: Scene, config: GeoregisterConfig, progress: Progress) -> Scene:
    """The scene scaled to metres and turned so that +z is up; poses, tracks and depth scales move together.

    Scale: a given distance, else a depth sensor, else GPS, else poses that another program measured in metres, else the
    network's metres; all that exist are compared. Orientation and origin:
    GPS where it is certain enough (x east, y north, z up about the origin in `figures`), else the cameras' up, the
    origin staying where it is. The returned scene's unit is the metre (`metric.metres_per_unit` is 1), or, where no
    source is certain enough, what it was (`metric` None). A scene with given poses keeps its world: then `metric` says
    how long its unit is, and `up_source` stays None.

    Raises UsageError where a distance or source that the user asks for cannot be used.
    """
    posed = np.isfinite(scene.cam_from_world).all(axis=(1, 2))
    if not posed.any():
        return scene
    progress.step(0, 1, "metres and the vertical")
    up, told_by = _scene_up(scene)
    gps = gps_fix(scene, up)
    by_length = distance_estimate(scene, config.distance, config.length)
    found = (
        by_length,
        depth_estimate(scene, config),
        gps.estimate if gps else None,
        poses_estimate(scene, config),
    )
    estimates = sorted((estimate for estimate in found if estimate is not None), key=lambda e: ORDER.index(e.kind))
    chosen = choose(estimates, config)
    disagreement = warn_of_disagreement(estimates, config)
    if _is_given(scene):
        placement = _kept(chosen)
    else:
        placement = _placement(scene, chosen, gps if gps and gps.orients(config) else None, up, told_by)
    figures = _figures(estimates, gps, placement, disagreement, config)
    return _moved(scene, placement, figures)


@dataclass(frozen=True)
class _Placement:
    """Where the scene goes, and on whose word. located: it goes to the GPS origin."""

    target_from_scene: Sim3
    metric: MetricScale | None
    up_source: str | None
    up_sigma_deg: float = float("nan")
    located: bool = False


def _scene_up(scene: Scene) -> tuple[Up | None, str]:
    """Up by gimbals where there are some, else by how cameras are held, and which of them.

    From the refined cameras, which know how they are turned to each other; from all posed ones where none is.
    """
    refined = np.array([source == "refined" for source in scene.pose_source], bool)
    posed = np.isfinite(scene.cam_from_world).all(axis=(1, 2))
    chosen = posed & refined if (posed & refined).any() else posed
    ups = [(np.nan,) * 3 if frame.up_in_camera is None else frame.up_in_camera for frame in scene.frames]
    by_gimbals = up_from_gimbals(scene.cam_from_world[chosen], np.array(ups, float)[chosen])
    if by_gimbals is not None:
        return by_gimbals, "gimbals"
    return up_from_cameras(scene.cam_from_world[chosen]), "cameras"


def _is_given(scene: Scene) -> bool:
    """Whether the user gave poses, whose world stays; what another program's project told was a prior."""
    return any(frame.known_cam_from_world is not None and frame.known_pose_program is None for frame in scene.frames)


def _kept(chosen: ScaleEstimate | None) -> _Placement:
    """The world of given poses, whose unit is taken for a metre where nothing measures it."""
    if chosen is None:
        metric = MetricScale(1.0, float("nan"), "given poses")
    else:
        metric = MetricScale(chosen.metres_per_unit, chosen.relative_sigma, chosen.source)
    return _Placement(Sim3.identity(), metric, None)


def _placement(
    scene: Scene, chosen: ScaleEstimate | None, gps: GpsFix | None, up: Up | None, told_by: str
) -> _Placement:
    scale = chosen.metres_per_unit if chosen else 1.0
    metric = MetricScale(1.0, chosen.relative_sigma, chosen.source) if chosen else None
    if gps is not None:
        alignment = gps.alignment
        source = f"gps and {told_by}" if alignment.with_cameras else "gps"
        middle = np.nanmean(centres(scene.cam_from_world), axis=0)
        # Scaled by another source, the middle of the cameras stays where GPS has it.
        shift = alignment.enu_from_scene.apply(middle) - scale * alignment.enu_from_scene.rotation @ middle
        target = Sim3(scale, alignment.enu_from_scene.rotation, shift if chosen else np.zeros(3))
        return _Placement(target, metric, source, alignment.tilt_sigma_deg, located=chosen is not None)
    if up is not None:
        target = Sim3(scale, rotation_between(up.direction, np.array([0.0, 0.0, 1.0])), np.zeros(3))
        return _Placement(target, metric, told_by, up.sigma_deg)
    return _Placement(Sim3(scale, np.eye(3), np.zeros(3)), metric, None)


def _moved(scene: Scene, placement: _Placement, figures: dict[str, float]) -> Scene:
    target = placement.target_from_scene
    return replace(
        scene,
        cam_from_world=target.apply_to_cameras(scene.cam_from_world),
        tracks=replace(scene.tracks, points=target.apply(scene.tracks.points)),
        depth_scale=scene.depth_scale * target.scale,
        metric=placement.metric,
        up_source=placement.up_source,
        figures=scene.figures | figures,
    )


def _figures(
    estimates: Sequence[ScaleEstimate],
    gps: GpsFix | None,
    placement: _Placement,
    disagreement: float,
    config: GeoregisterConfig,
) -> dict[str, float]:
    """What the report tells, by name; lengths of a unit are those of the returned scene's unit, and left out where a
    source says nothing of it."""
    figures: dict[str, float] = {}
    for estimate in estimates:
        if estimate.relative_sigma > config.most_telling_sigma:
            continue
        length = estimate.metres_per_unit / placement.target_from_scene.scale
        figures[f"metres_per_unit_by_{estimate.kind}"] = length
        figures[f"relative_sigma_by_{estimate.kind}"] = estimate.relative_sigma
    if len(estimates) > 1:
        figures["scale_disagreement_sigmas"] = disagreement
    if np.isfinite(placement.up_sigma_deg):
        figures["up_sigma_deg"] = placement.up_sigma_deg
    if gps is not None:
        alignment = gps.alignment
        figures["gps_photos"] = gps.photos
        figures["gps_positions"] = gps.places
        figures["gps_positions_used"] = int(alignment.used.sum())
        figures["gps_rms_horizontal_m"] = alignment.rms_horizontal_m
        figures["gps_rms_vertical_m"] = alignment.rms_vertical_m
    if gps is not None and placement.located:
        figures["heading_sigma_deg"] = gps.alignment.heading_sigma_deg
        figures["origin_latitude_deg"] = gps.origin.latitude_deg
        figures["origin_longitude_deg"] = gps.origin.longitude_deg
        figures["origin_altitude_m"] = gps.origin.altitude_m or 0.0
    return figures
