"""Which chosen frames are for training, which for the poses only, and which for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import Bool, Float, Int
from .config import SelectConfig, TrainingConfig
from .shots import Shot

__all__ = ["Judgement", "judge"]

_ALL_BLURRED = "blurred, as is everything filmed around it"
_ONLY_VIEW = "blurred, but nothing sharper shows this"
_BETWEEN = "blurred: it only connects its neighbours"
_NEARBY = "blurred: sharper frames show this"
_AGAIN = "seen before: it only closes the loop to the first visit"


@dataclass(frozen=True)
class Judgement:
    """Of the chosen places of a shot: those `dropped`, those `pose_only` with the reason, `remarks` about others."""

    dropped: frozenset[int]
    pose_only: dict[int, str]
    remarks: dict[int, str]


def judge(
    shot: Shot, places: Sequence[int], step: float, config: SelectConfig, *, revisits_are_redundant: bool
) -> Judgement:
    """What each of the places (rising) is good for.

    Blurred, beside the frames around, is not for training: it is dropped where its neighbours are connected without it,
    and else kept for the poses. But what no frame for training within reach shows is trained on, blurred or not, unless
    it is smeared beyond use; and a third of the places, two at least, are trained on in any case.
    """
    chosen, settings = np.array(places, np.int64), config.training
    way, sharp = shot.travelled[chosen], shot.sharpness[chosen]
    around = _sharpness_around(shot, chosen, settings)
    relative = np.divide(sharp, around, out=np.ones(len(chosen)), where=(sharp > 0) & (around > 0))
    blurred_share = config.sharpness.blurred_share
    blurred = (relative < blurred_share) | _between_sharper(shot, chosen, step, blurred_share)
    again = (shot.visits[chosen] > 0) & revisits_are_redundant
    training = ~blurred & ~again
    for place in np.argsort(-relative, kind="stable"):
        enough = training.sum() >= max(settings.least, settings.least_share * len(chosen))
        alone = not (training & (np.abs(way - way[place]) <= settings.reach)).any()
        usable = alone and not again[place] and relative[place] >= settings.smeared_share
        if not training[place] and (not enough or usable):
            training[place] = True
    dropped = _not_needed(way, ~training & blurred, step, settings)
    kept_out = [place for place in np.flatnonzero(~training).tolist() if place not in dropped]
    soft = (around > 0) & (around < config.sharpness.soft)
    return Judgement(
        frozenset(int(chosen[place]) for place in dropped),
        {int(chosen[place]): _why(bool(blurred[place]), way, training, place, settings.reach) for place in kept_out},
        {
            int(chosen[place]): _ONLY_VIEW if blurred[place] else _ALL_BLURRED
            for place in np.flatnonzero(training & (blurred | soft)).tolist()
        },
    )


def _why(blurred: bool, way: Float, training: Bool, place: int, reach: float) -> str:
    if not blurred:
        return _AGAIN
    return _NEARBY if (training & (np.abs(way - way[place]) <= reach)).any() else _BETWEEN


def _sharpness_around(shot: Shot, chosen: Int, config: TrainingConfig) -> Float:
    """(n,) what a sharp frame has near each place, 0 where none has any edges."""
    levels = np.zeros(len(chosen))
    for number, place in enumerate(chosen.tolist()):
        near = np.abs(shot.travelled - shot.travelled[place]) <= config.around
        edged = shot.sharpness[near & (shot.sharpness > 0)]
        levels[number] = np.quantile(edged, config.sharp_quantile) if len(edged) else 0.0
    return levels


def _between_sharper(shot: Shot, chosen: Int, step: float, blurred_share: float) -> Bool:
    """(n,) places far less sharp than frames within a step on both sides, which show nearly the same."""
    order = np.arange(len(shot.frames))
    found = np.zeros(len(chosen), bool)
    for number, place in enumerate(chosen.tolist()):
        near = np.abs(shot.travelled - shot.travelled[place]) <= step
        sharper = near & (shot.sharpness > shot.sharpness[place] / blurred_share) & (shot.sharpness[place] > 0)
        found[number] = (sharper & (order < place)).any() and (sharper & (order > place)).any()
    return found


def _not_needed(way: Float, spare: Bool, step: float, config: TrainingConfig) -> set[int]:
    """The spare places between others that are close to each other without them."""
    limit = min(config.connected, config.connected_steps * step)
    dropped: set[int] = set()
    before = 0
    for place in range(1, len(way) - 1):
        if spare[place] and way[place + 1] - way[before] <= limit:
            dropped.add(place)
        else:
            before = place
    return dropped if len(way) - len(dropped) >= config.least else set()
