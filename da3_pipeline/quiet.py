"""Ceres and COLMAP write to stderr on their own; here they are kept from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pycolmap

__all__ = ["quiet_colmap"]


@contextmanager
def quiet_colmap() -> Iterator[None]:
    """Keeps their log to fatal errors."""
    level = pycolmap.logging.minloglevel
    pycolmap.logging.minloglevel = int(pycolmap.logging.FATAL)
    try:
        yield
    finally:
        pycolmap.logging.minloglevel = level
