"""The monocular networks: each image on its own to depth and sky (SPEC 1.6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ..errors import InferenceError
from .config import PATCH, ModelConfig
from .heads import SkyDpt
from .lean.dense_pass import in_float32, over_views
from .network import check_images
from .sky import fill_sky
from .trunk import Backbone, Trunk

__all__ = ["MonocularNetwork", "MonocularOutput", "metres_from_canonical"]

_CANONICAL_FOCAL_PX = 300.0


@dataclass(frozen=True)
class MonocularOutput:
    """What a monocular network says of B sets of S images of H x W pixels; all in float32.

    depth (B, S, H, W): of da3mono-large up to scale and shift, of da3metric-large in metres for a camera of
        300 px focal length (see `metres_from_canonical`). Sky is as deep as the deepest hundredth of the rest of its
        set: the only way in which the images of a set matter to each other.
    sky (B, S, H, W), from 0; which pixels it calls sky says `is_sky`.
    features: by layer, (B, S, rows, columns, C), normalised.
    """

    depth: Tensor
    sky: Tensor
    features: dict[int, Tensor] = field(default_factory=dict)


class MonocularNetwork(nn.Module):
    """Depth and sky of single images, under the parameter names of the published checkpoints.

    Under autocast the trunk follows it; the head always computes in float32.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone(config)
        self.head = SkyDpt(config)

    @property
    def trunk(self) -> Trunk:
        """The vision transformer."""
        return self.backbone.pretrained

    def forward(
        self,
        images: Tensor,
        cam_from_world: Tensor | None = None,
        intrinsics: Tensor | None = None,
        *,
        ray_pose: object = False,
        rays: object = False,
        gaussians: object = False,
        reference_view: str = "",
        feature_layers: Sequence[int] = (),
    ) -> MonocularOutput:
        """Predict from (B, S, 3, H, W) images, ImageNet-normalised, H and W multiples of 14.

        Called as the any-view networks are, but neither cameras nor Gaussians can be asked of it, there are no rays to
        leave out and no reference view to choose. Raises InferenceError on input of another shape, images that are
        not finite, and on what it cannot do.
        """
        check_images(images)
        asked = {"cam_from_world": cam_from_world is not None, "intrinsics": intrinsics is not None}
        asked |= {"ray_pose": bool(ray_pose), "gaussians": bool(gaussians)}
        for name, wanted in asked.items():
            if wanted:
                raise InferenceError(f"a monocular network knows depth and sky only: it has no use for {name}")
        size = (images.shape[-2], images.shape[-1])
        grid = (size[0] // PATCH, size[1] // PATCH)

        def reduce(level: int, patches: Tensor) -> tuple[Tensor]:
            with in_float32(patches.device):
                return (self.head.reduced(level, patches.float(), grid, None),)

        seen = self.trunk(images, feature_layers=feature_layers, reduce=reduce)
        with in_float32(images.device):
            reduced = [kept for (kept,) in seen.reduced]
            depth, sky = over_views(lambda *maps: self.head.decode(maps, size), *reduced, size=size)
            return MonocularOutput(fill_sky(depth, sky), sky, seen.features)


def metres_from_canonical(depth: Tensor, intrinsics: Tensor) -> Tensor:
    """Depth in metres (..., H, W) from that of da3metric-large and the (..., 3, 3) intrinsics in its pixels.

    The network answers for a camera of 300 px focal length: metres = depth * f / 300 with f the mean of fx and fy.
    """
    focal_px = torch.diagonal(intrinsics, dim1=-2, dim2=-1)[..., :2].mean(-1)
    return depth * (focal_px / _CANONICAL_FOCAL_PX)[..., None, None]
