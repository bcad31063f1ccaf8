"""The npz file that stands in for a network: reading with every check, and writing (docs/PREDICTIONS.md)."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import Float
from ..errors import ExportError, InferenceError
from ..geometry import PixelMap, nearest_rotation
from ..guard.bounded import read_npz
from ..guard.foreign import reading, reason
from ..types import Prediction
from .views import RawViews

__all__ = ["PredictionFile", "read_predictions", "save_predictions"]


_SLIGHT_SHEAR = 0.02  # largest entry of R Rᵀ - I that counts as rounding
_ARRAYS = ("depth", "conf", "extrinsics", "intrinsics", "names", "pixel_scale", "pixel_offset")
_CONVENTION = "expected are 3x4 [R | t] world-to-camera matrices with OpenCV axes (x right, y down, z forward)"


@dataclass(frozen=True)
class PredictionFile:
    """What was read: views in depth-map pixels, and where given, frame names and pixel maps, all in one order."""

    path: Path
    views: RawViews
    names: tuple[str, ...] | None
    pixel_maps: tuple[PixelMap, ...] | None

    def label(self, index: int) -> str:
        return _label(self.names, index)


@reading(InferenceError, "write it with numpy.savez")
def read_predictions(path: Path) -> PredictionFile:
    """Read and check a predictions file. Raises InferenceError: one line, naming the array and the frame at fault.

    Rotations that are off by rounding are replaced by the nearest ones; anything worse is an error.
    """
    arrays = _load(path)
    depth = _numbers(path, arrays, "depth", np.float32)
    if depth.ndim != 3 or 0 in depth.shape:
        raise InferenceError(f"{path}: depth has shape {depth.shape}; expected (frames, height, width)")
    count = len(depth)
    names = _names(path, arrays, count)
    if not (np.isfinite(depth) & (np.nan_to_num(depth) > 0)).any():
        raise InferenceError(f"{path}: depth has no positive finite value; save z-depth along the optical axis")
    if "conf" in arrays:
        conf = _numbers(path, arrays, "conf", np.float32)
        _expect_shape(path, "conf", conf, depth.shape)
    else:
        conf = np.ones_like(depth)
    poses = _poses(path, _numbers(path, arrays, "extrinsics", np.float64), count, names)
    matrices = _intrinsics(path, _numbers(path, arrays, "intrinsics", np.float64), depth.shape, names)
    return PredictionFile(path, RawViews(depth, conf, poses, matrices), names, _pixel_maps(path, arrays, count))


def save_predictions(prediction: Prediction, path: Path) -> None:
    """Write a prediction so that `read_predictions` gives it back. Raises ExportError where the disk refuses.

    Beside the published arrays: `names`, `pixel_scale` and `pixel_offset` (original = network * scale + offset).
    """
    matrices = [
        pixel_map.intrinsics_to_network(K)
        for pixel_map, K in zip(prediction.pixel_maps, prediction.view_intrinsics, strict=True)
    ]
    arrays: dict[str, Any] = {
        "depth": prediction.depth,
        "conf": prediction.conf,
        "extrinsics": prediction.cam_from_world,
        "intrinsics": np.array(matrices).reshape(-1, 3, 3),
        "names": np.array(prediction.frames.names, dtype=np.str_),
        "pixel_scale": np.array([pixel_map.scale for pixel_map in prediction.pixel_maps]).reshape(-1, 2),
        "pixel_offset": np.array([pixel_map.offset for pixel_map in prediction.pixel_maps]).reshape(-1, 2),
    }
    unfinished = path.with_name(path.name + ".part")
    try:
        with unfinished.open("wb") as file:
            np.savez(file, **arrays)
        os.replace(unfinished, path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise ExportError(f"{path}: predictions cannot be written ({error.strerror}); choose another place") from error


def _load(path: Path) -> Mapping[str, NDArray[Any]]:
    if not path.exists():
        raise InferenceError(f"{path}: no such predictions file")
    try:
        return read_npz(path, _ARRAYS)
    except Exception as error:
        why = reason(error)
        raise InferenceError(f"{path}: is no npz of plain arrays ({why}); write it with numpy.savez") from error


def _numbers(path: Path, arrays: Mapping[str, NDArray[Any]], key: str, kind: type[np.floating[Any]]) -> NDArray[Any]:
    if key not in arrays:
        have = ", ".join(sorted(arrays)) or "none of the known arrays"
        raise InferenceError(f"{path}: has no array '{key}' (it has {have}); it needs depth, extrinsics and intrinsics")
    if arrays[key].dtype.kind not in "fiu":
        raise InferenceError(f"{path}: {key} holds {arrays[key].dtype}, not real numbers")
    with np.errstate(over="ignore"):
        return arrays[key].astype(kind)


def _expect_shape(path: Path, key: str, array: NDArray[Any], *shapes: tuple[int, ...]) -> None:
    if array.shape not in shapes:
        wanted = " or ".join(str(shape) for shape in shapes)
        raise InferenceError(f"{path}: {key} has shape {array.shape}; to go with depth it must be {wanted}")


def _names(path: Path, arrays: Mapping[str, NDArray[Any]], count: int) -> tuple[str, ...] | None:
    if "names" not in arrays:
        return None
    names = arrays["names"]
    _expect_shape(path, "names", names, (count,))
    if names.dtype.kind not in "US":
        raise InferenceError(f"{path}: names holds {names.dtype}, not text")
    texts = names.astype(np.str_) if names.dtype.kind == "U" else np.char.decode(names, "utf-8", "replace")
    listed = tuple(str(name) for name in texts)
    doubled = next((name for name, times in Counter(listed).items() if times > 1), None)
    if doubled is not None:
        raise InferenceError(f"{path}: names lists {doubled!r} twice; names must be unique")
    return listed


def _poses(path: Path, extrinsics: Float, count: int, names: tuple[str, ...] | None) -> Float:
    _expect_shape(path, "extrinsics", extrinsics, (count, 3, 4), (count, 4, 4))
    _reject(path, names, ~np.isfinite(extrinsics).all((1, 2)), "extrinsics", lambda i: "are not finite")
    if extrinsics.shape[1] == 4:
        bottom = np.abs(extrinsics[:, 3] - np.array([0.0, 0.0, 0.0, 1.0])).max(1) > 1e-4
        _reject(path, names, bottom, "extrinsics", lambda i: f"have a last row other than 0 0 0 1; {_CONVENTION}")
    rotation = extrinsics[:, :3, :3]
    shear = np.abs(rotation @ np.swapaxes(rotation, 1, 2) - np.eye(3)).max((1, 2))
    mirrored = (np.linalg.det(rotation) < 0) & (shear <= _SLIGHT_SHEAR)
    _reject(path, names, mirrored, "extrinsics", lambda i: f"are mirrored (determinant -1); {_CONVENTION}")
    _reject(
        path, names, shear > _SLIGHT_SHEAR, "extrinsics",
        lambda i: f"hold no rotation (R Rᵀ is off the identity by {shear[i]:.2g}); {_CONVENTION}",
    )  # fmt: skip
    return np.concatenate([nearest_rotation(rotation), extrinsics[:, :3, 3:]], axis=2)


def _intrinsics(path: Path, matrices: Float, depth_shape: tuple[int, ...], names: tuple[str, ...] | None) -> Float:
    count, height, width = depth_shape
    _expect_shape(path, "intrinsics", matrices, (count, 3, 3))
    _reject(path, names, ~np.isfinite(matrices).all((1, 2)), "intrinsics", lambda i: "are not finite")
    focals = matrices[:, [0, 1], [0, 1]]
    _reject(path, names, (focals <= 0).any(1), "intrinsics", lambda i: "have a focal length that is not positive")
    bottom = np.abs(matrices[:, 2] - np.array([0.0, 0.0, 1.0])).max(1) > 1e-6
    _reject(path, names, bottom, "intrinsics", lambda i: "have a last row other than 0 0 1")
    centre = matrices[:, :2, 2] / (width, height)
    outside = (np.abs(centre - 0.5) > 1.0).any(1)
    _reject(
        path, names, outside, "intrinsics",
        lambda i: f"have their principal point far outside the {width} x {height} depth map; "
        "give them in the depth maps' pixels",
    )  # fmt: skip
    return matrices


def _pixel_maps(path: Path, arrays: Mapping[str, NDArray[Any]], count: int) -> tuple[PixelMap, ...] | None:
    if "pixel_scale" not in arrays and "pixel_offset" not in arrays:
        return None
    scale, offset = (_numbers(path, arrays, key, np.float64) for key in ("pixel_scale", "pixel_offset"))
    for key, array in (("pixel_scale", scale), ("pixel_offset", offset)):
        _expect_shape(path, key, array, (count, 2))
        if not np.isfinite(array).all():
            raise InferenceError(f"{path}: {key} is not finite")
    if (scale <= 0).any():
        raise InferenceError(f"{path}: pixel_scale is not positive")
    pairs = zip(scale, offset, strict=True)
    return tuple(PixelMap((float(s[0]), float(s[1])), (float(o[0]), float(o[1]))) for s, o in pairs)


def _reject(path: Path, names: tuple[str, ...] | None, bad: Any, key: str, complaint: Callable[[int], str]) -> None:
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise InferenceError(f"{path}: the {key} of {_label(names, first)} {complaint(first)}")


def _label(names: tuple[str, ...] | None, index: int) -> str:
    return f"{names[index]!r}" if names is not None else f"frame {index} (counted from 0)"
