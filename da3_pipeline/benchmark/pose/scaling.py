"""Seconds from files to data set as a capture grows, ours beside COLMAP, on one rendered street of constant overlap."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ...files.strict_json import strict_json
from ...imageio import write_rgb
from ...progress import Progress
from ..metrics.growth import Growth, growth_of
from ..peers.colmap import colmap_modes
from ..truth.scene_truth import SceneTruth, copy_images, read_truth, write_truth
from ..truth.verdicts import verdicts_table
from .methods import COST_NOTE, Measured, measure_colmap, measure_ours, modes_note

__all__ = [
    "SIZES",
    "ScalingOptions",
    "ScalingRow",
    "measure_scaling",
    "scaling_growth",
    "scaling_json",
    "scaling_table",
]

SIZES = (10, 25, 50, 100, 200)
_WIDTH, _HEIGHT = 640, 480
_STRIDE = 4  # frames of the tour between images: half a metre
_COLUMNS = (
    f"{'images':>6}  {'method':<24}{'posed':>6}{'AUC@5':>7}{'wall s':>9}{'CPU s':>9}{'wall s/image':>14}"
    f"{'ours/it':>9}  wall seconds of"
)


@dataclass(frozen=True)
class ScalingOptions:
    """cache: where the street is kept. colmap: modes that run beside us, on up to `colmap_up_to` images.

    The street is walked along, picture after picture, as in a video.
    """

    cache: Path
    colmap: tuple[str, ...] = ("video",)
    colmap_up_to: int = 200
    model: str = "da3-nano"
    seed: int = 0


@dataclass(frozen=True)
class ScalingRow:
    """So many images by one method; ratio: our wall time over its, None for our own."""

    measured: Measured
    ratio: float | None = None

    def __str__(self) -> str:
        one, score = self.measured, self.measured.score
        ratio = f"{'':>9}" if self.ratio is None else f"{self.ratio:>9.2f}"
        parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in one.parts_s.items())
        return (
            f"{score.images:>6}  {one.method:<24}{score.posed:>6}{score.auc_5:>7.1f}{one.wall_s:>9.1f}{one.cpu_s:>9.1f}"
            f"{one.wall_s / score.images:>14.2f}{ratio}  {parts}"
        )


def measure_scaling(sizes: Sequence[int], options: ScalingOptions, progress: Progress) -> list[ScalingRow]:
    """Rows for each number of images, ours first: the first so many of the street.

    Raises UsageError for a mode that COLMAP has not.
    """
    modes = colmap_modes(options.colmap)
    street = _rendered(options.cache / f"street-{options.seed}", options.seed, max(sizes), progress)
    rows = []
    for number, size in enumerate(sizes):
        progress.step(number, len(sizes), f"{size} images")
        truth = {name: street.by_name[name] for name in street.names[:size]}
        with _first(street, size) as images:
            ours = measure_ours(f"street of {size}", images, truth, lambda scratch: ["--model", options.model])
            rows.append(ScalingRow(ours))
            for name, mode in modes.items() if size <= options.colmap_up_to else ():
                theirs = measure_colmap(name, mode, images, truth)
                rows.append(ScalingRow(theirs, ours.wall_s / theirs.wall_s))
    return rows


def scaling_table(rows: Sequence[ScalingRow], options: ScalingOptions) -> str:
    """A line a row, how seconds grow, what is timed and what COLMAP's modes are, and the verdict against the truth."""
    verdicts = [row.measured.verdict for row in rows if row.measured.verdict]
    notes = [COST_NOTE, *([modes_note(colmap_modes(options.colmap))] if options.colmap else [])]
    growth = [f"{name}: wall seconds grow as images^{found}" for name, found in scaling_growth(rows).items()]
    return "\n".join([_COLUMNS, *(str(row) for row in rows), "", *growth, *notes, "", verdicts_table(verdicts)])


def scaling_growth(rows: Sequence[ScalingRow]) -> dict[str, Growth]:
    """By method, the power of the number of images with which its wall seconds grow; where several were timed."""
    timed: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        timed.setdefault(row.measured.method, []).append((row.measured.score.images, row.measured.wall_s))
    return {name: growth_of(*np.array(pairs, float).T) for name, pairs in timed.items() if len(pairs) > 1}


def scaling_json(rows: Sequence[ScalingRow]) -> str:
    """All figures of all rows."""
    return strict_json([asdict(row) for row in rows], indent=1)


@contextmanager
def _first(street: SceneTruth, size: int) -> Iterator[Path]:
    """A folder with copies of the first `size` images."""
    with tempfile.TemporaryDirectory(prefix="da3-bench-") as folder:
        images = Path(folder) / "images"
        copy_images({name: street.images / name for name in street.names[:size]}, images)
        yield images


def _rendered(folder: Path, seed: int, count: int, progress: Progress) -> SceneTruth:
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
    return read_truth(folder)
