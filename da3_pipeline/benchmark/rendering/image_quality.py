"""How close a rendered picture is to the photograph: PSNR, SSIM and, where its weights are on this machine, LPIPS."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

__all__ = ["lpips_metric", "psnr_db", "ssim"]

_WINDOW_PX, _SIGMA_PX = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2
_ALEXNET = "alexnet-owt-7be5be79.pth"  # torchvision names a file by the start of its SHA-256


def psnr_db(picture: Tensor, photograph: Tensor) -> float:
    """Peak signal-to-noise ratio of (H, W, 3) in 0..1, dB; the picture is clamped to that range."""
    error = torch.mean((picture.detach().clamp(0, 1) - photograph) ** 2)
    return float(-10 * torch.log10(error.clamp_min(1e-10)))


def ssim(picture: Tensor, photograph: Tensor) -> Tensor:
    """Mean structural similarity of (H, W, 3) in 0..1, differentiable (Wang et al. 2004).

    A Gaussian window of 11 pixels with sigma 1.5 at places where it is whole; each channel by itself.
    """
    down, across = (_smoothing(size, picture) for size in picture.shape[:2])
    x, y = picture.movedim(2, 0), photograph.movedim(2, 0)
    smooth = down @ torch.cat([x, y, x * x, y * y, x * y]) @ across.T
    mean_x, mean_y, xx, yy, xy = torch.split(smooth, 3)
    var_x, var_y, cov = xx - mean_x**2, yy - mean_y**2, xy - mean_x * mean_y
    likeness = (2 * mean_x * mean_y + _C1) * (2 * cov + _C2)
    return (likeness / ((mean_x**2 + mean_y**2 + _C1) * (var_x + var_y + _C2))).mean()


def _smoothing(size: int, like: Tensor) -> Tensor:
    """(n, size) matrix of the window at its n places: on a CPU much faster than a convolution of so few channels."""
    side = min(_WINDOW_PX, size)
    place = torch.arange(size, dtype=like.dtype, device=like.device)
    first = torch.arange(size - side + 1, dtype=like.dtype, device=like.device)[:, None]
    offset = place - first
    weights = torch.exp(-0.5 * ((offset - (side - 1) / 2) / _SIGMA_PX) ** 2) * ((offset >= 0) & (offset < side))
    return weights / weights.sum(1, keepdim=True)


def lpips_metric() -> Callable[[Tensor, Tensor], float] | None:
    """LPIPS with AlexNet (Zhang et al. 2018) of two (H, W, 3) pictures in 0..1, or None where it cannot be had.

    The package `lpips` must be there, and AlexNet's weights in torch's cache: nothing is fetched. A file that is not
    what its name says (a stand-in) does not count.
    """
    weights = Path(torch.hub.get_dir()) / "checkpoints" / _ALEXNET
    if importlib.util.find_spec("lpips") is None or not weights.is_file():
        return None
    if not hashlib.sha256(weights.read_bytes()).hexdigest().startswith(_ALEXNET.split("-")[-1].removesuffix(".pth")):
        return None
    import lpips

    network = lpips.LPIPS(net="alex", verbose=False).eval()

    @torch.no_grad()
    def distance(picture: Tensor, photograph: Tensor) -> float:
        pair = [2 * part.detach().cpu().clamp(0, 1).movedim(2, 0)[None] - 1 for part in (picture, photograph)]
        return float(network(*pair))

    return distance
