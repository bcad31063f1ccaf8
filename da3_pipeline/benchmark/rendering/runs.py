"""What poses and seeds are worth to a splat: held-out views after equal training from ours and from COLMAP's.

Every source poses all images of a capture. Every eighth of them, in the order of their names, is held out: it is
compared with the picture of the trained splat from the source's own pose. Only held-out images that all sources
posed count. Pictures are undistorted by each source's own lens; resolution, number of Gaussians, iterations and seeds
are equal.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ...config import PipelineConfig
from ...errors import PipelineError, UsageError
from ...gaussians import Splats, rasterise
from ...progress import Progress
from ..peers.colmap import COLMAP_MODES, best_mode, run_colmap
from ..peers.ours import OurRun, run_configured
from ..truth.scene_truth import has_truth, read_truth
from ..truth.verdicts import JudgedVerdict, judge_data_set
from .image_quality import lpips_metric, psnr_db, ssim
from .posed_scene import PosedScene, posed_by_colmap, posed_by_us
from .splat_trainer import TargetView, TrainerOptions, train_splats

__all__ = ["SOURCES", "HeldOut", "PosedSource", "RenderingOptions", "RenderingRun", "Source", "measure_rendering"]

Source = Literal["ours unrefined", "ours refined", "ours matched", "COLMAP"]
SOURCES: tuple[Source, ...] = ("ours unrefined", "ours refined", "ours matched", "COLMAP")
"""Of ours: the network's poses and depth; refined poses, with matched points and depth as seeds; without depth."""

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
_LEAST_TRAINING_VIEWS = 2


@dataclass(frozen=True)
class RenderingOptions:
    """width_px: of the pictures, 0 leaves their size. every: which images are held out. evaluate_every: iterations."""

    sources: tuple[Source, ...] = SOURCES
    seeds: int = 3
    width_px: int = 160
    every: int = 8
    evaluate_every: int = 50
    trainer: TrainerOptions = field(default_factory=TrainerOptions)


@dataclass(frozen=True)
class HeldOut:
    """How a picture compares with the photograph that was held out; lpips None where it cannot be measured."""

    name: str
    psnr_db: float
    ssim: float
    lpips: float | None


@dataclass(frozen=True)
class RenderingRun:
    """One training. posed of images; curve: (iteration, seconds of training, mean held-out PSNR in dB).

    seconds_to_pose: wall, of the whole command from files to data set. mode: of COLMAP. verdict: on ours where the
    truth is known. Where a source could not pose enough to train, `failure` says why and nothing is measured.
    """

    scene: str
    source: Source
    seed: int
    images: int
    posed: int
    seconds_to_pose: float
    seed_points: int = 0
    training_seconds: float = 0.0
    held_out: tuple[HeldOut, ...] = ()
    curve: tuple[tuple[int, float, float], ...] = ()
    failure: str | None = None
    mode: str = ""
    verdict: JudgedVerdict | None = None

    @property
    def psnr_db(self) -> float:
        return float(np.mean([view.psnr_db for view in self.held_out])) if self.held_out else float("nan")

    @property
    def ssim(self) -> float:
        return float(np.mean([view.ssim for view in self.held_out])) if self.held_out else float("nan")

    @property
    def lpips(self) -> float | None:
        values = [view.lpips for view in self.held_out if view.lpips is not None]
        return float(np.mean(values)) if values else None

    def seconds_to(self, psnr_db: float) -> float | None:
        """Seconds from the images to a splat that reaches this on held-out views: to pose and to train."""
        reached = (seconds for _, seconds, value in self.curve if value >= psnr_db)
        first = next(reached, None)
        return None if first is None else self.seconds_to_pose + first


@dataclass(frozen=True)
class PosedSource:
    """What a source made of a capture. mode: of COLMAP. verdict: on a refined scene of ours whose truth is known."""

    source: Source
    scene: PosedScene | None
    failure: str | None = None
    mode: str = ""
    verdict: JudgedVerdict | None = None


def measure_rendering(
    folders: Sequence[Path], config: PipelineConfig, options: RenderingOptions, progress: Progress
) -> list[RenderingRun]:
    """Runs by scene, seed and source. A folder holds images, or `images/`. Raises UsageError where it holds none.

    Seeds are the outer loop, so that sources compete under the same load of the machine.
    """
    captures = [_capture(folder) for folder in folders]
    runs: list[RenderingRun] = []
    total = len(captures) * options.seeds * len(options.sources)
    for name, images, names in captures:
        posed = [_pose(source, images, config, options) for source in options.sources]
        held_out = _common_held_out(names, posed, options.every)
        for seed in range(options.seeds):
            for one in posed:
                progress.step(len(runs), total, f"{name}, {one.source}, seed {seed}")
                run = _run(name, names, one, held_out, seed, options)
                runs.append(replace(run, mode=one.mode, verdict=one.verdict))
    return runs


def _capture(folder: Path) -> tuple[str, Path, tuple[str, ...]]:
    """Name, folder of the images, and their names in order."""
    images = folder / "images" if (folder / "images").is_dir() else folder
    files = [path for path in images.rglob("*") if path.suffix.lower() in _SUFFIXES] if images.is_dir() else []
    if len(files) <= _LEAST_TRAINING_VIEWS:
        raise UsageError(f"{folder}: needs at least three photographs (JPEG or PNG), or images/ with them")
    return folder.name, images, tuple(sorted(path.relative_to(images).as_posix() for path in files))


def _pose(source: Source, images: Path, config: PipelineConfig, options: RenderingOptions) -> PosedSource:
    with tempfile.TemporaryDirectory(prefix="da3-bench-") as scratch:
        if source == "COLMAP":
            mode = COLMAP_MODES[best_mode(images)]
            scene = posed_by_colmap(run_colmap(images, Path(scratch), mode), options.width_px)
            return PosedSource(source, scene, None if scene else "no model", str(mode))
        refine = config.refine.model_copy(update={"refine": source != "ours unrefined"})
        export = config.export.model_copy(update={"undistort": True, "depth_seeds": source != "ours matched"})
        session = Path(scratch) / "session"
        try:
            ours = run_configured([images], session, config.model_copy(update={"refine": refine, "export": export}))
        except PipelineError as error:
            return PosedSource(source, None, str(error))
        scene = posed_by_us(session, ours.wall_s, options.width_px)
        return PosedSource(source, scene, verdict=_judged(source, images.parent, ours))


def _judged(source: Source, folder: Path, ours: OurRun) -> JudgedVerdict | None:
    if source == "ours unrefined" or not has_truth(folder):
        return None
    about = f"{folder.name}, {source}"
    truth = read_truth(folder).by_name
    return judge_data_set(about, truth, ours.cam_from_world, ours.set_aside, ours.passed, ours.verdict)


def _common_held_out(names: Sequence[str], posed: Sequence[PosedSource], every: int) -> tuple[str, ...]:
    """Every n-th image, as far as all sources that posed anything posed it."""
    scenes = [one.scene for one in posed if one.scene is not None]
    return tuple(name for name in names[::every] if all(name in scene.views for scene in scenes))


def _run(
    scene: str, names: Sequence[str], posed: PosedSource, held_out: Sequence[str], seed: int, options: RenderingOptions
) -> RenderingRun:
    found = posed.scene
    if found is None:
        return RenderingRun(scene, posed.source, seed, len(names), 0, float("nan"), failure=posed.failure)
    training = [view for name, view in found.views.items() if name not in names[:: options.every]]
    about = (scene, posed.source, seed, len(names), len(found.views), found.seconds_to_pose, len(found.points))
    if len(training) < _LEAST_TRAINING_VIEWS or len(found.points) < _LEAST_TRAINING_VIEWS or not held_out:
        return RenderingRun(*about, failure="too little to train on, or nothing to compare")
    targets = [_on(found.views[name], options.trainer.device) for name in held_out]
    curve: list[tuple[int, float, float]] = []

    def watch(iteration: int, seconds: float, splats: Splats) -> None:
        if iteration % options.evaluate_every == 0 or iteration == options.trainer.iterations:
            pairs = _rendered(splats, targets)
            curve.append((iteration, seconds, float(np.mean([psnr_db(*pair) for pair in pairs]))))

    trained = train_splats(training, found.points, found.colours, options.trainer, seed, watch)
    lpips = lpips_metric()
    views = tuple(
        _compare(name, pair, lpips) for name, pair in zip(held_out, _rendered(trained.splats, targets), strict=True)
    )
    return RenderingRun(*about, trained.seconds, views, tuple(curve))


def _on(target: TargetView, device: str) -> TargetView:
    view = target.view
    moved = type(view)(view.cam_from_world.to(device), view.focal_px, view.centre_px, view.width, view.height)
    return TargetView(target.photograph.to(device), moved)


@torch.no_grad()
def _rendered(splats: Splats, targets: Sequence[TargetView]) -> Iterator[tuple[Tensor, Tensor]]:
    return iter([(rasterise(splats, target.view).image.clamp(0, 1), target.photograph) for target in targets])


def _compare(name: str, pair: tuple[Tensor, Tensor], lpips: Callable[[Tensor, Tensor], float] | None) -> HeldOut:
    return HeldOut(name, psnr_db(*pair), float(ssim(*pair)), lpips(*pair) if lpips else None)
