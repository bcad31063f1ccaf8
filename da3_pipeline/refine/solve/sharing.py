"""A problem as its lenses saw it: what cameras of one lens took, as taken by the one that stands for it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...arrays import Float, Int
from .lenses import Lenses
from .priors import Priors
from .problem import Estimate, Matches, Problem

__all__ = ["Sharing", "shared_problem"]


@dataclass(frozen=True)
class Sharing:
    """Leads from a problem's own cameras to its lenses and back. turns (N, 3, 3): of each frame's camera, to the lens's
    axes; exact, so that what nothing moves comes back to the last bit."""

    lenses: Lenses
    turns: Float

    @classmethod
    def of(cls, problem: Problem, lenses: Lenses) -> Sharing:
        return cls(lenses, lenses.turns(problem.camera_names, problem.camera_index))

    def estimate(self, estimate: Estimate) -> Estimate:
        """With poses of the lenses; the cameras that stand for them are as they are."""
        return replace(estimate, cam_from_world=self.turns @ estimate.cam_from_world)

    def back(self, estimate: Estimate) -> Estimate:
        """With poses of the cameras themselves, which have the parameters of their lenses."""
        poses = np.swapaxes(self.turns, 1, 2) @ estimate.cam_from_world
        return Estimate(poses, self.lenses.with_shared(estimate.cameras))

    def priors(self, priors: Priors) -> Priors:
        """With what they say in the axes of cameras said in those of lenses; of a lens's own focal lengths the first
        camera's stands, as it agrees with the others'."""
        up = priors.up_in_camera
        return replace(
            priors,
            cam_from_world=self.turns @ priors.cam_from_world,
            up_in_camera=None if up is None else np.einsum("nij,nj->ni", self.turns, up),
        )


def shared_problem(problem: Problem) -> Problem:
    """The problem with the pixels, sizes and matrices of all pictures of a lens as the camera that stands for it would
    have seen them, and with that camera."""
    lenses = problem.lenses
    if lenses is None:
        return problem
    names = problem.camera_names
    number = {name: k for k, name in enumerate(names)}
    firsts = np.array([number[lenses.first(name)] for name in names])[problem.camera_index]
    of_camera = np.empty((len(names), 2))
    of_camera[problem.camera_index] = problem.size_px
    size_px = of_camera[firsts]
    new_from_old = _pixel_maps(lenses.turns(names, problem.camera_index), problem.size_px, size_px)
    observations = problem.observations
    return replace(
        problem,
        observations=replace(observations, xy=_mapped(new_from_old, observations.frame, observations.xy)),
        matches=_turned(problem.matches, new_from_old),
        camera_index=firsts,
        size_px=size_px,
        centred=lenses.uncertain,
        lenses=None,
    )


def _pixel_maps(turns: Float, old_px: Float, new_px: Float) -> Float:
    """(N, 3, 3): from each picture's pixels to those of the turned and resized one; middles stay in the middle."""
    maps = np.tile(np.eye(3), (len(turns), 1, 1))
    maps[:, :2, :2] = new_px[:, :, None] * turns[:, :2, :2] / old_px[:, None, :]
    maps[:, :2, 2] = new_px / 2 - np.einsum("nij,nj->ni", maps[:, :2, :2], old_px / 2)
    return maps


def _mapped(maps: Float, frame: Int, xy: Float) -> Float:
    return np.asarray(np.einsum("mij,mj->mi", maps[frame, :2, :2], xy) + maps[frame, :2, 2])


def _turned(matches: Matches, maps: Float) -> Matches:
    first, second = matches.frames.T
    old_from_new = np.linalg.inv(maps)
    return replace(
        matches,
        xy_first=_mapped(maps, first[matches.pair], matches.xy_first),
        xy_second=_mapped(maps, second[matches.pair], matches.xy_second),
        fundamental=np.swapaxes(old_from_new[second], 1, 2) @ matches.fundamental @ old_from_new[first],
    )
