"""Which way is up, from how people and mounts hold cameras."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import Float

__all__ = ["Up", "rotation_between", "up_from_cameras", "up_from_gimbals"]


_PITCH_SIGMA = np.radians(20.0)  # a whole capture may look up or down by so much
_LEAST_ROLL_SIGMA = np.radians(1.5)
_INDEPENDENT = 10  # cameras: roll goes with heading in part, so more of them do not average it out
_FEW = 2.0  # cameras' worth of the usual roll, for captures too small to show their own
_SWAY = 2.0
_ROUNDS = 20
_FEWEST_GIMBALS, _GIMBAL_SIGMA_DEG, _MOST_GIMBAL_SPREAD_DEG = 3, 0.5, 10.0
_DIRECTED = 0.3  # mean of unit vectors, below which they point nowhere
_PARALLEL = 0.9


@dataclass(frozen=True)
class Up:
    """direction (3,): unit vector in the world. sigma_deg: one sigma of its angle, in its less certain direction."""

    direction: Float
    sigma_deg: float


def up_from_cameras(cam_from_world: Float) -> Up | None:
    """The up direction of the world of (N, 3, 4) upright pictures, N >= 1; None where they leave even its side open.

    People and mounts keep the horizon level, so the cameras' x axes are horizontal, however far they look up or down:
    up is what all x axes are perpendicular to. Where the cameras never turn (a straight walk) the axes leave the pitch
    open, and the mean of the cameras' own up (-y), a pitch of zero, decides. Both are evidence of one weighted sum
    whose smallest eigenvector is up; pictures held on their side are weighed down (Geman-McClure). Cameras that turn
    about their own optical axis (a drone above its subject) have no mean up: those look down.
    """
    axes = cam_from_world[:, :, :3]
    usual = _usual_up(axes)
    across = axes[:, 0]
    if usual is None:
        fits = [_fit(across, np.zeros((3, 3)), _least_spread(across))]
    else:
        level = (np.eye(3) - np.outer(usual, usual)) / _PITCH_SIGMA**2
        fits = [_fit(across, level, start) for start in (usual, _least_spread(across))]
    direction, information, _ = min(fits, key=lambda fit: fit[2])
    certain, uncertain = np.linalg.eigvalsh(information)[:2]
    if uncertain - certain < 1 / np.radians(45.0) ** 2:
        return None
    side = usual if usual is not None else -(axes[:, 1].mean(0) + axes[:, 2].mean(0) / 2)
    facing = float(direction @ side)
    if abs(facing) < 1e-6:
        return None
    return Up(direction * np.sign(facing), float(np.degrees(1 / np.sqrt(uncertain - certain))))


def up_from_gimbals(cam_from_world: Float, up_in_camera: Float) -> Up | None:
    """The up direction of the world of (N, 3, 4) poses in whose cameras gimbals have up at (N, 3), NaN where unknown.

    The geometric median of what each says; None where fewer than three tell, or half of them disagree with it.
    """
    said = np.einsum("nij,ni->nj", cam_from_world[:, :, :3], up_in_camera)
    said = said[np.isfinite(said).all(axis=1)]
    if len(said) < _FEWEST_GIMBALS:
        return None
    direction = np.median(said, axis=0)
    for _ in range(_ROUNDS):
        weight = 1 / np.maximum(np.linalg.norm(said - direction, axis=1), 1e-6)
        direction = weight @ said / weight.sum()
    direction = direction / max(float(np.linalg.norm(direction)), 1e-12)
    spread_deg = float(np.degrees(np.median(np.arccos(np.clip(said @ direction, -1, 1)))))
    return Up(direction, max(spread_deg, _GIMBAL_SIGMA_DEG)) if spread_deg < _MOST_GIMBAL_SPREAD_DEG else None


def rotation_between(a: Float, b: Float) -> Float:
    """The least rotation that takes unit vector a to unit vector b (Rodrigues).

    Of opposite ones, half a turn about an axis across them.
    """
    cosine, axis = float(a @ b), np.cross(a, b)
    if cosine < -1 + 1e-12:
        across = np.eye(3)[int(np.abs(a).argmin())]
        across = across - (across @ a) * a
        return 2 * np.outer(across, across) / (across @ across) - np.eye(3)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + cross + cross @ cross / (1 + cosine)


def _usual_up(axes: Float) -> Float | None:
    """The mean of -y; where those cancel but all look one way, away from what they look at."""
    up, back = -axes[:, 1].mean(0), -axes[:, 2].mean(0)
    if np.linalg.norm(up) >= _DIRECTED:
        return np.asarray(up / np.linalg.norm(up))
    return np.asarray(back / np.linalg.norm(back)) if np.linalg.norm(back) >= _PARALLEL else None


def _least_spread(across: Float) -> Float:
    """The direction that the x axes have least of; any of several equally good ones."""
    return np.asarray(np.linalg.eigh(across.T @ across)[1][:, 0])


def _fit(across: Float, level: Float, start: Float) -> tuple[Float, Float, float]:
    """Up by iteratively reweighted least squares, its information matrix (3, 3) per square radian, and its cost."""
    direction, information = start, level
    for _ in range(_ROUNDS):
        roll = across @ direction
        scale = max(1.4826 * float(np.median(np.abs(roll))), _LEAST_ROLL_SIGMA)
        weight = 1 / (1 + (roll / (3 * scale)) ** 2) ** 2
        total = weight.sum()
        # Weighted-down rolls understate the spread a little; the usual roll stands in where cameras are few.
        variance = (weight @ roll**2 + _FEW * np.radians(3.0) ** 2) / (total + _FEW)
        variance = max(float(variance), _LEAST_ROLL_SIGMA**2)
        spread, basis = np.linalg.eigh((across * weight[:, None]).T @ across / total)
        # Heading that varies no more than roll does is no evidence: the two sway together as one walks.
        spread = np.maximum(spread - _SWAY**2 * variance, 0)
        information = min(total, _INDEPENDENT) / variance * (basis * spread) @ basis.T + level
        direction = np.linalg.eigh(information)[1][:, 0]
    cost = float(np.minimum((across @ direction / np.radians(10.0)) ** 2, 1).sum() + direction @ level @ direction)
    return np.asarray(direction), information, cost
