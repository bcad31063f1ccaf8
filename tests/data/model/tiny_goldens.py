"""Runs the published code at toy sizes, one network of every kind, and writes what it says to tiny-*.npz.

The published kinds that predict Gaussians or metres exist at 1.4 billion parameters only, too many for a fast test.
Their code takes any size. In an environment of its own, with torch for the CPU:

    pip install --no-deps depth-anything-3==0.1.1
    pip install addict e3nn einops evo omegaconf opencv-python-headless pillow torch torchvision
    python tests/data/model/tiny_goldens.py

`SIZES` in tests/model/conftest.py says the same of our networks.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
import recipe
import torch
from depth_anything_3.model import da3
from depth_anything_3.model.cam_dec import CameraDec
from depth_anything_3.model.cam_enc import CameraEnc
from depth_anything_3.model.dinov2 import vision_transformer
from depth_anything_3.model.dinov2.dinov2 import DinoV2
from depth_anything_3.model.dpt import DPT
from depth_anything_3.model.dualdpt import DualDPT
from depth_anything_3.model.gs_adapter import GaussianAdapter
from depth_anything_3.model.gsdpt import GSDPT
from thin_goldens import HERE, save_thinned
from torch import nn

WIDTH = 64
HEAD = {"features": 8, "out_channels": [4, 4, 8, 8]}
ADAPTER = {"sh_degree": 2, "pred_offset_depth": True, "gaussian_scale_min": 1e-5, "gaussian_scale_max": 30.0}
CASES: dict[str, dict[str, Any]] = {
    "tiny-any-view__nopose": {"n": 5, "h": 56, "w": 84, "img_seed": 7, "export_feat_layers": [0, 5]},
    "tiny-any-view__posed": {"n": 4, "h": 84, "w": 56, "img_seed": 7, "cam_seed": 11},
    "tiny-any-view__square518": {"n": 1, "h": 518, "w": 518, "img_seed": 7},
    "tiny-giant__nopose": {"n": 4, "h": 42, "w": 56, "img_seed": 8, "infer_gs": True},
    "tiny-giant__posed": {"n": 4, "h": 42, "w": 56, "img_seed": 7, "cam_seed": 11, "cam_unit": 0.3, "infer_gs": True},
    "tiny-monocular__n3": {"n": 3, "h": 56, "w": 84, "img_seed": 7},
    "tiny-nested__nopose": {"n": 4, "h": 56, "w": 84, "img_seed": 7, "infer_gs": True},
    "tiny-nested__posed": {"n": 3, "h": 56, "w": 84, "img_seed": 8, "cam_seed": 11},
}


def _any_view(ffn: str, gaussians: bool) -> da3.DepthAnything3Net:
    parts: dict[str, nn.Module] = {
        "net": _trunk([3, 5, 7, 9], depth=10, ffn_layer=ffn, alt_start=2, qknorm_start=2, rope_start=2),
        "head": DualDPT(2 * WIDTH, output_dim=2, **HEAD),
        "cam_dec": CameraDec(2 * WIDTH),
        "cam_enc": CameraEnc(WIDTH),
    }
    if gaussians:
        parts |= {"gs_head": GSDPT(2 * WIDTH, output_dim=38, **HEAD), "gs_adapter": GaussianAdapter(**ADAPTER)}
    return da3.DepthAnything3Net(**parts)


def _monocular() -> da3.DepthAnything3Net:
    return da3.DepthAnything3Net(
        _trunk([1, 2, 4, 5], depth=6, ffn_layer="mlp", cat_token=False), DPT(WIDTH, output_dim=1, **HEAD)
    )


def _nested() -> nn.Module:
    net = da3.NestedDepthAnything3Net.__new__(da3.NestedDepthAnything3Net)  # its __init__ reads configuration files
    nn.Module.__init__(net)
    net.da3, net.da3_metric = _any_view("swiglu", gaussians=True), _monocular()
    return net


def _trunk(out_layers: list[int], **sizes: Any) -> DinoV2:
    trunk = DinoV2("vits", out_layers)
    trunk.pretrained = vision_transformer.DinoVisionTransformer(
        img_size=518, patch_size=14, embed_dim=WIDTH, num_heads=WIDTH // 64, **sizes
    )
    return trunk


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "tiny-any-view": lambda: _any_view("mlp", gaussians=False),
    "tiny-giant": lambda: _any_view("swiglu", gaussians=True),
    "tiny-monocular": _monocular,
    "tiny-nested": _nested,
}


def _run(net: nn.Module, case: dict[str, Any]) -> dict[str, np.ndarray]:
    """What the network says, and what passes inside it, under the names of the full reference files."""
    kept: dict[str, torch.Tensor] = {}
    with_cameras = getattr(net, "da3", net)
    monocular = with_cameras.cam_dec is None

    def keep_head(module: nn.Module, given: Any, said: Any) -> None:
        for name in ("depth", "sky") if monocular else ("ray", "ray_conf"):
            kept[("head_" if monocular else "tap_") + name] = said[name].clone()

    def keep_trunk(module: nn.Module, given: Any, said: Any) -> None:
        for index, (_, token) in enumerate(said[0]):
            kept[f"tap_camtok{index}"] = token.clone()

    with_cameras.head.register_forward_hook(keep_head)
    if not monocular:
        with_cameras.backbone.register_forward_hook(keep_trunk)
        with_cameras.cam_dec.register_forward_hook(lambda module, given, said: kept.update(tap_pose_enc=said.clone()))
    choose = vision_transformer.select_reference_view

    def keep_reference(*given: Any, **options: Any) -> torch.Tensor:
        kept["tap_ref_idx"] = choose(*given, **options)
        return kept["tap_ref_idx"]

    size = (case["n"], case["h"], case["w"])
    cameras = recipe.cameras(*size, case["cam_seed"], case.get("cam_unit", 1.0)) if "cam_seed" in case else ()
    options = {name: case[name] for name in ("infer_gs", "export_feat_layers") if name in case}
    torch.manual_seed(0)
    with torch.no_grad(), patch.object(vision_transformer, "select_reference_view", keep_reference):
        said = net(recipe.images(*size, case["img_seed"]), *cameras, **options)
    for name in ("depth", "depth_conf", "extrinsics", "intrinsics", "sky", "scale_factor"):
        if name in said:
            kept[f"out_{name}"] = torch.as_tensor(said[name])
    if "gaussians" in said:
        names = ("means", "scales", "rotations", "harmonics", "opacities")
        kept |= {f"gs_{name}": getattr(said.gaussians, name) for name in names}
    kept |= {f"aux_{name}": feature[:, :, ::3, ::3, ::29] for name, feature in said.aux.items()}
    return {name: value.detach().numpy() for name, value in kept.items()}


def main() -> None:
    for stem, case in CASES.items():
        net = NETWORKS[stem.partition("__")[0]]().eval()
        recipe.fill(net)
        save_thinned(HERE / f"{stem}.npz", {**_run(net, case), "meta": np.array(json.dumps(case))})


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
