"""The any-view Depth Anything 3 network: images in; depth, rays and cameras out (SPEC section 1).

cameras, where known ─▶ camera encoder ─▶ trunk
                                images ─▶ trunk ─┬─ patches ─▶ dense head ─▶ depth, rays ─▶ cameras, where asked for
                                                 ├─ patches ─▶ Gaussian head ─▶ Gaussians, where asked for
                                                 └─ camera tokens ─▶ camera decoder ─▶ cameras
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..errors import InferenceError, UsageError
from .camera import CameraDecoder, CameraEncoder, decode_pose
from .config import PATCH, ModelConfig
from .gaussian_adapter import GaussianOptions, Gaussians, place_gaussians, scale_to_given
from .heads import DualDpt, GaussianDpt
from .lean.dense_pass import in_float32, over_views
from .lean.free_memory import return_freed_memory
from .ray_pose import RayPoseOptions, cameras_from_rays
from .trunk import Backbone, Reduce, ReferenceView, Trunk
from .variants import with_gaussian_head

__all__ = ["DepthAnything3", "NetworkOutput", "check_cameras", "check_images"]


@dataclass(frozen=True)
class NetworkOutput:
    """What the network says of B sets of S views of H x W pixels; all in float32.

    depth (B, S, H, W): z-depth along the optical axis; depth_conf likewise, from 1 upwards.
    ray (B, S, h, w, 6): world direction R K^-1 p of each pixel, not normalised, then the camera centre;
        (h, w) is 8/14 of the image size. ray_conf (B, S, h, w), from 1 upwards. None where not asked for.
    pose_encoding (B, S, 9): the decoder's camera-to-world translation, quaternion (x, y, z, w) of any
        length, and fields of view (height, width) in radians.
    cam_from_world (B, S, 3, 4), intrinsics (B, S, 3, 3) in pixels of the given images: from
        pose_encoding, or from the rays if asked for.
    reference_view (B,): the view that was taken as reference; 0 when poses were given.
    features: by layer, (B, S, rows, columns, C), normalised, in the order of the input views. The published
        code puts the reference view first from layer `reference_first_from` on; see `features_as_published`.
    gaussians: where asked for, in the world of cam_from_world; see `GaussianOptions` for exceptions.
    sky (B, S, H, W), scale_factor (B,): of nested networks only; see `NestedNetwork`.
    """

    depth: Tensor
    depth_conf: Tensor
    ray: Tensor | None
    ray_conf: Tensor | None
    pose_encoding: Tensor
    cam_from_world: Tensor
    intrinsics: Tensor
    reference_view: Tensor
    reference_first_from: int
    features: dict[int, Tensor] = field(default_factory=dict)
    gaussians: Gaussians | None = None
    sky: Tensor | None = None
    scale_factor: Tensor | None = None

    def features_as_published(self) -> dict[int, Tensor]:
        """`features` in the order in which the published code leaves them."""
        return {
            layer: _reference_first(feature, self.reference_view) if layer >= self.reference_first_from else feature
            for layer, feature in self.features.items()
        }


class _Dense(NamedTuple):
    """What the dense head says of all views, (B, S, ...)."""

    depth: Tensor
    depth_conf: Tensor
    ray: Tensor | None = None
    ray_conf: Tensor | None = None


class DepthAnything3(nn.Module):
    """Any number of views of one scene to depth, rays and cameras, and to Gaussians where there is a head for them.

    Parameters carry the names of the published checkpoints. Under autocast the trunk follows it; heads,
    camera encoder and camera decoder always compute in float32.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone(config)
        self.head = DualDpt(config)
        self.cam_dec = CameraDecoder(2 * config.embed_dim)
        self.cam_enc = CameraEncoder(config.embed_dim, config.camera_blocks)
        self.gs_head = GaussianDpt(config) if config.gaussian_head else None

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
        ray_pose: bool | RayPoseOptions = False,
        rays: bool = True,
        gaussians: bool | GaussianOptions = False,
        reference_view: ReferenceView = "saddle_balanced",
        feature_layers: Sequence[int] = (),
    ) -> NetworkOutput:
        """Predict from (B, S, 3, H, W) images, ImageNet-normalised, H and W multiples of 14.

        cam_from_world (B, S, 3 or 4, 4), as `normalise_poses` leaves it, and intrinsics (B, S, 3, 3) in
        pixels of these images condition the prediction; both or neither. ray_pose: cameras from the ray
        maps instead of the decoder. rays: False leaves them out, and with them much of the head's work, unless
        ray_pose needs them. gaussians: one for each pixel. feature_layers: blocks whose normalised patches to return.
        Raises InferenceError on input of another shape or that is not finite, UsageError where Gaussians are asked
        of a network without a head for them.
        """
        check_images(images)
        check_cameras(images, cam_from_world, intrinsics)
        self._check_gaussians(gaussians)
        size = (images.shape[-2], images.shape[-1])
        tokens = self._encoded(cam_from_world, intrinsics, size)
        return_freed_memory(images.device)
        seen = self.trunk(images, tokens, reference_view, feature_layers, self._reduce(size, bool(gaussians)))
        return_freed_memory(images.device)
        with in_float32(images.device):
            maps = self._dense([kept[0] for kept in seen.reduced], size, rays or bool(ray_pose))
            encoding = self.cam_dec(seen.camera[-1].float())
            poses, calibration = _cameras(encoding, maps, size, ray_pose)
            cloud = None
            if gaussians:
                placing = GaussianOptions() if gaussians is True else gaussians
                small_maps = [kept[1] for kept in seen.reduced]
                cloud = self._gaussians(small_maps, images, maps.depth, poses, calibration, placing)
                if cam_from_world is not None and placing.follow_given:
                    cloud = cloud.scaled(scale_to_given(poses, cam_from_world))
        reordered = cam_from_world is None and images.shape[1] >= 3
        return NetworkOutput(
            *maps,
            pose_encoding=encoding,
            cam_from_world=poses,
            intrinsics=calibration,
            reference_view=seen.reference_view,
            reference_first_from=self.config.alt_start - 1 if reordered else self.config.depth,
            features=seen.features,
            gaussians=cloud,
        )

    def _encoded(
        self, cam_from_world: Tensor | None, intrinsics: Tensor | None, size: tuple[int, int]
    ) -> Tensor | None:
        """Camera tokens (B, S, C) of known cameras; None of unknown ones."""
        if cam_from_world is None or intrinsics is None:
            return None
        with in_float32(cam_from_world.device):
            return self.cam_enc(cam_from_world.float(), intrinsics.float(), size)

    def _reduce(self, size: tuple[int, int], gaussians: bool) -> Reduce:
        """What the heads keep of a tap: a small map each, the dense head's first."""
        grid, aspect = (size[0] // PATCH, size[1] // PATCH), size[1] / size[0]
        heads = (self.head, self.gs_head) if gaussians and self.gs_head is not None else (self.head,)

        def reduce(level: int, patches: Tensor) -> tuple[Tensor, ...]:
            with in_float32(patches.device):
                return tuple(head.reduced(level, patches.float(), grid, aspect) for head in heads)

        return reduce

    def _dense(self, reduced: Sequence[Tensor], size: tuple[int, int], rays: bool) -> _Dense:
        """Depth and rays from what the dense head kept of the four taps, (B, S, ...) each."""
        decode = self.head.decode if rays else self.head.decode_depth
        return _Dense(*over_views(lambda *maps: decode(maps, size), *reduced, size=size))

    def _gaussians(
        self,
        reduced: Sequence[Tensor],
        images: Tensor,
        depth: Tensor,
        poses: Tensor,
        intrinsics: Tensor,
        options: GaussianOptions,
    ) -> Gaussians:
        """One Gaussian a pixel from what its head kept of the four taps, in the world of `poses`."""
        head = self.gs_head
        assert head is not None

        def placed(images: Tensor, depth: Tensor, poses: Tensor, intrinsics: Tensor, *maps: Tensor) -> Sequence[Tensor]:
            raw, opacity = head.decode(maps, images)
            return place_gaussians(raw, opacity, depth, poses, intrinsics, options.rotation == "exact")

        size = (images.shape[-2], images.shape[-1])
        found = over_views(placed, images, depth, poses, intrinsics, *reduced, size=size)
        return Gaussians(*(x.flatten(1, 2) for x in found))

    def _check_gaussians(self, gaussians: bool | GaussianOptions) -> None:
        if gaussians and self.gs_head is None:
            raise UsageError(
                "this network has no head for Gaussians; those that have one: " + ", ".join(with_gaussian_head())
            )


def _cameras(
    encoding: Tensor, maps: _Dense, size: tuple[int, int], ray_pose: bool | RayPoseOptions
) -> tuple[Tensor, Tensor]:
    """cam_from_world (B, S, 3, 4) and intrinsics (B, S, 3, 3) from the decoder's word or from the rays."""
    if not ray_pose:
        return decode_pose(encoding, size)
    assert maps.ray is not None and maps.ray_conf is not None
    return cameras_from_rays(maps.ray, maps.ray_conf, size, RayPoseOptions() if ray_pose is True else ray_pose)


def _reference_first(x: Tensor, reference: Tensor) -> Tensor:
    """(B, S, ...) with each item's reference view moved to the front, the others in order."""
    views = torch.arange(x.shape[1], device=x.device)
    order = torch.where(views == reference[:, None], -1, views).argsort(dim=1)
    return x[torch.arange(len(x), device=x.device)[:, None], order]


def check_images(images: Tensor) -> None:
    """Raise InferenceError unless these are finite images (B, S, 3, H, W) with sides that patches tile."""
    shape = tuple(images.shape)
    if len(shape) != 5 or shape[2] != 3 or 0 in shape or shape[3] % PATCH or shape[4] % PATCH:
        raise InferenceError(f"the network takes images (B, S, 3, H, W), H and W multiples of {PATCH}, got {shape}")
    _check_finite("images", images)


def check_cameras(images: Tensor, cam_from_world: Tensor | None, intrinsics: Tensor | None) -> None:
    """Raise InferenceError unless there is no camera, or a finite one for each image."""
    if (cam_from_world is None) != (intrinsics is None):
        raise InferenceError("pose conditioning takes both cam_from_world and intrinsics, only one was given")
    for name, given, trailing in (
        ("cam_from_world", cam_from_world, ((3, 4), (4, 4))),
        ("intrinsics", intrinsics, ((3, 3),)),
    ):
        if given is None:
            continue
        if given.shape[:2] != images.shape[:2] or tuple(given.shape[2:]) not in trailing:
            raise InferenceError(
                f"{name} of shape {tuple(given.shape)} does not fit images of shape {tuple(images.shape)}"
            )
        _check_finite(name, given)


def _check_finite(name: str, given: Tensor) -> None:
    """Tensors on the meta device, which serve to learn shapes, have no values to check."""
    if given.is_meta or bool(given.isfinite().all()):
        return
    item, view = (~given.isfinite()).flatten(2).any(-1).nonzero()[0].tolist()
    raise InferenceError(f"{name}: view {view} of item {item} has values that are not finite (NaN or infinite)")
