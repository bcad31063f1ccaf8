"""How much memory and attention a pass of the network takes, and what the machine has.

The peak of a pass, in bytes, with T tokens in all, C the trunk's width, P pixels a view, F the head's width:

    4 * (TOKEN_FLOATS * C * T  +  HEAD_FLOATS * F * P * min(views, 8)  +  VIEW_FLOATS * P * views)

The first term is the trunk (the four taps and one block's activations), the second the head on eight views at a
time, the third images and dense outputs. The factors were fitted to the peak resident memory of nano, small and base
at 2 to 300 views on a CPU (docs/PREDICTIONS.md has the figures); half-precision activations on a GPU need less.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .preprocess import PATCH_PX

__all__ = ["NetworkCost", "NetworkSizes", "free_memory_bytes"]

_TOKEN_FLOATS = 40.0
_HEAD_FLOATS = 3.4
_VIEW_FLOATS = 12.0
_HEAD_VIEWS = 8
_FIXED_BYTES = 64 * 2**20

_MEMINFO = Path("/proc/meminfo")
_CGROUPS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)


class NetworkSizes(Protocol):
    """What of a network's configuration decides its cost."""

    @property
    def embed_dim(self) -> int: ...
    @property
    def depth(self) -> int: ...
    @property
    def head_features(self) -> int: ...
    @property
    def global_layers(self) -> tuple[int, ...]: ...


@dataclass(frozen=True)
class NetworkCost:
    """Cost of one pass as a function of the views in it and their size in pixels."""

    sizes: NetworkSizes

    def tokens(self, views: int, width: int, height: int) -> int:
        """Patches and camera tokens of all views."""
        return views * (1 + (width // PATCH_PX) * (height // PATCH_PX))

    def peak_bytes(self, views: int, width: int, height: int) -> int:
        """Memory at its highest, on top of the program and the weights."""
        pixels = width * height
        floats = (
            _TOKEN_FLOATS * self.sizes.embed_dim * self.tokens(views, width, height)
            + _HEAD_FLOATS * self.sizes.head_features * pixels * min(views, _HEAD_VIEWS)
            + _VIEW_FLOATS * pixels * views
        )
        return int(4 * floats) + _FIXED_BYTES

    def attention_ratio(self, views: int, width: int, height: int) -> float:
        """Arithmetic of the attention across views over that of the trunk's linear layers.

        4 T² C per cross-view layer against 24 T C² per layer: quadratic in the tokens against linear.
        """
        attention = len(self.sizes.global_layers) * self.tokens(views, width, height)
        return attention / (6 * self.sizes.embed_dim * self.sizes.depth)


def free_memory_bytes() -> int:
    """Main memory that can be had without swapping, inside the limits of a container."""
    free = _from_meminfo()
    for limit_file, usage_file in _CGROUPS:
        limit, usage = _integer(limit_file), _integer(usage_file)
        if limit is not None and usage is not None:
            free = min(free, max(0, limit - usage))
    return free


def _from_meminfo() -> int:
    try:
        for line in _MEMINFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2  # elsewhere: half of what is built in


def _integer(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
