"""Programs that are run on the pictures of a scene, each in a process of its own: our network, our pipeline, COLMAP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...config import PipelineConfig
from ...errors import CaptureError
from ...geometry import Camera, PixelMap
from ...imageio import probe_image
from ...infer.prediction_file import read_predictions
from ...types import Frame
from ..datasets.contract import GeometryScene
from ..fresh_process import ask, python_module
from ..peers.colmap import ColmapMode, run_colmap
from ..truth.scene_truth import stacked
from .contract import DenseViews, Estimate
from .given import estimate_of_file, model_points
from .pictures import Pictures, lay_pictures

__all__ = ["LONG_PASS", "colmap_here", "own_network", "own_network_singly", "own_pipeline"]

_PROCESS = "da3_pipeline.benchmark.methods.own_process"
LONG_PASS = {"max_views_per_pass": 8, "chunk_overlap": 3}
"""Of `long`: passes so short that the sets of the benchmark, 11 to 100 views a scene, are cut into several."""

_SINGLE = "da3_pipeline.benchmark.methods.single_process"

Answer = Callable[[GeometryScene, Path], Estimate]


def own_network(model: str, device: str = "auto", **infer: Any) -> Answer:
    """The network alone, on all pictures. infer: more of `InferConfig`."""
    return _own(PipelineConfig.model_validate({"infer": {"model": model, "device": device, **infer}}), refined=False)


def own_pipeline(model: str, device: str = "auto") -> Answer:
    """The whole pipeline with its defaults; on one thread of refinement, so that two runs give the same numbers."""
    told = {"infer": {"model": model, "device": device}, "refine": {"threads": 1}}
    return _own(PipelineConfig.model_validate(told), refined=True)


def colmap_here(mode: ColmapMode) -> Answer:
    """COLMAP in a mode: poses and the points that it matched."""

    def estimate(scene: GeometryScene, scratch: Path) -> Estimate:
        pictures = lay_pictures(scene, scratch / "images")
        (scratch / "colmap").mkdir()
        run = run_colmap(pictures.folder, scratch / "colmap", mode)
        poses = stacked(pictures.names, run.cam_from_world)
        points, colours = model_points(run.model) if run.model else (None, None)
        return Estimate(poses, None, run.wall_s, run.cpu_s, run.peak_mb, points=points, colours=colours)

    return estimate


def own_network_singly(model: str, device: str = "auto", in_metres: bool = False) -> Answer:
    """The network on each picture by itself: depth alone. in_metres: by the true focal lengths."""

    def estimate(scene: GeometryScene, scratch: Path) -> Estimate:
        if in_metres and not np.isfinite(scene.intrinsics).all():
            raise CaptureError(f"{scene.name}: its cameras are not known, without which no depth is in metres")
        pictures, output = lay_pictures(scene, scratch / "images"), scratch / "answer.npz"
        request = {
            "images": str(pictures.folder),
            "output": str(output),
            "model": model,
            "device": device,
            "intrinsics": scene.intrinsics.tolist() if in_metres else None,
        }
        finished = ask("our network", python_module(_SINGLE), request)
        with np.load(output) as file:
            depth, scales, offsets = file["depth"], file["scales"].tolist(), file["offsets"].tolist()
        maps = tuple(PixelMap(tuple(scale), tuple(offset)) for scale, offset in zip(scales, offsets, strict=True))
        sizes = [probe_image(pictures.folder / name) for name in pictures.names]
        cameras = tuple(
            Camera.from_matrix(np.nan_to_num(view.intrinsics), size.width, size.height)
            for view, size in zip(scene.views, sizes, strict=True)
        )
        return Estimate(
            np.full((len(scene), 3, 4), np.nan),
            DenseViews(depth, maps, cameras, {view: view for view in range(len(scene))}),
            finished.wall_s,
            finished.cpu_s,
            finished.answer["peak_mb"],
            has_poses=False,
            in_metres=in_metres,
        )

    return estimate


def _own(config: PipelineConfig, refined: bool) -> Answer:
    def estimate(scene: GeometryScene, scratch: Path) -> Estimate:
        pictures, output = lay_pictures(scene, scratch / "images"), scratch / "answer.npz"
        request = {
            "images": str(pictures.folder),
            "output": str(output),
            "work": str(scratch / "work"),
            "config": config.model_dump(mode="json"),
            "refined": refined,
        }
        finished = ask("our network" if not refined else "our pipeline", python_module(_PROCESS), request)
        told = finished.answer
        poses = {name: np.array(pose) for name, pose in told["poses"].items()}
        return Estimate(
            cam_from_world=stacked(pictures.names, poses),
            dense=_dense(output, pictures, told["lenses"]) if told["dense"] else None,
            wall_s=finished.wall_s,
            cpu_s=finished.cpu_s,
            peak_mb=told["peak_mb"],
            passed=told["passed"],
            verdict=told["verdict"],
            set_aside=frozenset(pictures.names.index(name) for name in told["set_aside"]),
            points=np.array(told["points"], float).reshape(-1, 3) if told.get("points") else None,
            colours=np.array(told["colours"], np.uint8).reshape(-1, 3) if told.get("points") else None,
        )

    return estimate


def _dense(output: Path, pictures: Pictures, lenses: dict[str, list[Any]]) -> DenseViews | None:
    """The depth of a predictions file, with the lenses that were solved for."""
    frames = []
    for name in pictures.names:
        info = probe_image(pictures.folder / name)
        frames.append(Frame(name, pictures.folder / name, info.width, info.height, "camera", ""))
    dense = estimate_of_file(read_predictions(output), frames).dense
    if dense is None or not lenses:
        return dense
    solved = {}
    for view, row in dense.row.items():
        model, *params = lenses[pictures.names[view]]
        solved[row] = Camera(model, frames[view].width, frames[view].height, tuple(params))
    return replace(dense, cameras=tuple(solved[row] for row in range(len(solved))))
