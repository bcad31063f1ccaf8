"""Which pairs of frames are worth matching: near in the prior, near in time, alike in appearance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ..geometry.poses import centres
from ..types import Frame
from .features import DESCRIPTOR_NORM, Features

__all__ = ["Pair", "appearance_scores", "components", "prior_scores", "sequence_scores"]

Array = NDArray[np.float64]
Pair = tuple[int, int]

_PROBES = 256  # largest keypoints of a frame that stand for it in the comparison of all frames
_PROBE_RATIO = 0.9


def prior_scores(cam_from_world: Array, max_viewing_angle_deg: float) -> Array:
    """(N, N) nearness of frames in the prior: greater is nearer, -inf where viewing directions part too far."""
    centre = centres(cam_from_world)
    distance = np.linalg.norm(centre[:, None] - centre[None], axis=2)
    axis = cam_from_world[:, 2, :3]
    apart = axis @ axis.T < np.cos(np.radians(max_viewing_angle_deg))
    scores = np.where(apart, -np.inf, -distance)
    np.fill_diagonal(scores, -np.inf)
    return scores


def sequence_scores(frames: Sequence[Frame], reach: int) -> Array:
    """(N, N) nearness in capture order, within one video or among photographs; -inf beyond `reach` places."""
    place = np.arange(len(frames))
    gap = np.abs(place[:, None] - place[None])
    source = np.array([frame.video or "" for frame in frames])
    return np.where((gap > 0) & (gap <= reach) & (source[:, None] == source[None]), -gap.astype(float), -np.inf)


def appearance_scores(features: Sequence[Features], device: torch.device) -> Array:
    """(N, N) number of mutual matches of the largest keypoints of each two frames (preemptive matching, Wu 2013)."""
    count = len(features)
    probes = np.zeros((count, _PROBES, 128), np.float32)
    for k, feature in enumerate(features):
        largest = np.argsort(-feature.scale_px, kind="stable")[:_PROBES]
        probes[k, : len(largest)] = feature.descriptors[largest]
    scores = np.full((count, count), -np.inf)
    bank = torch.from_numpy(probes).to(device)
    for i in range(count - 1):
        matched = _mutual_counts(bank[i], bank[i + 1 :])
        scores[i, i + 1 :] = scores[i + 1 :, i] = matched
    return scores


def _mutual_counts(probe: torch.Tensor, others: torch.Tensor) -> NDArray[np.float64]:
    """(M,) mutual nearest neighbours that pass the ratio test between (P, 128) and each of (M, P, 128)."""
    similarity = torch.matmul(others.reshape(-1, others.shape[-1]), probe.T).reshape(len(others), -1, len(probe))
    top, index = similarity.topk(2, dim=2)
    distance = 2 * (DESCRIPTOR_NORM**2 - top)
    best_of_column = similarity.amax(1)
    mutual = top[:, :, 0] == torch.gather(best_of_column, 1, index[:, :, 0])
    distinct = distance[:, :, 0] < _PROBE_RATIO**2 * distance[:, :, 1]
    return (mutual & distinct & (top[:, :, 0] > 0)).sum(1).double().cpu().numpy()


def components(count: int, pairs: Sequence[Pair]) -> NDArray[np.int64]:
    """(count,) label of each frame's connected component."""
    label = np.arange(count)
    for i, j in pairs:
        if label[i] != label[j]:
            label[label == max(label[i], label[j])] = min(label[i], label[j])
    return label
