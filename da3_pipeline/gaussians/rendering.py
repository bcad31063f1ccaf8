"""Pictures of Gaussians: one call, through gsplat on a GPU or through the torch reference anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..arrays import Float, Float32
from ..geometry import Camera
from ..types import GaussianCloud
from .compositing import composite
from .projection import project
from .splats import PinholeView, Splats, pinhole_view, splats_of
from .with_gsplat import composite_with_gsplat, gsplat_is_usable, require_gsplat

__all__ = ["Backend", "Picture", "Renderer", "Rendering", "rasterise", "render"]

Backend = Literal["auto", "torch", "gsplat"]


@dataclass(frozen=True)
class Rendering:
    """Tensors: image (H, W, 3), from 0 up and linear in the colours; depth (H, W), alpha (H, W) as in `Picture`."""

    image: Tensor
    depth: Tensor
    alpha: Tensor


@dataclass(frozen=True)
class Picture:
    """image (H, W, 3) float32, 0..1 for colours in gamut; depth (H, W), the mean z-depth of what is drawn at a pixel
    weighted by its share in the pixel ("expected depth"), 0 where nothing is; alpha (H, W) in 0..1."""

    image: Float32
    depth: Float32
    alpha: Float32


class Renderer:
    """Draws one cloud from many cameras: its tensors are made, and put onto the GPU, once."""

    def __init__(self, cloud: GaussianCloud, backend: Backend = "auto") -> None:
        """backend: 'auto' takes gsplat where it and a GPU are there, else the torch reference.

        Raises MissingExtraError where 'gsplat' is asked for and cannot be had.
        """
        if backend == "gsplat":
            require_gsplat()
        self._backend: Backend = backend
        self._device = "cuda" if backend != "torch" and gsplat_is_usable() else "cpu"
        self._splats = splats_of(cloud, self._device)

    def __call__(self, camera: Camera, cam_from_world: Float, background: Sequence[float] = (0.0, 0.0, 0.0)) -> Picture:
        """As `render`."""
        view = pinhole_view(camera, cam_from_world, self._device)
        with torch.no_grad():
            result = rasterise(self._splats, view, background=background, backend=self._backend)
        return Picture(*(part.float().cpu().numpy() for part in (result.image, result.depth, result.alpha)))


def render(
    cloud: GaussianCloud,
    camera: Camera,
    cam_from_world: Float,
    *,
    background: Sequence[float] = (0.0, 0.0, 0.0),
    backend: Backend = "auto",
) -> Picture:
    """The cloud as an undistorted camera sees it (distortion is left out), over a background colour.

    `backend` as in `Renderer`, and MissingExtraError with it. Raises UsageError for a camera without focal length.
    """
    return Renderer(cloud, backend)(camera, cam_from_world, background)


def rasterise(
    splats: Splats,
    view: PinholeView,
    *,
    background: Sequence[float] | Tensor = (0.0, 0.0, 0.0),
    backend: Backend = "auto",
) -> Rendering:
    """As `render`, on tensors and differentiable in them and in the pose.

    backend: 'auto' takes gsplat for float32 on a CUDA device, where it is installed; 'gsplat' needs just these.

    A Gaussian is drawn by gsplat's rules: EWA projection with a low-pass of 0.3 px^2, alpha at least 1/255 and at
    most 0.999, no further than a transmittance of 1e-4, sorted by the depth of the centres over the whole image.
    """
    projected = project(splats, view)
    cuda = splats.means.is_cuda and splats.means.dtype == torch.float32
    if backend == "gsplat" or (backend == "auto" and cuda and gsplat_is_usable()):
        image, depth, alpha = composite_with_gsplat(projected, view.width, view.height)
    else:
        image, depth, alpha = composite(projected, view.width, view.height)
    colour = torch.as_tensor(background, dtype=image.dtype, device=image.device)
    mean_depth = depth / alpha.clamp_min(1e-10)
    return Rendering(image + (1 - alpha)[..., None] * colour, mean_depth, alpha)
