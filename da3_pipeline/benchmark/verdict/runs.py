"""The whole pipeline, as it is by default, on captures whose truth is known: poses and verdict against it.

Every finished run is kept as a file under the version of the code that made it: a command that is given again, or
beside another one, does only what is missing, and no table mixes versions.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from ...arrays import Float
from ...config import PipelineConfig
from ...errors import PipelineError
from ...files.strict_json import strict_json
from ...pipeline import run
from ...progress import Progress, SilentProgress
from ...types import Frame
from ..kept_results import code_version
from ..peers.ours import data_set_poses
from ..truth.pose_score import PoseScore, score_poses
from ..truth.scene_truth import stacked
from ..truth.verdicts import JudgedVerdict, judge_data_set, verdicts_json, verdicts_table
from .few_images import RENDERED, few_images, known_scenes
from .references import references

__all__ = [
    "Case",
    "VerdictOptions",
    "VerdictRun",
    "measure_cases",
    "measure_verdicts",
    "runs_json",
    "runs_table",
]

_FROM = 3  # views, from which a capture may be good


@dataclass(frozen=True)
class VerdictOptions:
    """views: numbers of them, each `subsets` times of every scene. rendered: worlds beside the scenes. cache: where
    rendered pictures and finished runs are kept. jobs: processes at once."""

    cache: Path
    views: tuple[int, ...] = (2, 3, 4, 5)
    subsets: int = 2
    rendered: tuple[str, ...] = RENDERED
    seed: int = 0
    jobs: int = 1


class Case(Protocol):
    """A capture to run on. key: its name, fit for a file. measured: as of VerdictRun."""

    @property
    def scene(self) -> str: ...

    @property
    def key(self) -> str: ...

    @property
    def measured(self) -> bool: ...

    def source(self, scratch: Path) -> Path:
        """What the pipeline is given; files may be written below `scratch`."""

    def truths_of(self, frames: Sequence[Frame]) -> list[dict[str, Float]]:
        """Poses by names of frames of the capture: the truth, or each that stands in for it; `frames` is empty where
        a run ended without any."""


@dataclass(frozen=True)
class VerdictRun:
    """One run. measured: against truth, else against COLMAP's solutions."""

    scene: str
    images: tuple[str, ...]
    measured: bool
    score: PoseScore
    seconds: float
    judged: JudgedVerdict

    def __str__(self) -> str:
        said = "passed" if self.judged.passed else "flagged"
        right = "right" if self.judged.right else "wrong"
        against = "truth" if self.measured else "COLMAP"
        why = "; ".join(part for part in (self.judged.wrong, "" if self.judged.passed else self.judged.verdict) if part)
        score = f"{self.score.posed:>7}{self.score.auc_5:>7.1f}"
        cell = f"{against:<8}{right:<7}{said:<9}"
        return f"{self.judged.run:<28}{len(self.images):>6}{score}  {cell}{self.seconds:>6.1f}  {why}".rstrip()


def measure_verdicts(folders: Sequence[Path], options: VerdictOptions, progress: Progress) -> list[VerdictRun]:
    """A run for every scene, number of views and choice. Folders as for `read_truth`."""
    scenes = known_scenes(folders, options.rendered, options.seed, options.cache / "rendered", progress)
    held_to = {name: references(scene, options.cache / "references", progress) for name, scene in scenes.items()}
    cases = list(few_images(scenes, held_to, options.views, options.subsets, options.seed))
    return measure_cases(cases, options.cache / f"runs-{code_version()}-{options.seed}", options.jobs, progress)


def measure_cases(cases: Sequence[Case], results: Path, jobs: int, progress: Progress) -> list[VerdictRun]:
    """A run for every case, in so many processes at once; those that are in the folder `results` are done."""
    results.mkdir(parents=True, exist_ok=True)
    found: dict[str, VerdictRun] = {}
    for wait in (False, True):  # what another command has in hand is read when it is done
        missing = [case for case in cases if case.key not in found]
        for case, result in zip(missing, _each(partial(_once, results, wait), missing, jobs), strict=True):
            if result is not None:
                found[case.key] = result
                progress.step(len(found), len(cases), case.key)
    return [found[case.key] for case in cases]


def runs_table(runs: Sequence[VerdictRun]) -> str:
    """A line a run, the mean time of one, and the four cells: of all, and from three views up."""
    head = f"{'run':<28}{'views':>6}{'posed':>7}{'AUC@5':>7}  {'against':<8}{'':<7}{'verdict':<9}{'s':>6}"
    seconds = sum(run.seconds for run in runs) / max(len(runs), 1)
    cells = verdicts_table([run.judged for run in runs], _FROM)
    return "\n".join([head, *map(str, runs), "", f"{len(runs)} runs, {seconds:.1f} s each", "", cells])


def runs_json(runs: Sequence[VerdictRun]) -> str:
    """The cells over all runs, and all figures of each."""
    document = json.loads(verdicts_json([run.judged for run in runs]))
    return strict_json(document | {"figures": [asdict(run) for run in runs]}, indent=1)


def _each(once: partial[VerdictRun | None], cases: Iterable[Case], jobs: int) -> Iterator[VerdictRun | None]:
    if jobs == 1:
        yield from map(once, cases)
        return
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(once, cases)


def _once(results: Path, wait: bool, case: Case) -> VerdictRun | None:
    """The kept result, or a new one; None where another process is at it and `wait` is off."""
    kept = results / f"{case.key}.json"
    try:
        with FileLock(kept.with_suffix(".lock"), timeout=-1 if wait else 0):
            if not kept.exists():
                written = kept.with_suffix(f".{os.getpid()}")
                written.write_text(json.dumps(asdict(_measured(case))), encoding="utf-8")
                written.replace(kept)
    except Timeout:
        return None
    document = json.loads(kept.read_text(encoding="utf-8"))
    score, judged = PoseScore(**document["score"]), JudgedVerdict(**document["judged"])
    return VerdictRun(**document | {"images": tuple(document["images"]), "score": score, "judged": judged})


def _measured(case: Case) -> VerdictRun:
    with tempfile.TemporaryDirectory(prefix="da3-bench-") as scratch:
        source, session = case.source(Path(scratch)), Path(scratch) / "session"
        began_s = time.perf_counter()
        try:
            outcome = run([source], session, PipelineConfig(), SilentProgress())
        except PipelineError as error:
            truths, poses, aside = case.truths_of(()), {}, frozenset[str]()
            passed, verdict = False, f"no data set: {error}"
        else:
            truths, poses = case.truths_of(outcome.scene.frames), data_set_poses(session)
            passed, verdict = outcome.passed, outcome.scene.verdict.summary
            aside = frozenset(frame.name for frame in outcome.scene.frames if not frame.training)
    seconds = time.perf_counter() - began_s
    score, judged = _against_each(case.key, truths, poses, aside, passed, verdict)
    return VerdictRun(case.scene, tuple(truths[0]), case.measured, score, seconds, judged)


def _against_each(
    key: str,
    truths: Sequence[dict[str, Float]],
    poses: dict[str, Float],
    aside: frozenset[str],
    passed: bool,
    verdict: str,
) -> tuple[PoseScore, JudgedVerdict]:
    """Score and judgement by the reference that agrees best: right is what one confirms, wrong what all refute."""
    scores = [score_poses(stacked(truth, truth), stacked(truth, poses)) for truth in truths]
    best = max(range(len(truths)), key=lambda number: scores[number].auc_5)
    return scores[best], judge_data_set(key, truths[best], poses, aside, passed, verdict)
