"""Where a solution goes when parts of its points are taken from it: one Newton step for each, points eliminated.

At its minimum the gradients of all parts cancel; without one the others push the cameras by what it held. The normal
equations are sums over points, so that they are set up once and any part is subtracted: a hundredth of the time of
adjusting without each part, and the same scatter (Triggs et al., Bundle Adjustment - A Modern Synthesis, 2000, sections
6 and 10).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.spatial.transform import Rotation

from ...arrays import Float, Int
from ...geometry import Camera, Sim3
from ..config import SolveConfig
from ..solve.adjustment import local_frame, usable
from ..solve.lens_model import fully_free
from ..solve.problem import Estimate, Problem
from ..solve.rounds import Fit, strict_cauchy_px
from ..solve.sharing import Sharing, shared_problem
from ..solve.tracks import Observations

__all__ = ["Linearised", "linearised"]

_STEP = 1e-5  # of the differences that derivatives are taken from
_WHISPER = 1e-9  # of the diagonal, so that what nothing determines stays finite
_LEAST_CURVED = 0.1  # along a residual, of across it: there from 0.9 of the loss's scale on


def linearised(problem: Problem, estimate: Estimate, fit: Fit, config: SolveConfig) -> Linearised:
    """The solution around `estimate`, as strict adjustments see it: their loss (Cauchy), cameras as free as there, and
    nothing else that holds them. fit: of the same problem and estimate."""
    if problem.lenses is not None:
        sharing = Sharing.of(problem, problem.lenses)
        found = linearised(shared_problem(problem), sharing.estimate(estimate), fit, config)
        return replace(found, own_from_shared=np.swapaxes(sharing.turns, 1, 2))
    chosen = problem.observations.where(usable(problem, estimate, fit.kept, config.adjustment))
    local_from_world = local_frame(estimate, fit.points, chosen)
    local = replace(estimate, cam_from_world=local_from_world.apply_to_cameras(estimate.cam_from_world))
    unknowns = _Unknowns.of(problem, local, chosen, config)
    rows = _derived(problem, local, local_from_world.apply(fit.points), chosen, unknowns)
    rows = rows.weighted(strict_cauchy_px(fit, config))
    return Linearised(local, local_from_world.inverse(), unknowns, rows, _eliminated(rows, chosen.track), chosen.track)


@dataclass(frozen=True)
class Linearised:
    """A solution, and what its observations say of small steps from it. own_from_shared (N, 3, 3): from the axes of
    lenses to those of cameras that share them."""

    local: Estimate
    world_from_local: Sim3
    unknowns: _Unknowns
    rows: _Rows
    points: _Points
    track: Int
    own_from_shared: Float | None = None

    def without_each(self, part: Int) -> list[Float]:
        """cam_from_world (N, 3, 4) without each part of the tracks, of parts 0.. in `part` (num_tracks,), -1 for none.

        Frames without usable observations stay.
        """
        curvature, gradient = self._by_part(part)
        scale = 1 / np.sqrt(np.maximum(np.diag(curvature.sum(axis=0)), np.finfo(float).tiny))
        gauge = np.linalg.qr(self.unknowns.gauge(self.local) / scale[:, None])[0]
        held = gauge @ gauge.T + _WHISPER * np.eye(len(scale))
        found = []
        for number in range(len(gradient) - 1):
            rest, push = (total.sum(axis=0) - total[number] for total in (curvature, gradient))
            step = -scale * np.linalg.solve(scale[:, None] * rest * scale + held, scale * push)
            poses = self.world_from_local.apply_to_cameras(self.unknowns.moved(self.local, step))
            found.append(poses if self.own_from_shared is None else self.own_from_shared @ poses)
        return found

    def _by_part(self, part: Int) -> tuple[Float, Float]:
        """Curvature (P + 1, K, K) and gradient (P + 1, K) of the unknowns, points minimised over, of the tracks of each
        part and, last, of those of none."""
        rows, points, count = self.rows, self.points, self.unknowns.count
        of_row, of_point = np.repeat(part[self.track], 2), np.repeat(part[points.track], 3)
        curvature, gradient = np.empty((part.max() + 2, count, count)), np.empty((part.max() + 2, count))
        for number in range(-1, part.max() + 1):
            seen, given = rows.by_unknowns[of_row == number], points.by_unknowns[of_point == number]
            curvature[number] = (seen.T @ seen - given.T @ given).toarray()
            gradient[number] = seen.T @ rows.residuals.ravel()[of_row == number]
            gradient[number] -= given.T @ points.residuals.ravel()[of_point == number]
        return curvature, gradient


@dataclass(frozen=True)
class _Unknowns:
    """What may move: six a frame, its pose turned and shifted in the camera, then parameters of cameras.

    frames (F,): their numbers. slot (N,): of each frame, its place among them. parameters: by camera, the places of
    its free parameters, and the number of the first as an unknown.
    """

    frames: Int
    slot: Int
    parameters: dict[str, tuple[int, list[int]]]
    count: int

    @classmethod
    def of(cls, problem: Problem, estimate: Estimate, observations: Observations, config: SolveConfig) -> _Unknowns:
        frames = np.unique(observations.frame)
        slot = np.full(problem.num_frames, -1)
        slot[frames] = np.arange(len(frames))
        centre_free, count = fully_free(problem, estimate, config.lens), 6 * len(frames)
        parameters = {}
        for name in sorted({problem.camera_of(k) for k in frames.tolist()}):
            fixed = name in problem.known_cameras or len(frames) < config.adjustment.fewest_to_calibrate
            places = [] if fixed else _free_parameters(estimate.cameras[name], centre_free)
            parameters[name] = (count, places)
            count += len(places)
        return cls(frames, slot, parameters, count)

    def gauge(self, estimate: Estimate) -> Float:
        """(count, 7): how the unknowns move with the world, shifted, turned and grown, which no observation sees."""
        moves = np.zeros((self.count, 7))
        for place, frame in enumerate(self.frames.tolist()):
            rotation, shift = estimate.cam_from_world[frame, :, :3], estimate.cam_from_world[frame, :, 3]
            turn, move = slice(6 * place, 6 * place + 3), slice(6 * place + 3, 6 * place + 6)
            moves[move, :3] = -rotation
            moves[turn, 3:6] = -rotation
            moves[move, 3:6] = np.cross(rotation, shift, axisa=0, axisb=0).T
            moves[move, 6] = shift
        return moves

    def moved(self, estimate: Estimate, step: Float) -> Float:
        """cam_from_world (N, 3, 4) after a step (count,)."""
        poses = estimate.cam_from_world.copy()
        of_pose = step[: 6 * len(self.frames)].reshape(-1, 6)
        poses[self.frames] = Rotation.from_rotvec(of_pose[:, :3]).as_matrix() @ poses[self.frames]
        poses[self.frames, :, 3] += of_pose[:, 3:]
        return poses


@dataclass(frozen=True)
class _Rows:
    """Two rows for each of M observations: residuals (M, 2) and their derivatives, by unknowns (2M, K) and by the point
    (M, 2, 3)."""

    residuals: Float
    by_unknowns: sparse.csr_array
    by_point: Float

    def weighted(self, cauchy_px: float) -> _Rows:
        """With the curvature that a Cauchy loss has at each residual, bounded from below, as a factor of derivatives,
        and residuals such that derivative times residual stays the loss's gradient.

        Along the residual the loss is flatter than across it; that alone tells how far the solution would go. Where it
        curves the other way, as for outliers, one step would take their points to infinity and the cameras along.
        """
        share = (self.residuals**2).sum(axis=1) / cauchy_px**2
        across = 1 / (1 + share)
        along = np.maximum(across**2 * (1 - share), _LEAST_CURVED * across)
        length = np.linalg.norm(self.residuals, axis=1, keepdims=True)
        unit = self.residuals / np.maximum(length, np.finfo(float).tiny)
        outer = unit[:, :, None] * unit[:, None, :]
        root = np.sqrt(across)[:, None, None] * np.eye(2) + (np.sqrt(along) - np.sqrt(across))[:, None, None] * outer
        by_unknowns = _blocks(root, np.arange(len(root) + 1)) @ self.by_unknowns
        return _Rows(self.residuals * (across / np.sqrt(along))[:, None], by_unknowns, root @ self.by_point)


@dataclass(frozen=True)
class _Points:
    """What points would take up of residuals and derivatives, were each at its best: three rows for each of T.

    track (T,); residuals (T, 3); by_unknowns (3T, K)."""

    track: Int
    residuals: Float
    by_unknowns: sparse.csr_array


def _free_parameters(camera: Camera, centre_free: bool) -> list[int]:
    model = camera.to_pycolmap()
    places = [*model.focal_length_idxs(), *model.extra_params_idxs()]
    return places + list(model.principal_point_idxs()) * centre_free


def _derived(
    problem: Problem, estimate: Estimate, points: Float, observations: Observations, unknowns: _Unknowns
) -> _Rows:
    pose = estimate.cam_from_world[observations.frame]
    seen = np.einsum("mij,mj->mi", pose[:, :, :3], points[observations.track]) + pose[:, :, 3]
    count, widest = len(seen), max(len(places) for _, places in unknowns.parameters.values())
    residuals, by_seen = np.empty((count, 2)), np.empty((count, 2, 3))
    values, columns = np.zeros((count, 2, 6 + widest)), np.zeros((count, 6 + widest), np.int64)
    for name, mine in problem.by_camera(observations.frame):
        camera, first = estimate.cameras[name], unknowns.parameters[name][0]
        residuals[mine] = camera.project(seen[mine]) - observations.xy[mine]
        by_seen[mine] = _by_seen(camera, seen[mine])
        for number, place in enumerate(unknowns.parameters[name][1]):
            values[mine, :, 6 + number] = _by_parameter(camera, seen[mine], place)
            columns[mine, 6 + number] = first + number
    turned = np.cross(np.eye(3)[None], seen[:, None, :])  # (M, 3, 3): what a small turn about each axis does
    values[:, :, :6] = np.concatenate([by_seen @ np.swapaxes(turned, 1, 2), by_seen], axis=2)
    columns[:, :6] = 6 * unknowns.slot[observations.frame][:, None] + np.arange(6)
    places = (np.repeat(np.arange(2 * count), 6 + widest), np.repeat(columns, 2, axis=0).ravel())
    by_unknowns = sparse.csr_array((values.ravel(), places), shape=(2 * count, unknowns.count))
    return _Rows(residuals, by_unknowns, by_seen @ pose[:, :, :3])


def _by_seen(camera: Camera, seen: Float) -> Float:
    """(M, 2, 3) of pixels by points (M, 3) in the camera's frame."""
    step = _STEP * seen[:, 2:]
    columns = [camera.project(seen + step * axis) - camera.project(seen - step * axis) for axis in np.eye(3)]
    return np.stack(columns, axis=2) / (2 * step[:, :, None])


def _by_parameter(camera: Camera, seen: Float, place: int) -> Float:
    """(M, 2) of pixels by one of the camera's parameters."""
    step = _STEP * max(1.0, abs(camera.params[place]))
    up, down = (_nudged(camera, place, by) for by in (step, -step))
    return np.asarray((up.project(seen) - down.project(seen)) / (2 * step))


def _nudged(camera: Camera, place: int, by: float) -> Camera:
    params = list(camera.params)
    params[place] += by
    return replace(camera, params=tuple(params))


def _eliminated(rows: _Rows, track: Int) -> _Points:
    """What points take up of their `rows`, which are in the order of `track` (M,)."""
    starts = np.flatnonzero(np.r_[True, track[1:] != track[:-1]])
    across = np.swapaxes(rows.by_point, 1, 2)
    curvature = np.add.reduceat(across @ rows.by_point, starts)
    curvature += np.eye(3) * (_WHISPER * np.trace(curvature, axis1=1, axis2=2) + np.finfo(float).tiny)[:, None, None]
    root: Float = np.linalg.inv(np.linalg.cholesky(curvature)).astype(float)
    counts = np.diff(np.r_[starts, len(track)])
    pulls = np.add.reduceat((across @ rows.residuals[:, :, None])[:, :, 0], starts)
    return _Points(
        track[starts],
        np.einsum("tij,tj->ti", root, pulls),
        _blocks(np.repeat(root, counts, axis=0) @ across, np.r_[starts, len(track)]) @ rows.by_unknowns,
    )


def _blocks(values: Float, starts: Int) -> sparse.csr_array:
    """(T * H, M * W) of blocks (M, H, W), each in columns of its own, of T rows of blocks that begin at `starts`
    (T + 1,)."""
    count, high, wide = values.shape
    shape = (high * (len(starts) - 1), wide * count)
    return sparse.csr_array(sparse.bsr_array((values, np.arange(count), starts), shape=shape))
