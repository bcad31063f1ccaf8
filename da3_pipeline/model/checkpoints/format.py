"""The published checkpoint format: safetensors, keys under `model.`, aliased tensors stored once (SPEC 2).

Files written here carry the network's configuration as JSON in the header, so that they describe themselves.
Nothing is ever unpickled.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ...errors import UsageError, WeightsError
from ...guard.foreign import reading
from ..config import HEAD_DIM, ModelConfig
from ..heads import TAIL_WIDTH
from ..nested import Network
from ..variants import VARIANTS

__all__ = ["Checkpoint", "open_checkpoint", "save_checkpoint"]

_PREFIX = "model."
_CONFIG_ENTRY = "model_config"
_READABLE = 0o644
_BATCH_FLOATS = 1 << 25
_FLOATS = ("F64", "F32", "F16", "BF16")
_ANY_VIEW, _METRIC = "da3.", "da3_metric."
_SHARED_NORM = tuple(f"head.scratch.output_conv2_aux.{level}.2." for level in range(4))
_FOREIGN_FILES = {
    b"PK\x03\x04": "a PyTorch pickle archive",
    b"\x80": "a Python pickle",
    b"version https://git-lfs": "a git-lfs pointer instead of the file itself",
    b"\x89HDF": "an HDF5 file",
}


@dataclass(frozen=True)
class Checkpoint:
    """An opened file.

    shapes: by parameter name, aliases filled in. stored_as: the key under which each is found in the file.
    config: what the header says, None where it says nothing.
    """

    path: Path
    shapes: dict[str, tuple[int, ...]]
    stored_as: dict[str, str]
    config: ModelConfig | None

    def guess_config(self) -> ModelConfig | None:
        """The registered configuration that has this file's structure, if any."""
        return next((entry.config for entry in VARIANTS.values() if self._resembles(entry.config)), None)

    def _resembles(self, config: ModelConfig) -> bool:
        if config.metric is not None:
            return self._holds(config, _ANY_VIEW) and self._holds(config.metric, _METRIC)
        return self._holds(config, "")

    def _holds(self, config: ModelConfig, part: str) -> bool:
        """Whether the parameters below `part` are those of the network that `config` describes, going by a few."""

        def block(layer: int, name: str) -> str:
            return f"backbone.pretrained.blocks.{layer}.{name}.weight"

        present: dict[str, tuple[int, ...]] = {
            block(config.depth - 1, "norm1"): (config.embed_dim,),
            "head.scratch.layer1_rn.weight": (config.head_features, config.head_channels[0], 3, 3),
        }
        absent = [block(config.depth, "norm1"), block(config.alt_start - 1, "attn.q_norm")]
        if config.is_monocular:
            present["head.scratch.sky_output_conv2.0.bias"] = (TAIL_WIDTH,)
        else:
            present["backbone.pretrained.camera_token"] = (1, 2, config.embed_dim)
            present[block(config.alt_start, "attn.q_norm")] = (HEAD_DIM,)
        if config.gaussian_head:
            present["gs_head.scratch.output_conv2.0.bias"] = (TAIL_WIDTH,)
        else:
            absent.append("gs_head.scratch.output_conv2.0.bias")
        return all(self.shapes.get(part + key) == shape for key, shape in present.items()) and not any(
            part + key in self.shapes for key in absent
        )

    def check(self, expected: Mapping[str, tuple[int, ...]]) -> None:
        """Raise WeightsError unless the file holds exactly the parameters with the `expected` shapes."""
        problems = [f"{key} is missing" for key in expected if key not in self.shapes]
        problems += [f"{key} is unknown" for key in self.shapes if key not in expected]
        problems += [
            f"{key} is {list(self.shapes[key])} instead of {list(shape)}"
            for key, shape in expected.items()
            if self.shapes.get(key, shape) != shape
        ]
        if problems:
            more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
            raise WeightsError(
                f"{self.path} is of another variant: {'; '.join(problems[:3])}{more}. It seems to be {self.kind()}"
            )

    def kind(self) -> str:
        """What the file seems to hold, for messages."""
        guess = self.guess_config()
        return " or ".join(name for name, entry in VARIANTS.items() if entry.config == guess) or "no known variant"

    def tensors(self, device: torch.device, trunk_dtype: torch.dtype) -> dict[str, Tensor]:
        """Every parameter: the trunks' in `trunk_dtype`, all others in float32.

        Tensors that need no conversion are views of the mapped file and cost no memory of their own. Where they do,
        the file is mapped anew for every few of them: what has been read of a mapping stays in memory as long as it.
        """
        loaded: dict[str, Tensor] = {}
        for batch in self._batches():
            with safe_open(self.path, framework="pt") as file:
                for key in batch:
                    dtype = trunk_dtype if _is_of_trunk(key) else torch.float32
                    loaded[key] = file.get_tensor(key).to(device, dtype)
        return {name: loaded[key] for name, key in self.stored_as.items()}

    def _batches(self) -> Iterator[list[str]]:
        """The stored keys, in groups of at most `_BATCH_FLOATS` numbers or one tensor."""
        sizes = {key: math.prod(self.shapes[name]) for name, key in self.stored_as.items()}
        batch: list[str] = []
        total = 0
        for key in sorted(sizes):
            if batch and total + sizes[key] > _BATCH_FLOATS:
                yield batch
                batch, total = [], 0
            batch.append(key)
            total += sizes[key]
        yield batch


@reading(WeightsError, "download it again")
def open_checkpoint(path: Path) -> Checkpoint:
    """Read the header of a safetensors file.

    Raises WeightsError when there is no such file, when it is a pickle or otherwise no safetensors file,
    when it is damaged or truncated, or when it holds something else than floating-point weights.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118
            shapes = {key: tuple(entry.get_shape()) for key, entry in slices.items()}
            dtypes = {key: entry.get_dtype() for key, entry in slices.items()}
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}") from error
    except SafetensorError as error:
        raise WeightsError(f"{path} {_diagnosis(path, error)}") from error
    for key, dtype in dtypes.items():
        if dtype not in _FLOATS:
            raise WeightsError(f"{path}: {key} is stored as {dtype}; only {', '.join(_FLOATS)} weights can be loaded")
    stored_as = _with_aliases({key.removeprefix(_PREFIX): key for key in shapes})
    return Checkpoint(path, {name: shapes[key] for name, key in stored_as.items()}, stored_as, _config(path, metadata))


def save_checkpoint(net: Network, path: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write the weights in the published format, and the configuration into the header.

    The file appears complete or not at all; one that is there is replaced. Raises WeightsError when a weight
    is not finite in `dtype` or the file cannot be written.
    """
    weights = {}
    for name, tensor in net.state_dict().items():
        if name.removeprefix(_ANY_VIEW).startswith(_SHARED_NORM[1:]):
            continue
        weights[_PREFIX + name] = tensor.detach().to("cpu", dtype).contiguous()
        if not weights[_PREFIX + name].isfinite().all():
            raise WeightsError(f"{name} has weights that are not finite as {dtype}: {path} was not written")
    metadata = {"format": "pt", _CONFIG_ENTRY: json.dumps(net.config.to_dict())}
    partial = path.with_name(f"{path.name}.partial")
    try:
        save_file(weights, partial, metadata)
        partial.chmod(_READABLE)
        os.replace(partial, path)
    except (SafetensorError, OSError) as error:
        partial.unlink(missing_ok=True)
        raise WeightsError(f"{path} cannot be written: {error}") from error


def _diagnosis(path: Path, error: SafetensorError) -> str:
    """What a file is that is no safetensors file. Only then: a header's length may begin as a pickle does."""
    with path.open("rb") as file:
        start = file.read(32)
    for magic, kind in _FOREIGN_FILES.items():
        if start.startswith(magic):
            return f"is {kind}; only safetensors checkpoints are loaded"
    return f"is not a safetensors file, or is damaged ({error}): download it again"


def _is_of_trunk(key: str) -> bool:
    return key.removeprefix(_PREFIX).removeprefix(_ANY_VIEW).removeprefix(_METRIC).startswith("backbone.")


def _with_aliases(stored_as: dict[str, str]) -> dict[str, str]:
    """Parameter names to keys, the LayerNorm that a ray branch shares under all its names.

    Published files keep its first name. Where several are stored, the last counts: the only level in use.
    """
    completed = dict(stored_as)
    for network in ("", _ANY_VIEW):
        for part in ("weight", "bias"):
            names = [network + prefix + part for prefix in _SHARED_NORM]
            kept = [stored_as[name] for name in names if name in stored_as]
            if kept:
                completed |= dict.fromkeys(names, kept[-1])
    return completed


def _config(path: Path, metadata: Mapping[str, str]) -> ModelConfig | None:
    if _CONFIG_ENTRY not in metadata:
        return None
    try:
        return ModelConfig.from_dict(json.loads(metadata[_CONFIG_ENTRY]))
    except (ValueError, AttributeError, TypeError, UsageError) as error:
        raise WeightsError(f"{path}: the model configuration in its header is damaged ({error})") from error
