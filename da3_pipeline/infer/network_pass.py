"""One pass of the network over some of the frames: arrays in, arrays out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..arrays import Bytes, Float, Float32
from ..errors import InferenceError, UsageError
from ..geometry import centres, nearest_rotation
from .budget.device import precision
from .budget.out_of_memory import memory_ran_out
from .config import InferConfig
from .gaussian_views import gaussians_by_view
from .given_poses import GivenCameras, in_given_world
from .metric_depth import MetricDepth
from .preprocess import normalise
from .sequence.chunks import ChunkTooLargeError
from .views import RawViews, typical_depth

if TYPE_CHECKING:
    import torch

    from ..model import DepthAnything3, NestedNetwork, Network, NetworkOutput

__all__ = ["NetworkPass", "refuse_monocular"]

_NO_CAMERAS = (
    "{} is a monocular network, which predicts no cameras: choose an any-view or nested model, "
    "and give this one as the metric model if it is da3metric-large"
)


class NetworkPass:
    """Call it with the pixels of some frames to get their views, jointly predicted."""

    def __init__(self, network: Network, device: torch.device, config: InferConfig) -> None:
        self._network = _with_cameras(network, config.model)
        self._device = device
        self._config = config
        if config.compile:
            self._network.compile(dynamic=False)
        self._metric = None if config.metric_model is None else MetricDepth(config.metric_model, device, config.cameras)
        if config.gaussians and not network.config.gaussian_head:
            raise UsageError(f"{config.model} predicts no Gaussians; {' and '.join(_with_gaussians())} do")

    def __call__(self, pixels: Bytes, given: GivenCameras | None) -> RawViews:
        """The views of (V, h, w, 3) pixels; in the given world where their cameras are given.

        Raises ChunkTooLargeError when memory runs out.
        """
        import torch

        try:
            with torch.inference_mode(), precision(self._device):
                return self._views(pixels, given)
        except (RuntimeError, MemoryError) as error:
            if memory_ran_out(error):
                raise ChunkTooLargeError(self._exhausted(pixels)) from error
            raise

    def _views(self, pixels: Bytes, given: GivenCameras | None) -> RawViews:
        import torch

        images = torch.from_numpy(normalise(pixels)).to(self._device)[None]
        output, told_scale = self._forward(images, given)
        views = self._to_arrays(output)
        if output.gaussians is not None:
            views = replace(views, gaussians=gaussians_by_view(output.gaussians, views))
        if given is not None:
            views = in_given_world(views, given, told_scale, self._config.cameras)
        return views if self._metric is None else self._metric(pixels, views)

    def _forward(self, images: torch.Tensor, given: GivenCameras | None) -> tuple[NetworkOutput, float]:
        """The network's output, and what one unit of its world is in the given one."""
        import torch

        from ..model import GaussianOptions, normalise_poses

        poses = matrices = None
        told_scale = 1.0
        if given is not None:
            normalised = normalise_poses(torch.from_numpy(given.cam_from_world)[None])
            told_scale = _unit(given.cam_from_world, normalised[0].numpy())
            poses = normalised.float().to(self._device)
            matrices = torch.from_numpy(given.intrinsics).float().to(self._device)[None]
        output = self._network(
            images,
            poses,
            matrices,
            ray_pose=self._config.ray_pose,
            rays=False,
            gaussians=GaussianOptions(follow_given=False, in_metres=True) if self._config.gaussians else False,
            reference_view=self._config.reference_view,
            feature_layers=(self._descriptor_layer,),
        )
        return output, told_scale

    @property
    def _descriptor_layer(self) -> int:
        """The last block in which every view is still seen by itself, and in its own order."""
        return max(0, self._network.config.alt_start - 2)

    def _to_arrays(self, output: NetworkOutput) -> RawViews:
        import torch

        from ..model import is_sky

        poses = _float64(output.cam_from_world[0])
        finite = np.isfinite(poses).all((1, 2))
        # The decoder computes in float32: make its rotations orthonormal to double precision.
        poses[finite, :, :3] = nearest_rotation(poses[finite, :, :3])
        features = output.features[self._descriptor_layer][0].float().flatten(1, 2)
        pooled = torch.cat([features.mean(1), features.std(1, correction=0)], dim=1)
        descriptors = (pooled / pooled.norm(dim=1, keepdim=True).clamp_min(1e-12)).cpu().numpy()
        depth = output.depth[0].float().cpu().numpy()
        return RawViews(
            depth,
            output.depth_conf[0].float().cpu().numpy(),
            poses,
            _float64(output.intrinsics[0]),
            descriptors,
            sky=None if output.sky is None else is_sky(output.sky[0]).cpu().numpy(),
            depth_m=_typical_metres(depth, output),
        )

    def _exhausted(self, pixels: Bytes) -> str:
        views, height, width = pixels.shape[:3]
        return (
            f"memory ran out in a pass over {views} views of {width} x {height} px on {self._device}; "
            "lower the process resolution or the memory limit, or close other programs"
        )


def refuse_monocular(model: str) -> None:
    """Raise InferenceError where the name is that of a network without cameras, before it is fetched and loaded."""
    from ..model import VARIANTS

    if model in VARIANTS and VARIANTS[model].config.is_monocular:
        raise InferenceError(_NO_CAMERAS.format(model))


def _with_cameras(network: Network, model: str) -> DepthAnything3 | NestedNetwork:
    from ..model import MonocularNetwork

    if isinstance(network, MonocularNetwork):
        raise InferenceError(_NO_CAMERAS.format(model))
    return network


def _with_gaussians() -> list[str]:
    from ..model import VARIANTS

    return [name for name, entry in VARIANTS.items() if entry.config.gaussian_head]


def _typical_metres(depth: Float32, output: NetworkOutput) -> Float | None:
    """(V,) typical depth of a nested network's views, which is in metres wherever its scale is known."""
    if output.scale_factor is None:
        return None
    return typical_depth(depth) if bool(output.scale_factor[0].isfinite()) else np.full(len(depth), np.nan)


def _unit(given: Float, normalised: Float) -> float:
    """The length in the given world of one unit of the normalised one; 1 where all centres coincide."""
    reach, told = (np.linalg.norm(centres(poses) - centres(poses[:1]), axis=1).max() for poses in (given, normalised))
    return float(reach / told) if told > 1e-9 else 1.0


def _float64(tensor: torch.Tensor) -> Float:
    return tensor.cpu().double().numpy().copy()  # MPS has no float64
