"""The verdict against the truth: right and passed, right and flagged, wrong and flagged, wrong and passed.

Right means good enough to train on, whatever the verdict says:

- at least nine in ten of the images that were meant for training are in the data set. With fewer the capture is not
  what was given; it is the share that the verdict asks for, too.
- AUC@5 over the pairs of those that are in it is at least 90, which pairs of an error around a degree reach. The error
  of a pair is the larger of rotation and direction of motion (sign ignored), and the direction between neighbours is
  uncertain by a degree with the poses of the best reconstructions there are, COLMAP's among them.
- no image is off by more than 5 degrees: the median over its pairs with all others, direction with its sign. AUC is a
  mean and forgives one image in a wrong place, or a world turned inside out; a splat shows either.
- the camera moved. From one place there is no parallax, and no splat can be trained.

A run that ends without a data set has said so, and counts as flagged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from ...arrays import Float
from ...files.strict_json import strict_json
from ...geometry import centres
from ...geometry.metrics.poses import pose_errors
from .scene_truth import stacked

__all__ = [
    "CELLS",
    "LEAST_SHARE",
    "RIGHT_AUC_5",
    "RIGHT_IMAGE_DEG",
    "JudgedVerdict",
    "judge_data_set",
    "judge_verdict",
    "verdicts_json",
    "verdicts_table",
    "what_is_wrong",
]

RIGHT_AUC_5 = 90.0
RIGHT_IMAGE_DEG = 5.0
LEAST_SHARE = 0.9
CELLS = ("right and passed", "right and flagged", "wrong and flagged", "wrong and passed")


@dataclass(frozen=True)
class JudgedVerdict:
    """One run. views: images meant for training. wrong: why it is not right, '' where it is. verdict: its summary."""

    run: str
    views: int
    wrong: str
    passed: bool
    verdict: str = ""

    @property
    def right(self) -> bool:
        return not self.wrong

    @property
    def cell(self) -> str:
        """One of CELLS."""
        return f"{'right' if self.right else 'wrong'} and {'passed' if self.passed else 'flagged'}"


def judge_verdict(run: str, truth: Float, estimate: Float, passed: bool, verdict: str = "") -> JudgedVerdict:
    """The verdict on `estimate` (N, 3, 4) cam_from_world, NaN where an image has no pose, beside `truth` (N, 3, 4)."""
    return JudgedVerdict(run, len(truth), what_is_wrong(truth, estimate), passed, verdict)


def judge_data_set(
    run: str,
    truth: Mapping[str, Float],
    poses: Mapping[str, Float],
    set_aside: Collection[str],
    passed: bool,
    verdict: str = "",
) -> JudgedVerdict:
    """The same by name: `truth` and `poses` (3, 4) of images, those that selection set aside not being missed."""
    meant = [name for name in truth if name in poses or name not in set_aside]
    return judge_verdict(run, stacked(meant, truth), stacked(meant, poses), passed, verdict)


def what_is_wrong(truth: Float, estimate: Float) -> str:
    """Why nothing should be trained on `estimate`, in one clause; '' where it is right by the rules above."""
    places, posed = centres(truth), np.isfinite(estimate).all(axis=(1, 2))
    reach = float(np.ptp(places, axis=0).max(initial=0.0))
    if reach <= 1e-9 * max(float(np.abs(places).max(initial=0.0)), 1e-12):
        return "the camera does not move"
    if posed.sum() < max(2.0, LEAST_SHARE * len(truth)):
        return f"{int(posed.sum())} of {len(truth)} images posed"
    errors = pose_errors(truth[posed], estimate[posed])
    auc_5 = errors.auc(5)
    if auc_5 < RIGHT_AUC_5:
        return f"AUC@5 {auc_5:.1f}"
    first, second = np.triu_indices(int(posed.sum()), 1)
    signed_deg = np.maximum(errors.rotation_deg, errors.translation_deg)
    of_image = [float(np.median(signed_deg[(first == k) | (second == k)])) for k in range(int(posed.sum()))]
    worst = int(np.argmax(of_image))
    if of_image[worst] > RIGHT_IMAGE_DEG:
        return f"image {int(np.flatnonzero(posed)[worst])} off by {of_image[worst]:.1f} degrees"
    return ""


def verdicts_json(judged: Sequence[JudgedVerdict]) -> str:
    """Every run with its cell, and the counts."""
    counts = Counter(one.cell for one in judged)
    rows = [asdict(one) | {"right": one.right, "cell": one.cell} for one in judged]
    return strict_json({"cells": {cell: counts[cell] for cell in CELLS}, "runs": rows}, indent=1)


def verdicts_table(judged: Sequence[JudgedVerdict], least_views: int | None = None) -> str:
    """The four cells, over all runs and, with `least_views`, over those of so many views and more; then every run on
    which verdict and truth differ."""
    groups = [("all runs", list(judged))]
    if least_views is not None:
        groups.append((f"{least_views} views and more", [one for one in judged if one.views >= least_views]))
    head = f"{'verdict against truth':<24}{'runs':>6}" + "".join(f"{cell:>20}" for cell in CELLS)
    rows = [head, *(_row(name, group) for name, group in groups)]
    rows.append(
        f"right: {LEAST_SHARE:.0%} of the images in the data set, their AUC@5 at least {RIGHT_AUC_5:g}, "
        f"none off by more than {RIGHT_IMAGE_DEG:g} degrees, from more than one place"
    )
    return "\n".join([*rows, *_differing(judged)])


def _row(name: str, judged: Sequence[JudgedVerdict]) -> str:
    counts = Counter(one.cell for one in judged)
    shares = [f"{counts[cell]} ({counts[cell] / len(judged):.0%})" if judged else "0" for cell in CELLS]
    return f"{name:<24}{len(judged):>6}" + "".join(f"{share:>20}" for share in shares)


def _differing(judged: Iterable[JudgedVerdict]) -> list[str]:
    told = []
    for one in judged:
        if one.right != one.passed:
            told.append(f"{one.cell}: {one.run}, {one.views} views: {one.wrong or one.verdict}")
    return sorted(told, reverse=True)
