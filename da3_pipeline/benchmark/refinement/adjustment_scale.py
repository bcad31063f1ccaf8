"""What bundle adjustment costs as captures grow: seconds, memory and accuracy of large synthetic problems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from ...errors import UsageError
from ...progress import Progress
from ..fresh_process import ask, python_module
from ..metrics.growth import growth_of
from .synthetic_problem import CapturePath

__all__ = ["IMAGES", "AdjustmentOptions", "measure_adjustment", "measure_parts"]

IMAGES = (50, 200, 500)
_MODULE = "da3_pipeline.benchmark.refinement.adjustment_process"
_ERRORS = f"{'rotation deg':>16}{'position %':>16}"
_COLUMNS = (
    f"{'images':>6}{'cameras':>8}{'tracks':>8}{'observed':>10}{'kept':>9}{'seconds':>9}{'CPU s':>8}{'peak MB':>9}"
    f"{_ERRORS}{'focal %':>16}"
)


@dataclass(frozen=True)
class AdjustmentOptions:
    """path: orbit or walk. cameras: distinct ones in the largest problem, in proportion in smaller ones, one at least.
    tracks: likewise; None for 300 an image."""

    path: str = "orbit"
    seed: int = 0
    cameras: int = 1
    tracks: int | None = None


def measure_adjustment(images: Sequence[int], options: AdjustmentOptions, progress: Progress) -> str:
    """A line per number of images, each in a fresh process whose linear algebra has one thread.

    Poses are off by 3 degrees and 3 % of the extent, focal lengths by 3 %; along a walk errors drift, as those of
    a video do. 5 % of the observations are false. Errors before -> after: median rotation, RMS position in percent of
    the extent, both after a similarity, and median focal length. Raises UsageError for a path that is none.
    """
    rows = [_COLUMNS]
    for number, request in enumerate(_requests(images, options)):
        progress.step(number, len(images), f"{options.path} of {request['images']} images")
        answer = _answer(request)
        pairs = "".join(
            f"{f'{answer[name][0]:.1f} -> {answer[name][1]:.2f}':>16}"
            for name in ("rotation_deg", "position_percent", "focal_percent")
        )
        rows.append(
            f"{request['images']:>6}{request['cameras']:>8}{answer['tracks']:>8}{answer['observations']:>10}"
            f"{answer['kept']:>9}{answer['seconds']:>9.1f}{answer['cpu_s']:>8.1f}{answer['peak_mb']:>9.0f}{pairs}"
        )
    return "\n".join(rows)


def measure_parts(images: Sequence[int], options: AdjustmentOptions, repeats: int, progress: Progress) -> str:
    """A line for every part of the solve: processor seconds of a call by number of images (the least of `repeats`),
    the memory that it takes in the largest problem, and the exponent of its growth over all timings.

    Each size in a fresh process, under the true cameras. Raises UsageError for a path that is none.
    """
    sizes = sorted(set(images))
    answers = []
    for number, request in enumerate(_requests(sizes, options)):
        progress.step(number, len(sizes), f"parts of {request['images']} images")
        answers.append(_answer(request | {"repeats": repeats}))
    what = f"{options.path}; {options.cameras} cameras and {answers[-1]['tracks']} tracks in the largest"
    head = "".join(f"{f'{size} images':>14}" for size in sizes)
    rows = [what, f"{'CPU seconds of a call':<22}{head}{'peak MB':>9}  t ~ images ^ exponent [95 %]"]
    for name in answers[0]["parts"]:
        timings = [answer["parts"][name]["cpu_s"] for answer in answers]
        growth = growth_of(np.repeat(sizes, repeats), np.concatenate(timings))
        least = "".join(f"{min(row):>14.4f}" for row in timings)
        rows.append(f"{name:<22}{least}{answers[-1]['parts'][name]['peak_mb']:>9.0f}  {growth}")
    return "\n".join(rows)


def _requests(images: Sequence[int], options: AdjustmentOptions) -> list[dict[str, Any]]:
    if options.path not in get_args(CapturePath):
        raise UsageError(f"--path {options.path}: possible are {' and '.join(get_args(CapturePath))}")
    largest = max(images)
    return [
        {
            "images": count,
            "path": options.path,
            "seed": options.seed,
            "cameras": max(1, round(options.cameras * count / largest)),
            "tracks": None if options.tracks is None else round(options.tracks * count / largest),
            "repeats": 0,
        }
        for count in images
    ]


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return ask(f"{request['images']} images", python_module(_MODULE), request, one_thread).answer
