"""How much memory and attention a pass of the network takes, and what the machine has.

The peak of a pass, in floats of 4 bytes, with V views of P pixels, T tokens in all, C the trunk's width and F the
head's:

    max(36 C T,  24 C T + (62 + F) P min(V, 8))  +  12 P V  +  12 million

First the trunk (a block's activations and the taps kept for the head), or the head on eight views at a time beside
the taps; then images and dense outputs; then what does not grow. The factors were fitted to peak resident memory of
nano, small and base at 2 to 66 views on a CPU, which they meet within -2 and +36 % (docs/PREDICTIONS.md);
half-precision activations on a GPU need less.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .preprocess import PATCH_PX

__all__ = ["NetworkCost", "NetworkSizes", "free_memory_bytes"]

_TRUNK_FLOATS = 36
_TAP_FLOATS = 24
_HEAD_FLOATS = 62
_HEAD_VIEWS = 8
_VIEW_FLOATS = 12
_FIXED_FLOATS = 12_000_000
_KEPT_BYTES = 11  # a pixel of a frame that waits, or whose depth and confidence are done

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

    def peak_bytes(self, views: int, width: int, height: int, others: int = 0) -> int:
        """Memory at its highest, on top of the program and the weights; `others` are frames of other passes."""
        pixels = width * height
        channels = self.sizes.embed_dim * self.tokens(views, width, height)
        head = (_HEAD_FLOATS + self.sizes.head_features) * pixels * min(views, _HEAD_VIEWS)
        busiest = max(_TRUNK_FLOATS * channels, _TAP_FLOATS * channels + head)
        return 4 * (busiest + _VIEW_FLOATS * pixels * views + _FIXED_FLOATS) + _KEPT_BYTES * pixels * others

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
