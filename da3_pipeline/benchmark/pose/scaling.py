"""Seconds from images to poses as a capture grows, ours beside COLMAP, on one rendered street of constant overlap."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...geometry.pose_metrics import pose_errors
from ...imageio import write_rgb
from ...progress import Progress, SilentProgress
from ...quiet import quiet_colmap
from ...refine import RefineConfig
from ...refine.matching.correspondences import find_correspondences
from ...refine.refinement import refine_matched
from ..peers.colmap import run_colmap
from ..scenarios.capture_files import write_truth
from ..truth.known_scene import KnownScene, read_scene
from ..truth.prior_noise import PriorNoise
from ..truth.simulated_prior import simulate_prior

__all__ = ["SIZES", "ScalingRow", "measure_scaling", "scaling_table"]


SIZES = (10, 25, 50, 100, 200)
_WIDTH, _HEIGHT = 640, 480
_STRIDE = 4  # frames of the tour between images: half a metre
_NOISE = PriorNoise(5.0, 0.05, 0.05)


@dataclass(frozen=True)
class ScalingRow:
    """Wall seconds with all cores: features, pairs with verification, the rest; COLMAP's in all, None where not run."""

    images: int
    features_s: float
    pairs_s: float
    adjustment_s: float
    auc_5: float
    colmap_s: float | None
    colmap_auc_5: float | None

    @property
    def ours_s(self) -> float:
        return self.features_s + self.pairs_s + self.adjustment_s


def measure_scaling(
    sizes: Sequence[int], cache: Path, colmap_up_to: int, progress: Progress, seed: int = 0
) -> list[ScalingRow]:
    """A row for each number of images: the first so many of the street, from a simulated prior of 5 degrees and 5 %."""
    folder = _rendered(cache / f"street-{seed}", seed, max(sizes), progress)
    scene = read_scene(folder, progress)
    rows = []
    for number, size in enumerate(sizes):
        progress.step(number, len(sizes), f"{size} images")
        part = scene.subset(np.arange(size))
        rows.append(_measure(part, colmap=size <= colmap_up_to))
    return rows


def scaling_table(rows: Sequence[ScalingRow]) -> str:
    """Seconds in all and by image, and AUC@5, by number of images."""
    head = f"{'images':>7}{'features':>10}{'pairs':>8}{'solving':>9}{'s':>8}{'s/image':>9}{'AUC@5':>7}"
    lines = [f"{head}   {'COLMAP s':>9}{'s/image':>9}{'AUC@5':>7}{'ratio':>7}"]
    for row in rows:
        ours = f"{row.images:>7}{row.features_s:>10.1f}{row.pairs_s:>8.1f}{row.adjustment_s:>9.1f}{row.ours_s:>8.1f}"
        ours += f"{row.ours_s / row.images:>9.2f}{row.auc_5:>7.1f}"
        peer = ""
        if row.colmap_s is not None:
            peer = f"   {row.colmap_s:>9.1f}{row.colmap_s / row.images:>9.2f}{row.colmap_auc_5:>7.1f}"
            peer += f"{row.ours_s / row.colmap_s:>7.2f}"
        lines.append(ours + peer)
    return "\n".join(lines)


def _rendered(folder: Path, seed: int, count: int, progress: Progress) -> Path:
    from ...training.synthetic.tour import render_tour

    tour = render_tour(seed, count * _STRIDE, _WIDTH, _HEIGHT)
    names = [f"{index:04d}.png" for index in range(count)]
    for index, name in enumerate(names):
        image = folder / "images" / name
        if not image.exists():
            image.parent.mkdir(parents=True, exist_ok=True)
            write_rgb(image, tour.picture(index * _STRIDE)[0])
        progress.step(index + 1, count, "images rendered")
    write_truth(folder, names, tour.cam_from_world[::_STRIDE], np.stack([tour.camera.K] * count))
    return folder


def _measure(scene: KnownScene, colmap: bool) -> ScalingRow:
    prediction = simulate_prior(scene, _NOISE, 0).prediction
    config, clock = RefineConfig(), _Clock()
    with quiet_colmap():
        correspondences = find_correspondences(prediction, config, clock)
        matched_s = clock.elapsed_s()
        found = refine_matched(prediction, correspondences, config, SilentProgress())
        solved_s = clock.elapsed_s()
    seconds = (clock.features_s, matched_s - clock.features_s, solved_s - matched_s)
    auc_5 = pose_errors(scene.cam_from_world, found.cam_from_world).auc(5)
    if not colmap:
        return ScalingRow(len(scene), *seconds, auc_5, None, None)
    with tempfile.TemporaryDirectory(prefix="da3-bench-") as scratch:
        images, work = Path(scratch) / "images", Path(scratch) / "work"
        for path in (images, work):
            path.mkdir()
        for frame in scene.frames.frames:
            (images / frame.name).symlink_to(frame.path)
        peer = run_colmap(images, work)
    poses = np.stack([peer.cam_from_world.get(name, np.full((3, 4), np.nan)) for name in scene.frames.names])
    return ScalingRow(len(scene), *seconds, auc_5, peer.seconds, pose_errors(scene.cam_from_world, poses).auc(5))


class _Clock(SilentProgress):
    """Wall seconds from its creation, and until the last step of feature extraction."""

    def __init__(self) -> None:
        self._began_s = time.perf_counter()
        self.features_s = 0.0

    def elapsed_s(self) -> float:
        return time.perf_counter() - self._began_s

    def step(self, done: int, total: int, note: str = "") -> None:
        if note == "features":
            self.features_s = self.elapsed_s()
