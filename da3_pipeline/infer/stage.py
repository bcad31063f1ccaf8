"""The stage: frames in, what a prior says of them out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ..arrays import Float
from ..errors import InferenceError, UsageError
from ..geometry import PixelMap
from ..progress import Progress
from ..types import Dropped, FrameSet, Prediction
from .automatic import with_network
from .cameras import shared_cameras, view_intrinsics
from .config import InferConfig
from .from_file import views_from_file
from .from_network import views_from_network
from .gaussian_views import cloud_of_views
from .given_poses import onto_known_poses
from .metric_depth import metric_scale_of
from .prediction_file import read_predictions
from .sensor_depth import with_sensor_depth
from .views import RawViews

__all__ = ["run"]


def run(frames: FrameSet, config: InferConfig, progress: Progress, workspace: Path | None = None) -> Prediction:
    """Depth, confidence and cameras for every frame, from the network or from a predictions file.

    Frames that cannot be read, that a file does not know, or that come out without finite numbers are dropped
    with a reason. Poses are in the world of the known poses where frames have them, else in the prior's own.
    `workspace`: a folder in which finished chunks are kept, so that an interrupted run resumes; the
    maps of a capture that takes several chunks stay there and are memory-mapped, so it must outlive the prediction.
    Where the network knows metres, sky or Gaussians, the prediction has them. Depth that a sensor measured takes the
    place of the network's.
    Raises InferenceError where no frame is left or the network has no cameras, WeightsError where it cannot be loaded,
    UsageError where Gaussians or metres are asked of what has none.
    """
    if not frames.frames:
        raise InferenceError("there are no frames to infer from")
    if config.predictions is not None:
        if config.gaussians or config.metric_model is not None:
            raise UsageError("Gaussians and metric models need a network: leave --predictions out")
        file = read_predictions(config.predictions)
        kept, views, maps, dropped = views_from_file(file, frames.frames)
        views = onto_known_poses(views, kept)
        return _prediction(FrameSet(kept, frames.dropped), views, maps, config, dropped)
    config = with_network(config, progress)
    result = views_from_network(frames.frames, config, progress, workspace)
    chosen = FrameSet(result.frames, frames.dropped)
    prediction = _prediction(chosen, result.views, result.pixel_maps, config, result.dropped, result.confidence)
    prediction = replace(
        prediction,
        metric=metric_scale_of(result.views, config.metric_model or config.model),
        gaussians=cloud_of_views(result.views),
    )
    return with_sensor_depth(prediction, config.sensor) if config.sensor.use else prediction


def _prediction(
    frames: FrameSet,
    views: RawViews,
    maps: tuple[PixelMap, ...],
    config: InferConfig,
    dropped: tuple[Dropped, ...],
    confidence: Float | None = None,
) -> Prediction:
    predicted = np.stack(
        [pixel_map.intrinsics_to_original(K) for pixel_map, K in zip(maps, views.intrinsics, strict=True)]
    )
    if confidence is None:
        finite = (np.nan_to_num(conf, nan=0.0, posinf=0.0, neginf=0.0) for conf in views.conf)
        confidence = np.array([np.median(conf) for conf in finite], float)
    cameras = shared_cameras(frames.frames, predicted, confidence, config.cameras)
    return Prediction(
        frames=frames,
        source=config.model if config.predictions is None else str(config.predictions),
        depth=views.depth,
        conf=views.conf,
        cam_from_world=views.cam_from_world,
        cameras=cameras,
        view_intrinsics=view_intrinsics(frames.frames, predicted, cameras, config.cameras),
        pixel_maps=maps,
        descriptors=views.descriptors,
        sky=views.sky,
        dropped=dropped,
    )
