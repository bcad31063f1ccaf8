"""Memory and disks, as far as this process may have them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .finding import Finding, fault, note, ok

__all__ = ["disk", "memory"]

_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_ENOUGH_MEMORY_GIB = 4
_LEAST_DISK_GIB, _ENOUGH_DISK_GIB = 0.2, 5.0
"""A session holds its images once more, depth maps, and stills of videos: 1 GB for 300 frames of 12 megapixels."""


def memory() -> Finding:
    """Of the machine, or of the container where that allows less."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return note("memory", "unknown")
    limit = _container_limit()
    of_what = " by the container's limit" if limit is not None and limit < total else ""
    gib = min(total, limit or total) / 2**30
    detail = f"{gib:.1f} GiB{of_what}, {os.cpu_count()} processors"
    if gib < _ENOUGH_MEMORY_GIB:
        return note("memory", detail, f"give it {_ENOUGH_MEMORY_GIB} GiB for captures of a hundred images and more")
    return ok("memory", detail)


def disk(subject: str, folder: Path) -> Finding:
    """Space for what is written at or below a folder, which need not be there yet."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free_gib = shutil.disk_usage(there).free / 2**30
    detail = f"{free_gib:.1f} GiB free at {there}"
    if free_gib < _LEAST_DISK_GIB:
        return fault(subject, detail, "free some space, or choose another disk")
    if free_gib < _ENOUGH_DISK_GIB:
        return note(subject, detail, f"captures of hundreds of images may need {_ENOUGH_DISK_GIB:g}")
    return ok(subject, detail)


def _container_limit() -> int | None:
    for path in _CGROUP_LIMITS:
        try:
            return int(path.read_text(encoding="ascii"))
        except (OSError, ValueError):  # absent, or "max"
            continue
    return None
