"""Whether the poses that the user gave are in the convention that their file has, asked of the matches.

A COLMAP model holds cam_from_world with OpenCV axes (x right, y down, z ahead), a transforms.json world_from_cam with
OpenGL axes (x right, y up, z back). Files by hand get either wrong: inverted, or with the other axes, or both. The
motion between two frames then differs from what their matches alone say, unless the motion is one that hides it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..geometry import compose, invert, rotation_angle_deg
from ..types import Frame, Prediction
from .candidates import guessed_camera
from .problem import Problem
from .two_view import RelativePoses, relative_poses

__all__ = ["PoseConvention", "find_convention", "in_convention"]

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

logger = logging.getLogger(__name__)

_OTHER_AXES = np.concatenate([np.diag([1.0, -1.0, -1.0]), np.zeros((3, 1))], axis=1)  # OpenGL <-> OpenCV
_ALTERNATIVES = ((True, False), (False, True), (True, True))  # inverted, other axes
_MOST_PAIRS, _FEWEST_PAIRS, _FEWEST_MATCHES, _MOST_FLAT = 100, 6, 25, 0.8
_AGREE_DEG = np.array([15.0, 30.0])  # rotation, direction: given poses may be rough
_CONTRADICT = 2.0  # times that: not a matter of noise
_EXPLAINED, _SUSPECT, _AMBIGUOUS = 0.7, 0.5, 0.05


@dataclass(frozen=True)
class PoseConvention:
    """In which convention given poses are. `certain`: the matches leave no other reading.

    inverted, other_axes: against what their file has. as_given, explained: share of `pairs` whose motion agrees with
    the poses as they are, and read so.
    """

    inverted: bool
    other_axes: bool
    as_given: float
    explained: float
    pairs: int
    certain: bool

    @property
    def figures(self) -> dict[str, float]:
        return {
            "pose_pairs": float(self.pairs),
            "pose_pairs_as_given": self.as_given,
            "pose_pairs_as_read": self.explained,
        }

    def corrected(self, given: Float, transforms: bool) -> Float:
        """cam_from_world (..., 3, 4) of poses read from a COLMAP model or, with `transforms`, a transforms.json.

        The latter were read as F inv(M), F the change of axes: that F on the side of the world goes, too.
        """
        poses = given
        if self.inverted:
            poses = invert(poses)
            poses = compose(poses, _OTHER_AXES) if transforms else poses
        return compose(_OTHER_AXES, poses) if self.other_axes else poses

    def sentence(self, transforms: bool) -> str:
        """What is said of it, one clause."""
        opengl = self.other_axes != transforms
        direction = "cam_from_world" if self.inverted == transforms else "world_from_cam"
        own = "world_from_cam with OpenGL axes" if transforms else "cam_from_world with OpenCV axes"
        found = f"{direction} with {'OpenGL' if opengl else 'OpenCV'} axes"
        shares = f"{self.explained:.0%} of {self.pairs} matched pairs agree with that, {self.as_given:.0%} as given"
        if self.certain:
            return f"the given poses are {found}, not {own}, and were read so: {shares}"
        return f"the given poses may be {found}, not {own}; check them: {shares}"


def find_convention(problem: Problem, frames: tuple[Frame, ...], seed: int) -> PoseConvention | None:
    """The convention that matches speak for against the one of the file; None where they do not, or cannot tell.

    Only pairs with parallax are asked. A pair speaks for a reading that its rotation and its direction agree with, to
    a tolerance that poses 5 degrees off meet, if it contradicts the given one by more than that.
    """
    known = np.array([frame.known_cam_from_world is not None for frame in frames])
    pairs = _asked(problem, known)
    if len(pairs) < _FEWEST_PAIRS:
        return None
    cameras = {camera_id: guessed_camera(problem, camera_id) for camera_id in problem.prior.cameras}
    measured = relative_poses(_only(problem, pairs), cameras, seed)
    measured = measured.subset(measured.support >= _FEWEST_MATCHES)
    if len(measured.frames) < _FEWEST_PAIRS:
        return None
    given = np.array([np.full((3, 4), np.nan) if (p := f.known_cam_from_world) is None else p for f in frames], float)
    as_given = _errors(given, measured, False, False)
    readings = sorted(
        (_Reading(_errors(given, measured, *reading), as_given, *reading) for reading in _ALTERNATIVES),
        key=lambda reading: -reading.explained,
    )
    best, second = readings[:2]
    if best.speaking < _FEWEST_PAIRS or best.explained < _SUSPECT or best.speaking < 3 * best.against:
        return None
    certain = best.explained >= _EXPLAINED and best.speaking >= 10 * best.against
    certain &= best.explained - second.explained > _AMBIGUOUS
    share = float(_agree(as_given).mean())
    return PoseConvention(best.inverted, best.other_axes, share, best.explained, len(measured.frames), certain)


def in_convention(prediction: Prediction, convention: PoseConvention) -> Prediction:
    """The prediction with the given poses read in `convention`."""
    frames, poses = [], np.array(prediction.cam_from_world, float)
    for index, frame in enumerate(prediction.frames.frames):
        if frame.known_cam_from_world is not None:
            poses[index] = convention.corrected(np.asarray(frame.known_cam_from_world, float), _from_transforms(frame))
            frame = replace(frame, known_cam_from_world=poses[index])
        frames.append(frame)
    return replace(prediction, frames=replace(prediction.frames, frames=tuple(frames)), cam_from_world=poses)


@dataclass(frozen=True)
class _Reading:
    """One alternative. errors, as_given (Q, 2): degrees of rotation and direction under it and as given."""

    errors: Float
    as_given: Float
    inverted: bool
    other_axes: bool

    @property
    def explained(self) -> float:
        """Share of all pairs that agree with it."""
        return float(_agree(self.errors).mean())

    @property
    def speaking(self) -> int:
        """Pairs that agree with it and contradict what is given."""
        return int((_agree(self.errors) & _contradict(self.as_given)).sum())

    @property
    def against(self) -> int:
        """Pairs that agree with what is given and contradict it."""
        return int((_agree(self.as_given) & _contradict(self.errors)).sum())


def _agree(errors: Float) -> Bool:
    return np.asarray((errors < _AGREE_DEG).all(axis=1))


def _contradict(errors: Float) -> Bool:
    return np.asarray((errors > _CONTRADICT * _AGREE_DEG).any(axis=1))


def _asked(problem: Problem, known: Bool) -> NDArray[np.int64]:
    """Numbers of pairs with parallax and many matches between frames with a known pose; evenly taken of many."""
    matches = problem.matches
    counts = np.bincount(matches.pair, minlength=len(matches.frames))
    fit = (counts >= _FEWEST_MATCHES) & (matches.homography_share < _MOST_FLAT) & known[matches.frames].all(axis=1)
    numbers = np.flatnonzero(fit)
    return numbers[np.unique(np.linspace(0, len(numbers) - 1, _MOST_PAIRS).round().astype(int))] if len(numbers) else numbers


def _only(problem: Problem, pairs: NDArray[np.int64]) -> Problem:
    """The problem with the matches of `pairs` (sorted) alone."""
    matches = problem.matches
    keep = np.isin(matches.pair, pairs)
    chosen = replace(
        matches,
        pair=np.searchsorted(pairs, matches.pair[keep]),
        frames=matches.frames[pairs],
        xy_first=matches.xy_first[keep],
        xy_second=matches.xy_second[keep],
        fundamental=matches.fundamental[pairs],
        homography_share=matches.homography_share[pairs],
    )
    return replace(problem, matches=chosen)


def _errors(given: Float, measured: RelativePoses, inverted: bool, other_axes: bool) -> Float:
    """(Q, 2) angles in degrees between given and measured relative rotations and directions of translation.

    The side of the world on which a change of axes may stand as well falls out of relative poses.
    """
    poses = invert(given) if inverted else given
    poses = compose(_OTHER_AXES, poses) if other_axes else poses
    first, second = measured.frames.T
    relative = compose(poses[second], invert(poses[first]))
    rotation = rotation_angle_deg(relative[:, :, :3], measured.second_from_first[:, :, :3])
    length = np.linalg.norm(relative[:, :, 3], axis=1)
    cosine = (relative[:, :, 3] * measured.second_from_first[:, :, 3]).sum(axis=1) / np.maximum(length, 1e-300)
    return np.stack([rotation, np.degrees(np.arccos(np.clip(cosine, -1, 1)))], axis=1)


def _from_transforms(frame: Frame) -> bool:
    return frame.known_pose_form == "transforms"
