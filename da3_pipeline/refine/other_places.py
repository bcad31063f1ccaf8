"""Two places in one capture: the images that are left out together, and the prediction of some of the frames alone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ..arrays import Bool, Int
from ..grouping import Groups
from ..types import FrameSet, GaussianCloud, Prediction
from .solve.problem import Problem

__all__ = ["other_places", "restricted"]


def other_places(problem: Problem, left_out: Bool, least: int) -> tuple[Int, ...]:
    """The frames of each group of at least `least` frames of `left_out` (N,) that verified matches join, the largest
    first.

    Matches alone say that they show one place; whether they hold together in it, only solving them says.
    """
    pairs = problem.matches.frames
    inside = pairs[left_out[pairs].all(axis=1)]
    graph = coo_matrix((np.ones(len(inside)), (inside[:, 0], inside[:, 1])), shape=(problem.num_frames,) * 2)
    count, label = connected_components(graph, directed=False)
    groups = Groups.of(np.where(left_out, label, -1), count)
    places = [groups[number] for number in groups.filled if groups.sizes[number] >= least]
    return tuple(sorted(places, key=lambda place: (-len(place), place[0])))


def restricted(prediction: Prediction, names: Collection[str]) -> Prediction:
    """What `prediction` says of the frames of these names alone, as if there were no others."""
    chosen = [index for index, name in enumerate(prediction.frames.names) if name in names]
    frames = tuple(prediction.frames.frames[index] for index in chosen)
    rows = _rows(chosen)
    used = {frame.camera_id for frame in frames}
    return replace(
        prediction,
        frames=FrameSet(frames, ()),
        depth=prediction.depth[rows],
        conf=prediction.conf[rows],
        cam_from_world=prediction.cam_from_world[rows],
        cameras={name: camera for name, camera in prediction.cameras.items() if name in used},
        view_intrinsics=prediction.view_intrinsics[rows],
        pixel_maps=tuple(prediction.pixel_maps[index] for index in chosen),
        descriptors=None if prediction.descriptors is None else prediction.descriptors[rows],
        sky=None if prediction.sky is None else prediction.sky[rows],
        gaussians=None if prediction.gaussians is None else _of_frames(prediction.gaussians, chosen),
        dropped=(),
    )


def _rows(chosen: list[int]) -> slice | list[int]:
    """A slice where there is no gap: a view of the maps of a long capture, not a copy."""
    if chosen and chosen[-1] - chosen[0] == len(chosen) - 1:
        return slice(chosen[0], chosen[-1] + 1)
    return chosen


def _of_frames(cloud: GaussianCloud, chosen: list[int]) -> GaussianCloud:
    number = np.full(max([*chosen, int(cloud.view.max(initial=-1))]) + 1, -1, np.int32)
    number[chosen] = np.arange(len(chosen))
    kept = number[cloud.view] >= 0
    parts = {name: getattr(cloud, name)[kept] for name in ("means", "scales", "rotations", "harmonics", "opacities")}
    return GaussianCloud(**parts, view=number[cloud.view[kept]])
