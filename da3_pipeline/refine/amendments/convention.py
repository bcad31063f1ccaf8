"""Whether the poses that the user gave are in the convention that their file has, asked of the matches.

A COLMAP model holds cam_from_world with OpenCV axes (x right, y down, z ahead), a transforms.json world_from_cam with
OpenGL axes (x right, y up, z back). Files by hand get either wrong: inverted, or with the other axes, or both. The
motion between two frames then differs from what their matches alone say, unless the motion is one that hides it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...arrays import Bool, Float, Int
from ...geometry import compose, invert, rotation_angle_deg
from ...progress import Progress
from ...types import Frame
from ..config import ConventionConfig, RefineConfig
from ..initialisation.two_view import RelativePoses, guessed_cameras, relative_poses
from ..solve.problem import Problem
from .solution import Solution

__all__ = ["Convention", "find_convention", "in_told_convention"]


logger = logging.getLogger(__name__)

_OTHER_AXES = np.concatenate([np.diag([1.0, -1.0, -1.0]), np.zeros((3, 1))], axis=1)  # OpenGL <-> OpenCV
_ALTERNATIVES = ((True, False), (False, True), (True, True))  # inverted, other axes


@dataclass(frozen=True)
class Convention:
    """In which convention given poses are, where that is not the one of their file.

    inverted, other_axes: against that. as_given, as_read: share of `pairs` whose motion agrees with the poses as they
    are, and read so. certain: the matches leave no other reading. applied: the poses were read so. transforms: the file
    is a transforms.json.
    """

    inverted: bool
    other_axes: bool
    as_given: float
    as_read: float
    pairs: int
    certain: bool
    transforms: bool
    applied: bool = False

    @property
    def figures(self) -> dict[str, float]:
        """For the report."""
        shares = {"pose_pairs_as_given": self.as_given, "pose_pairs_as_read": self.as_read}
        return {"pose_pairs": float(self.pairs), **shares, "poses_corrected": float(self.applied)}

    @property
    def sentence(self) -> str:
        """What is to be said of it, without a full stop."""
        own, found = _NAMES[self.transforms, False, False], _NAMES[self.transforms, self.inverted, self.other_axes]
        shares = f"{self.as_read:.0%} of {self.pairs} matched pairs agree with that, {self.as_given:.0%} as given"
        if self.applied:
            return f"the given poses are {found}, not {own}, and were read so: {shares}"
        return f"the given poses {'are' if self.certain else 'may be'} {found}, not {own}; correct them: {shares}"

    def read(self, given: Float) -> Float:
        """cam_from_world (..., 3, 4) of poses that were read in the convention of their file.

        A transforms.json's M was read as F inv(M), F the change of axes: inverted, F stands on the side of the world.
        """
        poses = invert(given) if self.inverted else given
        poses = compose(poses, _OTHER_AXES) if self.inverted and self.transforms else poses
        return compose(_OTHER_AXES, poses) if self.other_axes else poses


_NAMES = {
    (transforms, inverted, other): f"{'cam_from_world' if inverted == transforms else 'world_from_cam'} "
    f"with {'OpenGL' if other != (transforms and not inverted) else 'OpenCV'} axes"
    for transforms in (False, True)
    for inverted in (False, True)
    for other in (False, True)
}


def in_told_convention(solution: Solution, config: RefineConfig, progress: Progress) -> Solution:
    """The problem with given poses read as the matches say, where these leave no doubt.

    A warning is logged, and remarked, where anything speaks against the convention of the file.
    """
    prediction, frames = solution.prediction, solution.frames
    found = find_convention(solution.problem, frames, config)
    if found is None:
        return solution
    found = replace(found, applied=found.certain and config.solve.correct_poses)
    logger.warning("%s", found.sentence)
    solution = solution.saying(found.figures, found.sentence)
    if not found.applied:
        return solution
    poses, read = np.array(prediction.cam_from_world, float), list(frames)
    for index, frame in enumerate(frames):
        if frame.known_cam_from_world is not None:
            poses[index] = found.read(np.asarray(frame.known_cam_from_world, float))
            read[index] = replace(frame, known_cam_from_world=poses[index])
    corrected = replace(prediction, frames=replace(prediction.frames, frames=tuple(read)), cam_from_world=poses)
    return solution.restated(config, prediction=corrected)


def find_convention(problem: Problem, frames: Sequence[Frame], config: RefineConfig) -> Convention | None:
    """The convention that matches speak for against the one of the file; None where they do not, or cannot tell.

    Only pairs with parallax are asked. A pair speaks for a reading that its rotation and its direction agree with, to
    a tolerance that poses 5 degrees off meet, if it contradicts the given one by more than that.
    """
    told, two_view = config.convention, config.initialisation.two_view
    known = np.array([frame.known_cam_from_world is not None for frame in frames])
    pairs = _asked(problem, known, told)
    if len(pairs) < told.fewest_pairs:
        return None
    measured = relative_poses(problem.of_pairs(pairs), guessed_cameras(problem, two_view), two_view, config.seed)
    measured = measured.subset(measured.support >= told.fewest_matches)
    if len(measured.frames) < told.fewest_pairs:
        return None
    nothing = np.full((3, 4), np.nan)
    given = np.array([nothing if (pose := frame.known_cam_from_world) is None else pose for frame in frames], float)
    as_given = _errors(given, measured, False, False)
    readings = [_Reading(told, _errors(given, measured, *how), as_given, *how) for how in _ALTERNATIVES]
    best, second = sorted(readings, key=lambda reading: -reading.explained)[:2]
    if best.speaking < told.fewest_pairs or best.explained < told.suspect or best.speaking < 3 * best.against:
        return None
    certain = best.explained >= told.explained and best.speaking >= 10 * best.against
    certain &= best.explained - second.explained > told.ambiguous
    transforms = next(frame.known_pose_form for frame in frames if frame.known_cam_from_world is not None)
    return Convention(
        best.inverted,
        best.other_axes,
        float(_agree(as_given, told).mean()),
        best.explained,
        len(measured.frames),
        certain,
        transforms == "transforms",
    )


@dataclass(frozen=True)
class _Reading:
    """One alternative. errors, as_given (Q, 2): degrees of rotation and direction under it and as given."""

    config: ConventionConfig
    errors: Float
    as_given: Float
    inverted: bool
    other_axes: bool

    @property
    def explained(self) -> float:
        """Share of all pairs that agree with it."""
        return float(_agree(self.errors, self.config).mean())

    @property
    def speaking(self) -> int:
        """Pairs that agree with it and contradict what is given."""
        return int((_agree(self.errors, self.config) & _contradict(self.as_given, self.config)).sum())

    @property
    def against(self) -> int:
        """Pairs that agree with what is given and contradict it."""
        return int((_agree(self.as_given, self.config) & _contradict(self.errors, self.config)).sum())


def _agree(errors: Float, config: ConventionConfig) -> Bool:
    return np.asarray((errors < [config.agree_rotation_deg, config.agree_direction_deg]).all(axis=1))


def _contradict(errors: Float, config: ConventionConfig) -> Bool:
    tolerance = np.array([config.agree_rotation_deg, config.agree_direction_deg])
    return np.asarray((errors > config.contradict * tolerance).any(axis=1))


def _asked(problem: Problem, known: Bool, config: ConventionConfig) -> Int:
    """Numbers of pairs with parallax and many matches between frames with a known pose; every so many-th of many."""
    matches = problem.matches
    counts = np.bincount(matches.pair, minlength=len(matches.frames))
    fit = (counts >= config.fewest_matches) & (matches.homography_share < config.most_flat)
    numbers = np.flatnonzero(fit & known[matches.frames].all(axis=1))
    return numbers[:: max(1, -(-len(numbers) // config.most_pairs))]


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
