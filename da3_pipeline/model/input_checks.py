"""What a network refuses to look at."""

from __future__ import annotations

from torch import Tensor

from ..errors import InferenceError
from .config import PATCH

__all__ = ["check_cameras", "check_images"]


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
