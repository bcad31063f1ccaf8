"""The nested networks: an any-view network whose scale and sky come from a metric one (SPEC 1.8).

With them the family is complete: `Network` is any of its three kinds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import torch
from torch import Tensor, nn

from .config import ModelConfig
from .gaussian_adapter import GaussianOptions
from .monocular import MonocularNetwork, metres_from_canonical
from .network import DepthAnything3, NetworkOutput
from .ray_pose import RayPoseOptions
from .sky import FEWEST_PIXELS, exact_quantile, far_depth, is_sky
from .trunk import ReferenceView, Trunk

__all__ = ["NestedNetwork", "Network", "metric_scale"]

_LEAST_METRIC_DEPTH_M, _LEAST_DEPTH = 1e-2, 1e-3
_FARTHEST_M = 200.0
_SKY_CONF = 1.0


class NestedNetwork(nn.Module):
    """Any number of views of one scene to depth and cameras in metres.

    The output is that of the any-view network with `depth` and the translations of `cam_from_world` times
    `scale_factor` (B,); `ray`, `pose_encoding` and, unless asked otherwise, `gaussians` stay in its own units, as
    published. `sky` is the metric network's; there depth is far, at most 200 m, and confidence at its lowest.
    Where next to nothing but sky is seen (ten pixels or fewer), or nothing that both networks see, `scale_factor`
    is NaN and lengths stay in the any-view network's units; the published code stops there.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        assert config.metric is not None
        self.config = config
        self.da3 = DepthAnything3(replace(config, metric=None))
        self.da3_metric = MonocularNetwork(config.metric)

    @property
    def trunk(self) -> Trunk:
        """The any-view network's vision transformer."""
        return self.da3.trunk

    def forward(
        self,
        images: Tensor,
        cam_from_world: Tensor | None = None,
        intrinsics: Tensor | None = None,
        *,
        ray_pose: bool | RayPoseOptions = False,
        rays: bool = True,
        gaussians: bool | GaussianOptions = False,
        reference_view: ReferenceView = "saddle_balanced",
        feature_layers: Sequence[int] = (),
    ) -> NetworkOutput:
        """As `DepthAnything3.forward`; features are the any-view network's."""
        output = self.da3(
            images,
            cam_from_world,
            intrinsics,
            ray_pose=ray_pose,
            rays=rays,
            gaussians=gaussians,
            reference_view=reference_view,
            feature_layers=feature_layers,
        )
        seen = self.da3_metric(images)
        metres = metres_from_canonical(seen.depth, output.intrinsics)
        scenes = zip(metres, output.depth, output.depth_conf, seen.sky, strict=True)
        scale = torch.stack([metric_scale(*scene) for scene in scenes])
        in_metres = isinstance(gaussians, GaussianOptions) and gaussians.in_metres
        return _scaled(replace(output, sky=seen.sky, scale_factor=scale), seen.sky, scale, in_metres)


Network: TypeAlias = DepthAnything3 | MonocularNetwork | NestedNetwork


def metric_scale(metres: Tensor, depth: Tensor, conf: Tensor, sky: Tensor) -> Tensor:
    """The factor () that takes `depth` to `metres` with the least squared error; all (S, H, W), of one scene.

    Over the pixels that are not sky and have at least the median confidence of those. NaN where ten pixels or
    fewer are not sky, or none of them counts.
    """
    clear = ~is_sky(sky)
    if clear.sum() <= FEWEST_PIXELS:
        return depth.new_tensor(torch.nan)
    sure = clear & (conf >= exact_quantile(conf[clear], 0.5))
    sure &= (metres > _LEAST_METRIC_DEPTH_M) & (depth > _LEAST_DEPTH)
    ours, theirs = depth[sure], metres[sure]
    return (ours * theirs).sum() / ours.square().sum()


def _scaled(output: NetworkOutput, sky: Tensor, scale: Tensor, with_gaussians: bool) -> NetworkOutput:
    """Lengths times `scale` where it is known, sky put far away."""
    factor = torch.where(scale.isnan(), 1.0, scale)[:, None, None, None]
    clear = ~is_sky(sky)
    kept = clear | scale.isnan()[:, None, None, None]
    depth = torch.stack(
        [
            torch.where(keep, item, far_depth(item, seen).clamp_max(_FARTHEST_M))
            for keep, seen, item in zip(kept, clear, output.depth * factor, strict=True)
        ]
    )
    poses = output.cam_from_world
    cloud = output.gaussians
    return replace(
        output,
        depth=depth,
        depth_conf=torch.where(clear, output.depth_conf, _SKY_CONF),
        cam_from_world=torch.cat([poses[..., :3], poses[..., 3:] * factor], dim=-1),
        gaussians=cloud.scaled(factor.flatten()) if cloud is not None and with_gaussians else cloud,
    )
