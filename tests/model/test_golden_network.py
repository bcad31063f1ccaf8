"""The whole network against outputs of the published one, on the same weights and inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from da3_pipeline.model import DepthAnything3, NetworkOutput
from da3_pipeline.model.trunk import TrunkOutput

TOLERANCE = 1e-4


@pytest.mark.parametrize(
    "stem",
    [
        "da3-small__n1",
        "da3-small__n2",
        "da3-small__feats",
        "da3-small__batch2",
        "da3-small__posed",
        *(
            pytest.param(stem, marks=pytest.mark.slow)
            for stem in (
                "da3-small__nopose",
                "da3-small__ref_first",
                "da3-small__ref_middle",
                "da3-small__ref_saddle_balanced",
                "da3-small__ref_saddle_sim_range",
                "da3-base__n2",
                "da3-base__nopose",
                "da3-large__nopose",
                "da3-giant__nopose",
            )
        ),
    ],
)
def test_equals_the_published_network(
    stem: str,
    golden: Callable[[str], Any],
    deterministic_net: Callable[[str], DepthAnything3],
    deterministic_images: Callable[[int, int, int, int], Tensor],
    deterministic_cameras: Callable[[int, int, int, int], tuple[Tensor, Tensor]],
) -> None:
    case = golden(stem)
    meta = case.meta
    count, size = meta["n"], (meta["h"], meta["w"])
    seeds = (9, 10) if "stacked" in str(meta["img_seed"]) else (meta["img_seed"],)
    drawn = int(meta["take"].split()[-1]) if "take" in meta else count
    images = torch.cat([deterministic_images(drawn, *size, seed)[:, :count] for seed in seeds])
    cameras = deterministic_cameras(count, *size, meta["cam_seed"]) if stem.endswith("__posed") else (None, None)
    layers = tuple(meta.get("export_feat_layers", ()))
    strategy = meta.get("ref_view_strategy", "saddle_balanced")
    net = deterministic_net(stem.partition("__")[0])
    seen, tokens = {}, {}
    hooks = [
        net.trunk.register_forward_hook(lambda module, inputs, output: seen.update(trunk=output)),
        net.cam_enc.register_forward_hook(lambda module, inputs, output: tokens.update(tap_cam_token_in=output)),
    ]
    with torch.inference_mode():
        output = net(images, *cameras, reference_view=strategy, feature_layers=layers)
    for hook in hooks:
        hook.remove()
    errors = case.errors({**_named(output, seen["trunk"]), **tokens})
    assert max(errors.values()) < TOLERANCE, errors


def _named(output: NetworkOutput, trunk: TrunkOutput) -> dict[str, Tensor]:
    """Our tensors under the names of the golden files."""
    named = {
        "out_depth": output.depth,
        "out_depth_conf": output.depth_conf,
        "out_extrinsics": output.cam_from_world,
        "out_intrinsics": output.intrinsics,
        "tap_depth": output.depth,
        "tap_depth_conf": output.depth_conf,
        "tap_ray": output.ray,
        "tap_ray_conf": output.ray_conf,
        "tap_pose_enc": output.pose_encoding,
        "tap_ref_idx": output.reference_view,
    }
    for index, (patches, camera) in enumerate(zip(trunk.patches, trunk.camera, strict=True)):
        named[f"tap_feat{index}_slice"] = patches[:, :, ::37, ::29]
        named[f"tap_feat{index}_absmean"] = patches.abs().mean()
        named[f"tap_camtok{index}"] = camera
    for layer, feature in output.features_as_published().items():
        named[f"aux_feat_layer_{layer}"] = feature[:, :, ::3, ::3, ::29]
    return named
