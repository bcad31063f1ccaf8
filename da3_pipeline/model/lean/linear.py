"""Linear layers that take oneDNN's matrix product where it is the faster one: float32 on a CPU, no gradient wanted.

PyTorch's own float32 product on a CPU is MKL's, which is slower than oneDNN's on processors that are not Intel's, and
faster on those that are (docs/PERFORMANCE.md). The operator is the one that PyTorch's compiler puts in place of linear
layers; where it is missing, or on any other input, nothing changes.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Linear"]

_CPUINFO = Path("/proc/cpuinfo")


def _is_intel() -> bool:
    try:
        return "GenuineIntel" in _CPUINFO.read_text(encoding="ascii", errors="replace")
    except OSError:
        return False


_USABLE = torch._C._has_mkldnn and hasattr(torch.amp, "is_autocast_available") and not _is_intel()
_PRODUCT = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if _USABLE else None


class Linear(nn.Linear):
    """`nn.Linear`, with the same parameters under the same names."""

    def forward(self, x: Tensor) -> Tensor:
        return _product(x, self.weight, self.bias)

    def part(self, x: Tensor, start: int, stop: int) -> Tensor:
        """Output channels start:stop alone."""
        return _product(x, self.weight[start:stop], None if self.bias is None else self.bias[start:stop])


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if _PRODUCT is not None and _is_plain(x, weight):
        return _PRODUCT(x, weight, bias, "none", [], "")
    return F.linear(x, weight, bias)


def _is_plain(x: Tensor, weight: Tensor) -> bool:
    """Whether the operator means the same as F.linear here: it knows neither autocast nor gradients.

    A compiler makes its own choice.
    """
    return (
        x.device.type == weight.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )
