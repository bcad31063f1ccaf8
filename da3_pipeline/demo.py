"""The demonstration: a rendered handheld video with known cameras, through the whole pipeline, against the truth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from .arrays import Bytes, Float
from .config import PipelineConfig
from .geometry import align_cameras, centres, rotation_angle_deg
from .geometry.metrics.poses import centre_rmse, pose_errors
from .pipeline import Outcome, run
from .progress import Progress

__all__ = ["DemoReport", "run_demo", "write_video"]

_WIDTH, _HEIGHT, _FRAMES_PER_S = 640, 480, 30


@dataclass(frozen=True)
class DemoReport:
    """Pose errors of the chosen frames against the renderer's cameras, after one similarity."""

    outcome: Outcome
    frames: int
    posed: int
    rotation_median_deg: float
    rotation_max_deg: float
    position_rmse_percent: float
    auc_1: float
    auc_3: float
    auc_5: float
    focal_error_percent: float


def run_demo(output: Path, config: PipelineConfig, *, frames: int, seed: int, progress: Progress) -> DemoReport:
    """Render a held-out scene to OUTPUT/handheld.mp4, run the pipeline into OUTPUT/session, compare with the truth."""
    from .training.synthetic import render_walk

    output.mkdir(parents=True, exist_ok=True)
    progress.begin("render")
    walk = render_walk(seed=seed, frames=frames, width=_WIDTH, height=_HEIGHT)
    video = output / "handheld.mp4"
    write_video(video, _counted(walk.frames(), frames, progress))
    progress.end(f"{frames} frames of a synthetic room in {video}")
    outcome = run([video], output / "session", config, progress)
    indices = [round(frame.time_s * _FRAMES_PER_S) for frame in outcome.scene.frames if frame.time_s is not None]
    return _compare(outcome, walk.cam_from_world[indices], walk.camera.focal_px)


def _counted(images: Iterable[Bytes], total: int, progress: Progress) -> Iterable[Bytes]:
    for done, image in enumerate(images, start=1):
        progress.step(done, total, "frames")
        yield image


def write_video(path: Path, images: Iterable[Bytes], frames_per_s: int = _FRAMES_PER_S) -> None:
    """Encode RGB images of one size as H.264; written beside its place and renamed when complete."""
    import av

    partial = path.with_suffix(".partial.mp4")
    with av.open(str(partial), "w") as container:
        options = {"crf": "16", "preset": "veryfast"}
        stream = container.add_stream("libx264", rate=Fraction(frames_per_s), options=options)
        stream.pix_fmt = "yuv420p"
        for number, image in enumerate(images):
            if number == 0:
                stream.height, stream.width = image.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    partial.replace(path)


def _compare(outcome: Outcome, truth: Float, focal_px: float) -> DemoReport:
    scene = outcome.scene
    estimate = scene.cam_from_world
    posed = np.isfinite(estimate).all(axis=(1, 2))
    aligned = align_cameras(estimate[posed], truth[posed]).apply_to_cameras(estimate[posed])
    rotation_deg = rotation_angle_deg(aligned[:, :, :3], truth[posed][:, :, :3])
    path_length = np.linalg.norm(np.diff(centres(truth), axis=0), axis=1).sum()
    errors = pose_errors(truth, estimate)
    camera = scene.cameras[scene.frames[0].camera_id]
    return DemoReport(
        outcome=outcome,
        frames=len(truth),
        posed=int(posed.sum()),
        rotation_median_deg=float(np.median(rotation_deg)),
        rotation_max_deg=float(rotation_deg.max()),
        position_rmse_percent=100 * centre_rmse(truth, estimate) / float(path_length),
        auc_1=errors.auc(1),
        auc_3=errors.auc(3),
        auc_5=errors.auc(5),
        focal_error_percent=100 * (camera.focal_px / focal_px - 1),
    )
