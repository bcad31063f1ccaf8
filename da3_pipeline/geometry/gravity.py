"""Which way is up, from how people and mounts hold cameras."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import Float

__all__ = ["Up", "rotation_between", "up_from_cameras", "up_from_gimbals"]


_PITCH_SIGMA = np.radians(20.0)  # a whole capture may look up or down by so much
_LEAST_ROLL_SIGMA = np.radians(1.5)
_INDEPENDENT, _FEW, _SWAY = 10, 2.0, 2.0  # cameras that count, and that the usual roll is worth; headings' least sway
# How certain that is, is another matter. Roll goes with heading: hands hold a camera alike while it looks one way (two
# filmed orbits: over 15 degrees). Cameras whose x axes lie so near are one piece of evidence. This and the usual roll
# were chosen on kitchen and monstree: up was off by more than two sigmas in one of five of their parts before.
_ALIKE = np.cos(np.radians(30.0))
_USUAL_ROLL, _USUAL_WORTH = np.radians(3.5), 3.0  # and how many of these that is worth, beside what a capture shows
_CERTAIN_SWAY = 1.4  # sigmas of roll that headings must vary by (chosen)
_ACROSS = 0.54  # of the smaller variance, which makes two sigmas of a plane error hold 95 % of equal ones, too
_LEFT_OF_SQUARES = 0.73  # of a normal distribution's, by the weights of `_weights`
_SAME_AXIS, _NODDED = 0.95, 0.88  # mean of x axes that lie one way, and of looks that fan out over 95 degrees
_ROUNDS = 20
_FEWEST_GIMBALS, _GIMBAL_SIGMA_DEG, _MOST_GIMBAL_SPREAD_DEG = 3, 0.5, 10.0
_DIRECTED = 0.3  # mean of unit vectors, below which they point nowhere
_PARALLEL = 0.9


@dataclass(frozen=True)
class Up:
    """direction (3,): unit vector in the world. sigma_deg: half of the angle that it is off by at most, in 95 of 100
    cases: one sigma where only one direction is uncertain, more where both are."""

    direction: Float
    sigma_deg: float


def up_from_cameras(cam_from_world: Float) -> Up | None:
    """The up direction of the world of (N, 3, 4) upright pictures, N >= 1; None where they leave even its side open.

    People and mounts keep the horizon level, so the cameras' x axes are horizontal, however far they look up or down:
    up is what all x axes are perpendicular to. Where the cameras never turn (a straight walk) the axes leave the pitch
    open, and the mean of the cameras' own up (-y), a pitch of zero, decides. Both are evidence of one weighted sum
    whose smallest eigenvector is up; pictures held on their side are weighed down (Geman-McClure). Cameras that turn
    about their own optical axis (a drone above its subject) have no mean up: those look down. Cameras that turn about
    their own x axis by more than anybody nods lie on their side, nobody knows on which.
    """
    axes = cam_from_world[:, :, :3]
    usual = _usual_up(axes)
    across = axes[:, 0]
    if _lie_on_their_side(axes):
        return None
    level = np.zeros((3, 3)) if usual is None else (np.eye(3) - np.outer(usual, usual)) / _PITCH_SIGMA**2
    starts = [_least_spread(across)] if usual is None else [usual, _least_spread(across)]
    direction, _ = min((_fit(across, level, start) for start in starts), key=lambda fit: fit[1])
    least, *others = np.linalg.eigvalsh(_certainty(across, level, direction))
    worse, better = (1 / max(float(other - least), 1e-12) for other in others)
    if worse > np.radians(45.0) ** 2:
        return None
    side = usual if usual is not None else -(axes[:, 1].mean(0) + axes[:, 2].mean(0) / 2)
    facing = float(direction @ side)
    if abs(facing) < 1e-6:
        return None
    return Up(direction * np.sign(facing), float(np.degrees(np.sqrt(worse + _ACROSS * better))))


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


def _lie_on_their_side(axes: Float) -> bool:
    """Whether all turn about their own x axis, over more than 95 degrees: the axis is the vertical then."""
    across, ahead = np.linalg.norm(axes[:, 0].mean(0)), np.linalg.norm(axes[:, 2].mean(0))
    return bool(across >= _SAME_AXIS and ahead <= _NODDED)


def _pieces_of_evidence(across: Float) -> int:
    """How many groups the (N, 3) x axes make, of those within 30 degrees of the first of each."""
    count, left = 0, across
    while len(left):
        count, left = count + 1, left[left @ left[0] < _ALIKE]
    return count


def _fit(across: Float, level: Float, start: Float) -> tuple[Float, float]:
    """Up by iteratively reweighted least squares, and its cost."""
    direction = start
    for _ in range(_ROUNDS):
        roll = across @ direction
        weight = _weights(roll)
        total = float(weight.sum())
        # Weighted-down rolls understate the spread a little; the usual roll stands in where cameras are few.
        variance = max(float(weight @ roll**2 + _FEW * np.radians(3.0) ** 2) / (total + _FEW), _LEAST_ROLL_SIGMA**2)
        information = _information(across, weight, min(total, _INDEPENDENT), variance, _SWAY) + level
        direction = np.linalg.eigh(information)[1][:, 0]
    cost = float(np.minimum((across @ direction / np.radians(10.0)) ** 2, 1).sum() + direction @ level @ direction)
    return np.asarray(direction), cost


def _certainty(across: Float, level: Float, direction: Float) -> Float:
    """The information (3, 3), per square radian, that the x axes and `level` hold of `direction`."""
    roll, pieces = across @ direction, _pieces_of_evidence(across)
    weight = _weights(roll)
    count = pieces * float(weight.mean())
    # Two of the pieces of evidence went into the direction itself, and large rolls count for less than they are.
    squares = count * float(weight @ roll**2 / weight.sum()) / _LEFT_OF_SQUARES
    variance = (squares + _USUAL_WORTH * _USUAL_ROLL**2) / (max(count - 2, 0.0) + _USUAL_WORTH)
    return _information(across, weight, count, max(variance, _LEAST_ROLL_SIGMA**2), _CERTAIN_SWAY) + level


def _weights(roll: Float) -> Float:
    """(N,) of cameras, less where a picture is held on its side."""
    scale = max(1.4826 * float(np.median(np.abs(roll))), _LEAST_ROLL_SIGMA)
    return np.asarray(1 / (1 + (roll / (3 * scale)) ** 2) ** 2)


def _information(across: Float, weight: Float, count: float, variance: float, sway: float) -> Float:
    """Of `count` rolls of this variance. Heading that varies no more than roll does is no evidence: the two sway
    together as one walks."""
    spread, basis = np.linalg.eigh((across * weight[:, None]).T @ across / weight.sum())
    return np.asarray(count / variance * (basis * np.maximum(spread - sway**2 * variance, 0)) @ basis.T)
