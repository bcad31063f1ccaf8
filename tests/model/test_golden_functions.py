"""The pure functions against those of the published code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from da3_pipeline.model import RayPoseOptions, normalise_poses
from da3_pipeline.model.pose_encoding import decode_pose, encode_pose, invert_pose
from da3_pipeline.model.positions import Rotation, rotate, rotation, uv_embedding
from da3_pipeline.model.ray_pose import cameras_from_rays

TOLERANCE = 1e-5
# With this size pixels are half-image units, in which the published solver answers.
UNIT_SIZE = (2, 2)


def _tensors(case: Any) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in case.arrays.items()}


def _compare(case: Any, **mine: Tensor) -> None:
    kept = {name: case.arrays[name] for name in mine}
    errors = type(case)(kept, case.meta, case.note).errors(mine)
    assert max(errors.values()) < TOLERANCE, errors


@pytest.mark.parametrize("name", ["clean", "noisy", "offcentre_pp"])
def test_ray_pose(golden: Callable[[str], Any], name: str) -> None:
    case = golden(f"unit_raypose_{name}")
    given = _tensors(case)
    torch.manual_seed(case.meta["torch_seed"])
    poses, intrinsics = cameras_from_rays(given["ray"], given["conf"], UNIT_SIZE)
    world_from_cam = torch.eye(4).repeat(1, 4, 1, 1)
    world_from_cam[..., :3, :] = invert_pose(poses)
    focal = torch.diagonal(intrinsics, dim1=-2, dim2=-1)[..., :2]
    _compare(case, out_c2w=world_from_cam, out_focal=focal, out_pp=intrinsics[..., :2, 2])


def test_exact_decomposition_finds_the_principal_point_where_the_published_one_does_not(
    golden: Callable[[str], Any],
) -> None:
    given = _tensors(golden("unit_raypose_offcentre_pp"))
    truth = given["gt_c2w"][..., :3, :]
    errors = {}
    for method in ("published", "exact"):
        options = RayPoseOptions(method, generator=torch.Generator().manual_seed(0))
        poses, intrinsics = cameras_from_rays(given["ray"], given["conf"], UNIT_SIZE, options)
        offset = intrinsics[..., :2, 2] - 1
        errors[method] = ((invert_pose(poses) - truth).abs().max(), (offset - given["gt_c"]).abs().max())
    assert max(errors["exact"]) < 1e-5
    assert min(errors["published"]) > 0.08


def test_pose_encoding(golden: Callable[[str], Any]) -> None:
    case = golden("unit_posenc")
    given = _tensors(case)
    size = (280, 378)
    poses, intrinsics = decode_pose(given["pose_enc"], size)
    encoding = encode_pose(given["w2c"], given["K"], size)
    _compare(case, pose_enc=encoding, back_c2w=invert_pose(poses), back_K=intrinsics)


def test_position_embeddings(golden: Callable[[str], Any]) -> None:
    case = golden("unit_posemb")
    given = _tensors(case)
    rows, columns, channels = given["pe"].shape
    embedding = uv_embedding((rows, columns), channels, columns / rows, torch.device("cpu")).permute(1, 2, 0)
    tables = rotation(given["rope_pos"])
    per_head = Rotation(tables.cos[:, None], tables.sin[:, None])
    _compare(case, pe=embedding, rope_out=rotate(given["rope_in"], per_head))


def test_pose_normalisation(golden: Callable[[str], Any]) -> None:
    case = golden("unit_normext")
    given = _tensors(case)
    normalised = given["ext"].clone()
    normalised[..., :3, :] = normalise_poses(given["ext"])
    _compare(case, out=normalised)
