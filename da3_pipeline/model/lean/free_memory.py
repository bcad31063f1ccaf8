"""Giving memory that PyTorch freed back to the system."""

from __future__ import annotations

import contextlib
import ctypes
import sys

import torch

__all__ = ["return_freed_memory"]


def return_freed_memory(device: torch.device) -> None:
    """Return the pages of freed blocks that lie between live ones; glibc keeps those until it is asked.

    What one part of a network freed is of no use to the next, whose blocks are of other sizes. Takes milliseconds; does
    nothing on other devices than a CPU, where gradients keep the blocks, and where the C library is another.
    """
    if torch.compiler.is_compiling() or torch.is_grad_enabled() or device.type != "cpu":
        return
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
