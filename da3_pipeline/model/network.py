"""The any-view Depth Anything 3 network: images in; depth, rays and cameras out (SPEC section 1)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ..errors import InferenceError
from .camera import CameraDecoder, CameraEncoder
from .config import PATCH, ModelConfig
from .dual_dpt import DenseMaps, DualDpt
from .pose_encoding import decode_pose
from .ray_pose import RayPoseOptions, cameras_from_rays
from .reference_view import ReferenceView
from .trunk import Trunk

__all__ = ["DepthAnything3", "NetworkOutput"]

_HEAD_VIEWS_AT_ONCE = 8


@dataclass(frozen=True)
class NetworkOutput:
    """What the network says of B sets of S views of H x W pixels; all in float32.

    depth (B, S, H, W): z-depth along the optical axis; depth_conf likewise, from 1 upwards.
    ray (B, S, h, w, 6): world direction R K^-1 p of each pixel, not normalised, then the camera centre;
        (h, w) is 8/14 of the image size. ray_conf (B, S, h, w), from 1 upwards.
    pose_encoding (B, S, 9): the decoder's camera-to-world translation, quaternion (x, y, z, w) of any
        length, and fields of view (height, width) in radians.
    cam_from_world (B, S, 3, 4), intrinsics (B, S, 3, 3) in pixels of the given images: from
        pose_encoding, or from the rays if asked for.
    reference_view (B,): the view that was taken as reference; 0 when poses were given.
    features: by layer, (B, S, rows, columns, C), normalised, in the order of the input views. The published
        code puts the reference view first from layer `reference_first_from` on; see `features_as_published`.
    """

    depth: Tensor
    depth_conf: Tensor
    ray: Tensor
    ray_conf: Tensor
    pose_encoding: Tensor
    cam_from_world: Tensor
    intrinsics: Tensor
    reference_view: Tensor
    reference_first_from: int
    features: dict[int, Tensor] = field(default_factory=dict)

    def features_as_published(self) -> dict[int, Tensor]:
        """`features` in the order in which the published code leaves them."""
        return {
            layer: _reference_first(feature, self.reference_view) if layer >= self.reference_first_from else feature
            for layer, feature in self.features.items()
        }


class DepthAnything3(nn.Module):
    """Any number of views of one scene to depth, rays and cameras.

    Parameters carry the names of the published checkpoints. Under autocast the trunk follows it; head,
    camera encoder and camera decoder always compute in float32.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = nn.ModuleDict({"pretrained": Trunk(config)})
        self.head = DualDpt(config)
        self.cam_dec = CameraDecoder(2 * config.embed_dim)
        self.cam_enc = CameraEncoder(config.embed_dim)

    @property
    def trunk(self) -> Trunk:
        """The vision transformer."""
        trunk = self.backbone["pretrained"]
        assert isinstance(trunk, Trunk)
        return trunk

    def forward(
        self,
        images: Tensor,
        cam_from_world: Tensor | None = None,
        intrinsics: Tensor | None = None,
        *,
        ray_pose: bool | RayPoseOptions = False,
        reference_view: ReferenceView = "saddle_balanced",
        feature_layers: Sequence[int] = (),
    ) -> NetworkOutput:
        """Predict from (B, S, 3, H, W) images, ImageNet-normalised, H and W multiples of 14.

        cam_from_world (B, S, 3 or 4, 4), as `normalise_poses` leaves it, and intrinsics (B, S, 3, 3) in
        pixels of these images condition the prediction; both or neither. ray_pose: cameras from the ray
        maps instead of the decoder. feature_layers: blocks whose normalised patches to return.
        Raises InferenceError on input of another shape.
        """
        _check(images, cam_from_world, intrinsics)
        size = (images.shape[-2], images.shape[-1])
        with _in_float32(images.device):
            tokens = None
            if cam_from_world is not None and intrinsics is not None:
                tokens = self.cam_enc(cam_from_world.float(), intrinsics.float(), size)
        seen = self.trunk(images, tokens, reference_view, feature_layers)
        with _in_float32(images.device):
            maps = self._dense(seen.patches, size)
            encoding = self.cam_dec(seen.camera[-1].float())
            poses, calibration = decode_pose(encoding, size)
            if ray_pose:
                options = RayPoseOptions() if ray_pose is True else ray_pose
                poses, calibration = cameras_from_rays(maps.ray, maps.ray_conf, size, options)
        reordered = cam_from_world is None and images.shape[1] >= 3
        return NetworkOutput(
            *maps,
            pose_encoding=encoding,
            cam_from_world=poses,
            intrinsics=calibration,
            reference_view=seen.reference_view,
            reference_first_from=self.config.alt_start - 1 if reordered else self.config.depth,
            features=seen.features,
        )

    def _dense(self, taps: Sequence[Tensor], size: tuple[int, int]) -> DenseMaps:
        """The head on a few views at a time, to bound its memory."""
        batch = taps[0].shape[:2]
        grid = (size[0] // PATCH, size[1] // PATCH)
        pieces = zip(*(torch.split(tap.flatten(0, 1), _HEAD_VIEWS_AT_ONCE) for tap in taps), strict=True)
        chunks = [self.head([tap.float() for tap in piece], grid, size) for piece in pieces]
        return DenseMaps(*(torch.unflatten(torch.cat(parts), 0, batch) for parts in zip(*chunks, strict=True)))


def _in_float32(device: torch.device) -> AbstractContextManager[object]:
    """Suspends autocast, on the devices that have it."""
    return torch.autocast(device.type, enabled=False) if device.type in ("cpu", "cuda") else nullcontext()


def _check(images: Tensor, cam_from_world: Tensor | None, intrinsics: Tensor | None) -> None:
    shape = tuple(images.shape)
    if len(shape) != 5 or shape[2] != 3 or 0 in shape or shape[3] % PATCH or shape[4] % PATCH:
        raise InferenceError(f"the network takes images (B, S, 3, H, W), H and W multiples of {PATCH}, got {shape}")
    if (cam_from_world is None) != (intrinsics is None):
        raise InferenceError("pose conditioning takes both cam_from_world and intrinsics, only one was given")
    for name, given, trailing in (
        ("cam_from_world", cam_from_world, ((3, 4), (4, 4))),
        ("intrinsics", intrinsics, ((3, 3),)),
    ):
        if given is not None and (tuple(given.shape[:2]) != shape[:2] or tuple(given.shape[2:]) not in trailing):
            raise InferenceError(f"{name} of shape {tuple(given.shape)} does not fit images of shape {shape}")


def _reference_first(x: Tensor, reference: Tensor) -> Tensor:
    """(B, S, ...) with each item's reference view moved to the front, the others in order."""
    views = torch.arange(x.shape[1], device=x.device)
    order = torch.where(views == reference[:, None], -1, views).argsort(dim=1)
    return x[torch.arange(len(x), device=x.device)[:, None], order]
