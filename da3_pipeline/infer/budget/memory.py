"""How much memory and attention a pass of the network takes, and what the machine has.

The peak of a pass, in floats of 4 bytes, with V views of P pixels and t tokens each, T = V t tokens in all, C the
trunk's width, F the head's, and R the floats that the heads keep of a token until all taps are there:

    3 P V  +  max(4.4 C T + R T + 12 C t v,  R T + 2 P V + 0.95 F P w)  +  fixed

First the images. Then either the trunk, with the tokens, a copy of them, keys and values of all, and the activations
of v views; or the head, with its results and the maps of w views. How many views v and w are depends on the device.
The factors follow from what is alive at those moments; `fixed` (code read and kernels compiled on first use, pieces
between live blocks that the allocator cannot use) was fitted to resident memory on a CPU (docs/PERFORMANCE.md has the
accuracy). On a GPU, where keys and values are of half precision, this is an upper bound that nothing was measured for.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..preprocess import PATCH_PX

if TYPE_CHECKING:
    from ...model import Network

__all__ = ["NetworkCost", "NetworkSizes", "free_memory_bytes", "weights_in_use"]

_TOKEN_FLOATS = 4.4  # the tokens, a copy, keys, values, and some of them between two of these
_PIECE_FLOATS = 12
_IMAGE_FLOATS, _RESULT_FLOATS = 3, 2
_HEAD_FLOATS = 0.95
_FIXED_BYTES = 48 << 20
_KEPT_BYTES = 11  # a pixel of a frame that waits, or whose depth and confidence are done
_GAUSSIAN_FLOATS = 38
_PIECES = {"cpu": (2048, 200_000)}  # tokens in the trunk, pixels in the head
_PIECES_ELSEWHERE = (16384, 1_600_000)

_CAMERA_ENCODER = "cam_enc."

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
    def head_channels(self) -> tuple[int, int, int, int]: ...
    @property
    def global_layers(self) -> tuple[int, ...]: ...


@dataclass(frozen=True)
class NetworkCost:
    """Cost of one pass as a function of the views in it and their size in pixels.

    weight_bytes: of the weights where they come on top of what is counted as taken: on a CPU they are mapped files
    that fill memory in the first pass. device: its kind. gaussians: whether one is predicted for each pixel.
    """

    sizes: NetworkSizes
    weight_bytes: int = 0
    device: str = "cpu"
    gaussians: bool = False

    def tokens(self, views: int, width: int, height: int) -> int:
        """Patches and camera tokens of all views."""
        return views * (1 + (width // PATCH_PX) * (height // PATCH_PX))

    def peak_bytes(self, views: int, width: int, height: int, others: int = 0) -> int:
        """Memory at its highest, on top of the program; `others` are frames of other passes."""
        images = views * width * height
        kept, results, maps = self._head_floats()
        tokens = self.tokens(views, width, height)
        trunk = (_TOKEN_FLOATS * tokens + _PIECE_FLOATS * self._together(tokens, views, 0)) * self.sizes.embed_dim
        head = results * images + maps * self._together(images, views, 1)
        floats = _IMAGE_FLOATS * images + kept * tokens + max(trunk, head)
        return self.weight_bytes + int(4 * floats) + _FIXED_BYTES + _KEPT_BYTES * width * height * others

    def _head_floats(self) -> tuple[float, float, float]:
        """That the heads keep of a token, say of a pixel, and need for a pixel while they work on it."""
        features, (first, second, *_) = self.sizes.head_features, self.sizes.head_channels
        kept, maps = first + second + 1.25 * features, _HEAD_FLOATS * features
        if self.gaussians:  # whose head works at full size at once
            return 2 * kept, _RESULT_FLOATS + _GAUSSIAN_FLOATS, 2 * features + 2 * _GAUSSIAN_FLOATS
        return kept, _RESULT_FLOATS, maps

    def _together(self, all_at_once: int, views: int, part: int) -> int:
        """How much of the tokens (part 0) or pixels (part 1) is worked on at once: at least one view's."""
        allowed = _PIECES.get(self.device, _PIECES_ELSEWHERE)[part]
        return min(all_at_once, max(allowed, all_at_once // views))

    def attention_ratio(self, views: int, width: int, height: int) -> float:
        """Arithmetic of the attention across views over that of the trunk's linear layers.

        4 T² C per cross-view layer against 24 T C² per layer: quadratic in the tokens against linear.
        """
        attention = len(self.sizes.global_layers) * self.tokens(views, width, height)
        return attention / (6 * self.sizes.embed_dim * self.sizes.depth)


def weights_in_use(network: Network, *, told: bool) -> int:
    """Bytes of the parameters that a pass reads; those of the camera encoder only where cameras are told."""
    return sum(value.nbytes for name, value in network.named_parameters() if told or _CAMERA_ENCODER not in name)


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
