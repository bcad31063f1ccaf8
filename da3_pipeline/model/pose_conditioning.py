"""Known poses in the form in which the camera encoder was trained to see them (SPEC 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor

from .pose_encoding import invert_pose

__all__ = ["normalise_poses"]

_LEAST_SCALE = 0.1


def normalise_poses(cam_from_world: Tensor) -> Tensor:
    """(B, S, 3, 4) poses with the first camera as world and the typical distance to it as unit.

    cam_from_world (B, S, 3 or 4, 4), any rigid frame and scale. The unit is the lower median of the camera
    centres' distances to the first (its own zero included), at least 0.1 of the given units.
    """
    rotation, translation = cam_from_world[..., :3, :3], cam_from_world[..., :3, 3:]
    from_first = invert_pose(cam_from_world[:, :1])
    rotation, translation = rotation @ from_first[..., :3], rotation @ from_first[..., 3:] + translation
    # Distances from the first centre are the lengths of the relative translations, which rotations preserve.
    unit = translation.flatten(2).norm(dim=-1).median(dim=1).values.clamp_min(_LEAST_SCALE)
    return torch.cat([rotation, translation / unit[:, None, None, None]], dim=-1)
