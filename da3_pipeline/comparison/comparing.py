"""How far two sets of cameras of the same pictures are apart, after the one similarity that brings them together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..arrays import Bool, Float, Int
from ..errors import UsageError
from ..geometry import Sim3, centres, rotation_angle_deg
from ..geometry.metrics.poses import pose_errors
from ..geometry.robust_alignment import robust_alignment
from ..ingest.projects.name_matching import match_names
from .camera_set import CameraSet, read_camera_set

__all__ = ["Comparison", "Spread", "compare"]

_AUC_DEG = (1, 3, 5)
_MOST_FRAMES = 1500
"""Of more, so many evenly spread ones make the pairs: a million pairs take 0.7 GB, and their shares no longer move."""


@dataclass(frozen=True)
class Spread:
    """Of an error over frames, where it is known; worst: the frame with the largest."""

    median: float
    p90: float
    largest: float
    worst: str

    @classmethod
    def of(cls, errors: Float, names: tuple[str, ...]) -> Spread | None:
        if not np.isfinite(errors).any():
            return None
        known = errors[np.isfinite(errors)]
        worst = names[int(np.nanargmax(errors))]
        return cls(float(np.median(known)), float(np.percentile(known, 90)), float(known.max()), worst)


@dataclass(frozen=True)
class Comparison:
    """A beside B, of `names` (N), the pictures that have a pose in both, as A calls them.

    rows_a, rows_b (N): where they stand in either. b_from_a brings the world of A onto that of B. rotation_deg (N);
    position (N) in B's unit, of which B's cameras are `extent` across; focal_percent (N): by how much A's focal length
    is longer, in shares of the picture's longer side where both are told, NaN where unknown. auc: percent at 1, 3, 5
    degrees, over the pairs of `names`; auc_of_b: over those of all pictures of B, wrong where A has no pose. turned:
    pictures whose sides are swapped between the two.
    """

    a: CameraSet
    b: CameraSet
    names: tuple[str, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    rows_a: Int
    rows_b: Int
    b_from_a: Sim3
    rotation_deg: Float
    position: Float
    extent: float
    focal_percent: Float
    auc: tuple[float, ...]
    auc_of_b: tuple[float, ...]
    turned: tuple[str, ...]

    @property
    def aligned(self) -> Float:
        """(N, 3, 4) poses of A in the world of B."""
        return self.b_from_a.apply_to_cameras(self.a.cam_from_world[self.rows_a])

    @property
    def reference(self) -> Float:
        """(N, 3, 4) poses of B."""
        return self.b.cam_from_world[self.rows_b]


def compare(first: Path, second: Path) -> Comparison:
    """Two sessions, or a session and a COLMAP model, another program's poses or a truth file, by the pictures' names.

    The alignment is robust: a minority of pictures may stand anywhere and moves none of the others. Raises CaptureError
    for what cannot be read, UsageError where no picture is in both.
    """
    a, b = read_camera_set(first), read_camera_set(second)
    rows_a, rows_b = _common(a, b)
    if not len(rows_a):
        raise UsageError(
            f"{first} and {second}: no picture has a pose in both (the first has {a.names[0]!r}, "
            f"the second {b.names[0]!r}); compare solutions of the same pictures"
        )
    names = tuple(a.names[row] for row in rows_a)
    poses_a, poses_b = a.cam_from_world[rows_a], b.cam_from_world[rows_b]
    b_from_a = robust_alignment(poses_a, poses_b)
    aligned = b_from_a.apply_to_cameras(poses_a)
    in_b = np.full((len(b.names), 3, 4), np.nan)
    in_b[rows_b] = poses_a
    return Comparison(
        a=a,
        b=b,
        names=names,
        only_a=_others(a.names, rows_a),
        only_b=_others(b.names, rows_b),
        rows_a=rows_a,
        rows_b=rows_b,
        b_from_a=b_from_a,
        rotation_deg=rotation_angle_deg(aligned[:, :, :3], poses_b[:, :, :3]),
        position=np.linalg.norm(centres(aligned) - centres(poses_b), axis=1),
        extent=float(np.linalg.norm(np.ptp(centres(poses_b), axis=0))),
        focal_percent=_focal_percent(a, rows_a, b, rows_b),
        auc=_auc(poses_b, poses_a),
        auc_of_b=_auc(b.cam_from_world, in_b),
        turned=tuple(name for name, swapped in zip(names, _turned(a, rows_a, b, rows_b), strict=True) if swapped),
    )


def _common(a: CameraSet, b: CameraSet) -> tuple[Int, Int]:
    """Rows of A and of B that are one picture: by the names that most of them share, original ones or a data set's."""
    best: list[tuple[int, int]] = []
    tried = {(of_a, of_b): None for of_a in (a.names, a.images) for of_b in (b.names, b.images)}
    for of_a, of_b in tried:
        row_a, row_b = ({name: row for row, name in enumerate(names)} for names in (of_a, of_b))
        found = [(row_a[mine], row_b[theirs]) for mine, theirs in match_names(of_a, of_b).items()]
        best = max(best, found, key=len)
    rows = np.array(sorted(best), np.int64).reshape(-1, 2)
    return rows[:, 0], rows[:, 1]


def _others(names: tuple[str, ...], rows: Int) -> tuple[str, ...]:
    common = set(rows.tolist())
    return tuple(name for row, name in enumerate(names) if row not in common)


def _focal_percent(a: CameraSet, rows_a: Int, b: CameraSet, rows_b: Int) -> Float:
    """Longer sides are compared where both are told: one data set may be of smaller pictures than the other."""
    long_a, long_b = a.size_px[rows_a].max(axis=1), b.size_px[rows_b].max(axis=1)
    told = (long_a > 0) & (long_b > 0)
    smaller = np.where(told, long_b / np.maximum(long_a, 1), 1.0)
    return 100 * (a.focal_px[rows_a] * smaller / b.focal_px[rows_b] - 1)


def _turned(a: CameraSet, rows_a: Int, b: CameraSet, rows_b: Int) -> Bool:
    upright_a, upright_b = np.diff(a.size_px[rows_a])[:, 0], np.diff(b.size_px[rows_b])[:, 0]
    return np.asarray(upright_a * upright_b < 0)


def _auc(reference: Float, estimate: Float) -> tuple[float, ...]:
    """In percent, NaN for fewer than two frames."""
    if len(reference) > _MOST_FRAMES:
        chosen = np.linspace(0, len(reference) - 1, _MOST_FRAMES).astype(np.intp)
        reference, estimate = reference[chosen], estimate[chosen]
    errors = pose_errors(reference, estimate)
    return tuple(errors.auc(limit) for limit in _AUC_DEG)
