"""Our network, or our whole pipeline, on a folder of pictures, as `python -m`: JSON request on stdin, answer on stdout.

What it says is written as a predictions file (docs/PREDICTIONS.md) of the pictures that have a pose.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ... import PipelineConfig, run
from ...errors import ExportError, RefinementError, SelectionError
from ...infer import run as infer
from ...infer import save_predictions
from ...ingest import run as ingest
from ...metering import Meter
from ...progress import SilentProgress
from ...types import FrameSet, Prediction, Scene
from ..fresh_process import answer_request

__all__ = ["main", "write_scene"]


def main() -> int:
    """Answer one request: images, output, work, config, and `refined` for the whole pipeline."""
    return answer_request(_answered)


def _answered(request: dict[str, Any]) -> dict[str, Any]:
    meter, images, work, output = Meter(), Path(request["images"]), Path(request["work"]), Path(request["output"])
    config = PipelineConfig.model_validate(request["config"])
    if not request["refined"]:
        capture = ingest([images], config.ingest, SilentProgress())
        frames = FrameSet(capture.photos, ())
        answer = _write(infer(frames, config.infer, SilentProgress(), work / "chunks"), output, {})
        return {**answer, "passed": None, "verdict": "", "set_aside": [], "peak_mb": meter.peak_memory_mb}
    try:
        outcome = run([images], work / "session", config)
    except (SelectionError, RefinementError, ExportError) as error:  # it has said so: no poses, and flagged
        nothing = {"poses": {}, "lenses": {}, "dense": False, "passed": False, "set_aside": []}
        return {**nothing, "verdict": f"no data set: {error}", "peak_mb": meter.peak_memory_mb}
    answer = write_scene(outcome.scene, outcome.result.image_names, output)
    aside = [frame.name for frame in outcome.scene.frames if not frame.training]
    told = {"passed": outcome.passed, "verdict": outcome.scene.verdict.summary, "set_aside": aside}
    return {**answer, **told, "peak_mb": meter.peak_memory_mb}


def write_scene(scene: Scene, images: Collection[str], output: Path) -> dict[str, Any]:
    """Write poses and depth, in units of the scene, of the frames that became `images` or are for the poses only.

    The answer has poses and lenses by name, the matched points, and whether there is any depth, without which nothing
    is written.
    """
    kept = [
        index
        for index, frame in enumerate(scene.frames)
        if np.isfinite(scene.cam_from_world[index]).all()
        and (frame.name in images or (not frame.training and scene.pose_source[index] not in ("none", "unverified")))
    ]
    frames, before = tuple(scene.frames[k] for k in kept), scene.prediction
    cameras = {frame.name: scene.cameras[frame.camera_id] for frame in frames}
    prediction = replace(
        before,
        frames=FrameSet(frames, ()),
        depth=(before.depth[kept] * scene.depth_scale[kept, None, None]).astype(np.float32),
        conf=before.conf[kept],
        cam_from_world=scene.cam_from_world[kept],
        view_intrinsics=np.array([camera.K for camera in cameras.values()]).reshape(-1, 3, 3),
        pixel_maps=tuple(before.pixel_maps[k] for k in kept),
    )
    answer = _write(prediction, output, {name: [camera.model, *camera.params] for name, camera in cameras.items()})
    return {**answer, "points": scene.tracks.points.tolist(), "colours": scene.tracks.colours.tolist()}


def _write(prediction: Prediction, output: Path, lenses: dict[str, Any]) -> dict[str, Any]:
    dense = bool((np.isfinite(prediction.depth) & (np.nan_to_num(prediction.depth) > 0)).any())
    if dense:
        save_predictions(prediction, output)
    named = zip(prediction.frames.names, prediction.cam_from_world, strict=True)
    return {"poses": {name: pose.tolist() for name, pose in named}, "lenses": lenses, "dense": dense}


if __name__ == "__main__":
    raise SystemExit(main())
