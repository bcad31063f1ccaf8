"""The stage: frames in, what a prior says of them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..errors import InferenceError
from ..geometry import PixelMap
from ..progress import Progress
from ..types import Dropped, Frame, FrameSet, Prediction
from .cameras import shared_cameras, view_intrinsics
from .config import InferConfig
from .from_file import views_from_file
from .from_network import views_from_network
from .given_poses import onto_known_poses
from .prediction_file import read_predictions
from .views import RawViews

__all__ = ["run"]


def run(frames: FrameSet, config: InferConfig, progress: Progress) -> Prediction:
    """Depth, confidence and cameras for every frame, from the network or from a predictions file.

    Frames that cannot be read, that a file does not know, or that come out without finite numbers are dropped
    with a reason. Poses are in the world of the known poses where frames have them, else in the prior's own.
    Raises InferenceError where no frame is left, WeightsError where the network cannot be loaded.
    """
    if not frames.frames:
        raise InferenceError("there are no frames to infer from")
    if config.predictions is not None:
        file = read_predictions(config.predictions)
        source, tied = str(config.predictions), False
        kept, views, maps, dropped = views_from_file(file, frames.frames)
    else:
        result = views_from_network(frames.frames, config, progress)
        source, tied = config.model, result.conditioned
        kept, views, maps, failed = _without_failures(result.frames, result.views, result.pixel_maps, source)
        dropped = (*result.dropped, *failed)
    if not tied:
        views = onto_known_poses(views, kept)
    return replace(_prediction(frames, kept, views, maps, source), dropped=dropped)


def _without_failures(
    frames: Sequence[Frame], views: RawViews, maps: Sequence[PixelMap], source: str
) -> tuple[tuple[Frame, ...], RawViews, tuple[PixelMap, ...], tuple[Dropped, ...]]:
    usable = views.usable()
    good = [index for index, fine in enumerate(usable) if fine]
    if not good:
        raise InferenceError(
            f"{source}: gives no finite depth, pose and focal length for any of {len(frames)} frames; "
            "try another model, or --device cpu"
        )
    if len(good) == len(frames):
        return tuple(frames), views, tuple(maps), ()
    failed = tuple(
        Dropped(frame.name, f"{source} gives no finite depth or pose for it")
        for frame, fine in zip(frames, usable, strict=True)
        if not fine
    )
    return tuple(frames[i] for i in good), views.subset(good), tuple(maps[i] for i in good), failed


def _prediction(
    chosen: FrameSet, frames: tuple[Frame, ...], views: RawViews, maps: tuple[PixelMap, ...], source: str
) -> Prediction:
    predicted = np.stack(
        [pixel_map.intrinsics_to_original(K) for pixel_map, K in zip(maps, views.intrinsics, strict=True)]
    )
    weights = np.array([np.median(np.nan_to_num(conf, nan=0.0, posinf=0.0, neginf=0.0)) for conf in views.conf], float)
    cameras = shared_cameras(frames, predicted, weights)
    return Prediction(
        frames=FrameSet(frames, chosen.dropped),
        source=source,
        depth=views.depth,
        conf=views.conf,
        cam_from_world=views.cam_from_world,
        cameras=cameras,
        view_intrinsics=view_intrinsics(frames, predicted, cameras),
        pixel_maps=maps,
        descriptors=views.descriptors,
    )
