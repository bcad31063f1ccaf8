"""Giving memory that PyTorch freed back to the system."""

from __future__ import annotations

import contextlib
import ctypes
import sys

__all__ = ["return_freed_memory"]


def return_freed_memory() -> None:
    """Return the pages of freed blocks that lie between live ones; glibc keeps those until it is asked.

    Takes milliseconds; does nothing where the C library is another.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
