"""A few evenly picked views of a scene: ours from a rough prior, COLMAP's two mappers, and the prior itself."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...arrays import Int
from ...files.strict_json import strict_json
from ...progress import Progress
from ...refine import RefineConfig
from ..peers.colmap import COLMAP_MODES, ColmapMode, run_colmap
from ..truth.known_scene import KnownScene
from ..truth.pose_score import PoseScore, score_poses
from ..truth.prior_noise import PriorNoise
from ..truth.scene_truth import copy_images, stacked
from ..truth.simulated_prior import simulate_prior
from ..truth.verdicts import verdicts_table
from .refinement_run import RefinementRun, refine_against_truth
from .robustness import known_scenes

__all__ = [
    "FewViewsOptions",
    "FewViewsRow",
    "evenly_picked",
    "few_views_json",
    "few_views_table",
    "measure_few_views",
]


_COLUMNS = (
    f"{'scene':<16}{'views':>6}   {'posed':<8}{'prior 5/30':<13}{'ours 5/30':<13}{'least':<13}"
    f"{'COLMAP incremental':<20}{'global':<20}{'passed':<8}{'poses of all seeds'}"
)
_MODES = {"incremental": COLMAP_MODES["few"], "global": COLMAP_MODES["few-global"]}


@dataclass(frozen=True)
class FewViewsOptions:
    """counts: views picked of every scene, each with `seeds` priors of this noise."""

    noise: PriorNoise
    counts: tuple[int, ...] = (3, 4, 5)
    seeds: int = 5
    config: RefineConfig = field(default_factory=lambda: RefineConfig(threads=1))


@dataclass(frozen=True)
class FewViewsRow:
    """priors and runs: one for each seed, in one order. colmap: by mapper."""

    scene: str
    views: int
    priors: tuple[PoseScore, ...]
    runs: tuple[RefinementRun, ...]
    colmap: dict[str, PoseScore]

    @property
    def ours(self) -> tuple[PoseScore, ...]:
        return tuple(run.score for run in self.runs)

    @property
    def median(self) -> PoseScore:
        return _over(np.median, self.ours)

    @property
    def failures(self) -> list[str]:
        """What the row should show and does not, one clause each.

        No wrong run passed by the verdict; every view posed, always; AUC@5 and AUC@30 never below the prior's own;
        their medians above COLMAP's better mapper: AUC@30 always, AUC@5 where that left a view out. A tie at 100 counts
        as above.
        """
        found = []
        unseen = [f"{seed}: {run.wrong}" for seed, run in enumerate(self.runs) if run.wrong and run.passed]
        if unseen:
            found.append(f"wrong and passed with seeds {', '.join(unseen)}")
        if any(one.posed < self.views for one in self.ours):
            found.append(f"poses {min(one.posed for one in self.ours)} of {self.views} views")
        for name in ("auc_5", "auc_30"):
            pairs = zip(self.ours, self.priors, strict=True)
            below = [seed for seed, (ours, prior) in enumerate(pairs) if getattr(ours, name) < getattr(prior, name)]
            if below:
                found.append(f"{name} below the prior's with seeds {below}")
        peers = self.colmap.values()
        if peers and not _above(self.median.auc_30, max(peer.auc_30 for peer in peers)):
            found.append(f"auc_30 {self.median.auc_30:.1f}, COLMAP {max(peer.auc_30 for peer in peers):.1f}")
        partial = [peer.auc_5 for peer in peers if peer.posed < self.views]
        if partial and not _above(self.median.auc_5, max(partial)):
            found.append(f"auc_5 {self.median.auc_5:.1f}, COLMAP {max(partial):.1f} without all views")
        return found


def measure_few_views(folders: Sequence[Path], options: FewViewsOptions, progress: Progress) -> list[FewViewsRow]:
    """A row for every scene and number of views; folders and errors as for `read_scene`."""
    scenes = known_scenes(folders, options.config, progress)
    rows = []
    for number, (scene, count) in enumerate((scene, count) for scene in scenes for count in options.counts):
        progress.step(number, len(scenes) * len(options.counts), f"{scene.name}, {count} views")
        rows.append(_measure(scene.subset(evenly_picked(len(scene), count)), options))
    return rows


def evenly_picked(total: int, count: int) -> Int:
    """(count,) indices from the first of `total` to the last, at equal steps."""
    return np.unique(np.round(np.linspace(0, total - 1, count)).astype(np.int64))


def few_views_json(rows: Sequence[FewViewsRow]) -> str:
    """All figures of all rows."""
    return strict_json([asdict(row) | {"failures": row.failures} for row in rows], indent=1)


def few_views_table(rows: Sequence[FewViewsRow]) -> str:
    """A line a row, then every failure.

    AUC@5/AUC@30: medians over the seeds, and the least of ours; COLMAP's with the views that it registered. Then how
    many runs passed, and from where the poses of all seeds came. At the end the verdict against the truth.
    """
    lines = [_COLUMNS]
    for row in rows:
        prior, least = _over(np.median, row.priors), _over(min, row.ours)
        sources = sum((Counter(run.sources) for run in row.runs), Counter())
        passed = f"{sum(run.passed for run in row.runs)}/{len(row.runs)}"
        how = ", ".join(f"{count} {source}" for source, count in sorted(sources.items()))
        peers = "".join(f"{f'{peer.posed} · {_both(peer)}' if peer.posed else '0':<20}" for peer in row.colmap.values())
        lines.append(
            f"{row.scene:<16}{row.views:>6}   {f'{least.posed}/{row.views}':<8}{_both(prior):<13}"
            f"{_both(row.median):<13}{_both(least):<13}{peers}{passed:<8}{how}"
        )
    failures = [f"{row.scene}, {row.views} views: {failure}" for row in rows for failure in row.failures]
    judged = [run.judged(f"{row.scene}, seed {seed}") for row in rows for seed, run in enumerate(row.runs)]
    modes = [f"COLMAP {mapper}: {mode}" for mapper, mode in _MODES.items()]
    return "\n".join([*lines, *modes, "", f"{len(failures)} failures", *failures, "", verdicts_table(judged, 3)])


def _measure(scene: KnownScene, options: FewViewsOptions) -> FewViewsRow:
    priors, runs = [], []
    for seed in range(options.seeds):
        prediction = simulate_prior(scene, options.noise, seed).prediction
        priors.append(score_poses(scene.cam_from_world, prediction.cam_from_world))
        runs.append(refine_against_truth(prediction, scene.cam_from_world, options.config))
    colmap = {mapper: _colmap(scene, mode) for mapper, mode in _MODES.items()}
    return FewViewsRow(scene.name, len(scene), tuple(priors), tuple(runs), colmap)


def _colmap(scene: KnownScene, mode: ColmapMode) -> PoseScore:
    with tempfile.TemporaryDirectory(prefix="da3-bench-") as folder:
        images, scratch = Path(folder) / "images", Path(folder) / "scratch"
        scratch.mkdir()
        copy_images({frame.name: frame.path for frame in scene.frames.frames}, images)
        poses = run_colmap(images, scratch, mode).cam_from_world
    return score_poses(scene.cam_from_world, stacked(scene.frames.names, poses))


def _over(reduce: Callable[[list[float]], Any], many: Sequence[PoseScore]) -> PoseScore:
    """Every figure reduced over the scores."""

    def of(name: str) -> float:
        return float(reduce([getattr(one, name) for one in many]))

    return PoseScore(many[0].images, int(of("posed")), of("auc_1"), of("auc_3"), of("auc_5"), of("auc_30"))


def _both(score: PoseScore) -> str:
    return f"{score.auc_5:.0f}/{score.auc_30:.0f}"


def _above(ours: float, theirs: float) -> bool:
    return ours > theirs or ours >= 100
