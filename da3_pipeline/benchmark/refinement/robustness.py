"""How wrong a prior may be: refinement from perturbed truth, against what it reaches from perfect poses."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...geometry.metrics.poses import pose_errors
from ...progress import Progress
from ...quiet import quiet_colmap
from ...refine import RefineConfig
from ..truth.known_scene import KnownScene, read_scene
from ..truth.prior_noise import PriorNoise
from ..truth.simulated_depth import with_simulated_depth
from ..truth.simulated_prior import simulate_prior
from .refinement_run import Contest, RefinementRun, refine_against_truth

__all__ = ["LEVELS", "RobustnessOptions", "RobustnessRun", "known_scenes", "measure_robustness"]

LEVELS = ("2:2:2", "5:5:5", "10:10:10", "20:20:20", "30:30:30")
_WITHIN = 1.0  # points of AUC@5


@dataclass(frozen=True)
class RobustnessOptions:
    """noises: each with `seeds` seeds on every scene. jobs: processes at once. contest: see `refine_against_truth`."""

    noises: tuple[PriorNoise, ...]
    seeds: int = 5
    jobs: int = 1
    contest: Contest = "as run"
    config: RefineConfig = field(default_factory=lambda: RefineConfig(threads=1))


@dataclass(frozen=True)
class RobustnessRun:
    """One refinement of a perturbed prior. perfect: AUC@5 from perfect poses. wrong: names of the gross outliers."""

    scene: str
    images: int
    noise: str
    seed: int
    wrong: tuple[str, ...]
    focal_factor: float
    prior_auc_5: float
    perfect: float
    result: RefinementRun

    @property
    def holds(self) -> bool:
        """Whether AUC@5 is within one point of what perfect poses reach."""
        return self.result.score.auc_5 >= self.perfect - _WITHIN


@dataclass(frozen=True)
class _Case:
    scene: KnownScene
    noise: PriorNoise
    seed: int
    config: RefineConfig
    contest: Contest


def measure_robustness(folders: Sequence[Path], options: RobustnessOptions, progress: Progress) -> list[RobustnessRun]:
    """Every scene, noise and seed, in this order; folders as for `read_scene`. Raises UsageError for one that is none.

    The reference is the same refinement of a prior without noise, which still has a network's depth and world.
    """
    scenes = known_scenes(folders, options.config, progress)
    references = [_Case(scene, PriorNoise(), 0, options.config, "none") for scene in scenes]
    cases = [
        _Case(scene, noise, seed, options.config, options.contest)
        for scene in scenes
        for noise in options.noises
        for seed in range(options.seeds)
    ]
    runs: list[RobustnessRun] = []
    for case, run in zip([*references, *cases], _results([*references, *cases], options.jobs), strict=True):
        runs.append(run)
        progress.step(len(runs), len(references) + len(cases), f"{run.scene} {run.noise} seed {case.seed}")
    perfect = {run.scene: run.result.score.auc_5 for run in runs[: len(scenes)]}
    return [replace(run, perfect=perfect[run.scene]) for run in runs[len(scenes) :]]


def known_scenes(folders: Iterable[Path], config: RefineConfig, progress: Progress) -> list[KnownScene]:
    """The scenes with simulated depth."""
    with quiet_colmap():
        return [with_simulated_depth(read_scene(folder, progress), config, progress) for folder in folders]


def _results(cases: Sequence[_Case], jobs: int) -> Iterator[RobustnessRun]:
    if jobs == 1:
        yield from map(_measure, cases)
        return
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(_measure, cases)


def _measure(case: _Case) -> RobustnessRun:
    prior = simulate_prior(case.scene, case.noise, case.seed)
    truth = case.scene.cam_from_world
    result = refine_against_truth(prior.prediction, truth, case.config, case.contest)
    return RobustnessRun(
        scene=case.scene.name,
        images=len(case.scene),
        noise=str(case.noise),
        seed=case.seed,
        wrong=tuple(case.scene.frames.names[k] for k in prior.wrong),
        focal_factor=prior.focal_factor,
        prior_auc_5=pose_errors(truth, prior.prediction.cam_from_world).auc(5),
        perfect=result.score.auc_5,
        result=result,
    )
