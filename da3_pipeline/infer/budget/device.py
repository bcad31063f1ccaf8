"""Where the network runs, and how much memory it may take there."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from ...errors import InferenceError
from ..config import BudgetConfig, InferConfig
from .memory import free_memory_bytes

if TYPE_CHECKING:
    import torch

__all__ = ["memory_limit_bytes", "pick_device", "precision", "require_fused_attention"]

_HEAD_DIM = 64


def pick_device(name: str) -> torch.device:
    """The device called `name`; 'auto' is CUDA where there is one, else the CPU. Raises InferenceError if absent."""
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InferenceError(f"device {name!r}: no such kind of device; use auto, cpu, cuda, cuda:N or mps") from error
    if device.type not in ("cpu", "cuda", "mps"):
        raise InferenceError(f"device {name!r}: not supported; use auto, cpu, cuda, cuda:N or mps")
    present = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}[device.type]
    if (device.index or 0) >= present:
        raise InferenceError(f"device {name!r}: is not there (PyTorch sees {present} of this kind); use --device auto")
    return device


def memory_limit_bytes(device: torch.device, config: InferConfig) -> int:
    """What a pass may take on `device`: what the user allows, else most of what is free now."""
    import torch

    if config.max_memory_gb is not None:
        return int(config.max_memory_gb * 2**30)
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory_bytes()
    return int(config.budget.share_of_free * free)


def precision(device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 autocast on a GPU that has it; float32 elsewhere: half precision on a CPU is inexact and no faster."""
    import torch

    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", torch.bfloat16)
    return contextlib.nullcontext()


def require_fused_attention(device: torch.device, heads: int, tokens: int, config: BudgetConfig) -> None:
    """Make sure that attention among `tokens` does not hold all its scores at once; no matter on a CPU or for few.

    PyTorch falls back to a kernel that does where no other can run, silently. Raises InferenceError that says what
    to do about it.
    """
    scores_bytes = heads * tokens**2 * 4
    harmless = scores_bytes <= config.harmless_scores_gb * 2**30
    if device.type != "cuda" or harmless or _has_fused_attention(device):
        return
    raise InferenceError(
        f"attention among {tokens} tokens would take {scores_bytes / 2**30:.0f} GB on {device}, because PyTorch offers "
        "neither its flash nor its memory-efficient kernel there: install a PyTorch build for this GPU, leave "
        "torch.backends.cuda.enable_flash_sdp and enable_mem_efficient_sdp on, or use --device cpu"
    )


def _has_fused_attention(device: torch.device) -> bool:
    """Whether a kernel that never holds all scores takes queries as the network makes them on this GPU."""
    import torch
    from torch.backends import cuda

    dtype = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32  # as `precision` has it
    q = torch.empty((1, 1, 8, _HEAD_DIM), dtype=dtype, device=device)
    params = cuda.SDPAParams(q, q, q, None, 0.0, False, False)
    return cuda.can_use_flash_attention(params) or cuda.can_use_efficient_attention(params)
