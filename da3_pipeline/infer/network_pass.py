"""One pass of the network over some of the frames: arrays in, arrays out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import InferenceError
from ..geometry import centres, nearest_rotation
from .config import InferConfig
from .device import precision
from .given_poses import GivenCameras, in_given_world
from .preprocess import normalise
from .views import RawViews

if TYPE_CHECKING:
    import torch

    from ..model import DepthAnything3, NetworkOutput

__all__ = ["NetworkPass"]


class NetworkPass:
    """Call it with frame indices to get their views, jointly predicted.

    pixels (N, h, w, 3) uint8 network views of all frames; given: their cameras, where the network is to be told.
    """

    def __init__(
        self,
        network: DepthAnything3,
        device: torch.device,
        config: InferConfig,
        pixels: NDArray[np.uint8],
        given: GivenCameras | None,
    ) -> None:
        self._network = network
        self._device = device
        self._config = config
        self._pixels = pixels
        self._given = given

    def __call__(self, indices: NDArray[np.int64]) -> RawViews:
        """The views at `indices`; in the given world where cameras are given. InferenceError when memory runs out."""
        import torch

        given = None if self._given is None else self._given.subset(indices)
        try:
            with torch.inference_mode(), precision(self._device):
                images = torch.from_numpy(normalise(self._pixels[indices])).to(self._device)[None]
                output, told_scale = self._forward(images, given)
                views = self._to_arrays(output)
        except torch.cuda.OutOfMemoryError as error:
            raise InferenceError(self._exhausted(len(indices))) from error
        except (RuntimeError, MemoryError) as error:
            if isinstance(error, MemoryError) or "allocate" in str(error):  # what PyTorch's CPU allocator raises
                raise InferenceError(self._exhausted(len(indices))) from error
            raise
        return views if given is None else in_given_world(views, given, told_scale)

    def _forward(self, images: torch.Tensor, given: GivenCameras | None) -> tuple[NetworkOutput, float]:
        """The network's output, and what one unit of its world is in the given one."""
        import torch

        from ..model import normalise_poses

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
            reference_view=self._config.reference_view,
            feature_layers=(self._descriptor_layer,),
        )
        return output, told_scale

    @property
    def _descriptor_layer(self) -> int:
        """The last block in which every view is still seen by itself, and in its own order."""
        return max(0, self._network.config.alt_start - 2)

    def _to_arrays(self, output: NetworkOutput) -> RawViews:
        poses = _float64(output.cam_from_world[0])
        finite = np.isfinite(poses).all((1, 2))
        # The decoder computes in float32: make its rotations orthonormal to double precision.
        poses[finite, :, :3] = nearest_rotation(poses[finite, :, :3])
        means = output.features[self._descriptor_layer][0].float().mean((1, 2))
        descriptors = (means / means.norm(dim=1, keepdim=True).clamp_min(1e-12)).cpu().numpy()
        return RawViews(
            output.depth[0].float().cpu().numpy(),
            output.depth_conf[0].float().cpu().numpy(),
            poses,
            _float64(output.intrinsics[0]),
            descriptors,
        )

    def _exhausted(self, views: int) -> str:
        height, width = self._pixels.shape[1:3]
        return (
            f"memory ran out in a pass over {views} views of {width} x {height} px on {self._device}; "
            "lower the process resolution or the memory limit, or close other programs"
        )


def _unit(given: NDArray[np.float64], normalised: NDArray[np.float64]) -> float:
    """The length in the given world of one unit of the normalised one; 1 where all centres coincide."""
    reach, told = (np.linalg.norm(centres(poses) - centres(poses[:1]), axis=1).max() for poses in (given, normalised))
    return float(reach / told) if told > 1e-9 else 1.0


def _float64(tensor: torch.Tensor) -> NDArray[np.float64]:
    return tensor.cpu().double().numpy().copy()  # MPS has no float64
