"""Which frames are taken from blurred video, and what that does to the poses."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...arrays import Bool, Int
from ...config import PipelineConfig
from ...geometry.metrics.poses import pose_errors
from ...imageio import write_rgb
from ...pipeline import Outcome, run
from ...progress import Progress, SilentProgress
from ...videoio import decode_frames, probe_video
from ..truth.verdicts import JudgedVerdict, judge_verdict, verdicts_table
from .blur_measures import blur_table, render_pictures
from .blurred_walk import BlurredWalk, render_blurred_walk

__all__ = ["SelectionOptions", "measure_selection"]

_SEEN_PX = 2.0  # blur below this is not told from none
_COLUMNS = (
    f"{'walk':<6}{'frames by':<22}{'taken':>7}{'blurred':>9}{'training':>10}{'blurred':>9}{'posed':>8}"
    f"{'AUC@1':>7}{'AUC@3':>7}{'AUC@5':>7}"
)


@dataclass(frozen=True)
class SelectionOptions:
    """walks: rendered videos, of which `blurred` (a share) is blurred, kept in `cache`. scenes: of each kind, for the
    comparison of measures of sharpness; 0 for none."""

    cache: Path
    walks: int = 3
    blurred: float = 0.3
    scenes: int = 6


@dataclass(frozen=True)
class _Row:
    """A walk posed from some of its frames: frames (n,), indices into the walk, in the order of the outcome's scene."""

    walk: BlurredWalk
    number: int
    method: str
    frames: Int
    outcome: Outcome

    @property
    def training(self) -> Bool:
        return np.array([frame.training for frame in self.outcome.scene.frames])

    def __str__(self) -> str:
        estimate = self.outcome.scene.cam_from_world
        blurred = self.walk.blur_px[self.frames] > _SEEN_PX
        errors = pose_errors(self.walk.cam_from_world[self.frames], estimate)
        posed = int(np.isfinite(estimate).all(axis=(1, 2)).sum())
        return (
            f"{self.number:<6}{self.method:<22}{len(self.frames):>7}{100 * blurred.mean():>7.0f} %"
            f"{self.training.sum():>10}{100 * blurred[self.training].mean():>7.0f} %{posed:>8}"
            + "".join(f"{errors.auc(limit):>7.1f}" for limit in (1, 3, 5))
        )

    @property
    def judged(self) -> JudgedVerdict:
        """The verdict on the frames for training, as far as they are in the data set."""
        scene, about = self.outcome.scene, f"walk {self.number}, {self.method}"
        exported = np.array([frame.name in self.outcome.result.image_names for frame in scene.frames])
        estimate = np.where(exported[:, None, None], scene.cam_from_world, np.nan)[self.training]
        truth = self.walk.cam_from_world[self.frames][self.training]
        return judge_verdict(about, truth, estimate, scene.verdict.passed, scene.verdict.summary)


def measure_selection(options: SelectionOptions, config: PipelineConfig, progress: Progress) -> str:
    """Two tables: measures of sharpness on rendered pictures; frames and poses from rendered blurred video.

    The frames are taken at equal steps of time, as by frame rate, as many as `select` takes; and by `select`, of which
    the training columns leave out those for the poses only. Then the verdict against the truth.
    """
    tables = [blur_table(render_pictures(options.scenes, progress))] if options.scenes else []
    rows: list[_Row] = []
    for number in range(options.walks):
        walk = render_blurred_walk(options.cache, number, options.blurred, progress)
        chosen = _selected(walk, number, config)
        rows += [_at_equal_times(walk, number, config, len(chosen.frames)), chosen]
    if rows:
        tables += ["\n".join([_COLUMNS, *map(str, rows)]), verdicts_table([row.judged for row in rows])]
    return "\n\n".join(tables)


def _selected(walk: BlurredWalk, number: int, config: PipelineConfig) -> _Row:
    outcome = _reconstructed([walk.video], config)
    times_s = probe_video(walk.video).times_s
    taken = [int(np.argmin(np.abs(times_s - (frame.time_s or 0.0)))) for frame in outcome.scene.frames]
    return _Row(walk, number, "select", np.array(taken), outcome)


def _at_equal_times(walk: BlurredWalk, number: int, config: PipelineConfig, count: int) -> _Row:
    frames = np.linspace(0, len(walk.blur_px) - 1, count).round().astype(np.int64)
    select = config.select.model_copy(update={"pose_only": False})
    with tempfile.TemporaryDirectory(prefix="da3-bench-") as folder:
        for frame in decode_frames(walk.video, probe_video(walk.video).times_s):
            if frame.index in frames:
                write_rgb(Path(folder) / f"{frame.index:06d}.jpg", frame.rgb(), 96)
        outcome = _reconstructed([Path(folder)], config.model_copy(update={"select": select}))
    taken = np.array([int(Path(frame.name).stem) for frame in outcome.scene.frames])
    return _Row(walk, number, "equal times", taken, outcome)


def _reconstructed(sources: Sequence[Path], config: PipelineConfig) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="da3-bench-") as folder:
        return run(sources, Path(folder) / "session", config, SilentProgress())
