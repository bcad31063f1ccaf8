"""Where two fisheye lenses draw in one picture, as a JSON file tells it (docs/CAPTURE.md).

Either a field of view alone, of two equal equidistant lenses back to back, whose circles fill the halves of the
picture, the right one ahead, as FFmpeg's v360 has it (dfisheye with ih_fov and iv_fov); or the width and height of the
picture and both lenses, in the terms of COLMAP's rig_config.json: camera_params of OPENCV_FISHEYE in pixels of the
whole picture, cam_from_rig_rotation and cam_from_rig_translation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from ...errors import CaptureError
from ...geometry.equirectangular import FisheyeLens, FisheyePair
from ...guard.bounded import read_json
from ...guard.foreign import reading

__all__ = ["FisheyePairFile", "read_fisheye_pair"]

_PAIR = frozenset({"width", "height", "lenses"})
_LENS = frozenset(
    {"camera_model_name", "camera_params", "fov_deg", "cam_from_rig_rotation", "cam_from_rig_translation"}
)
_SHAPE = 0.01  # relative difference of shapes that is rounding
_UNIT = 0.01  # how far a quaternion may be from unit length
_EXAMPLE = 'give {"fov_deg": 190}, or width, height and two lenses (docs/CAPTURE.md)'
_AHEAD, _BEHIND = (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0)


@dataclass(frozen=True)
class FisheyePairFile:
    """pair: at the size that the file speaks of; fov_deg: instead, of two ideal lenses whatever the size."""

    path: Path
    pair: FisheyePair | None = None
    fov_deg: float = 0.0

    def at(self, width: int, height: int) -> FisheyePair | None:
        """Of a picture of this size; None where it has not the shape."""
        if self.pair is None:
            return _ideal(width, height, self.fov_deg) if abs(width / (2 * height) - 1) <= _SHAPE else None
        across, down = width / self.pair.width, height / self.pair.height
        if abs(across / down - 1) > _SHAPE:
            return None
        return FisheyePair(
            width, height, tuple(_resized(lens, width, height, across, down) for lens in self.pair.lenses)
        )


@reading(CaptureError, _EXAMPLE)
def read_fisheye_pair(path: Path) -> FisheyePairFile:
    """Raises CaptureError, in one line, for a file that cannot be read or tells no two lenses."""
    try:
        document = read_json(path)
    except ValueError as error:
        raise CaptureError(f"{path}: no JSON ({error}); {_EXAMPLE}") from error
    if not isinstance(document, dict):
        raise CaptureError(f"{path}: no geometry of two fisheye lenses; {_EXAMPLE}")
    if document.keys() == {"fov_deg"}:
        return FisheyePairFile(path, fov_deg=_field(document["fov_deg"], f"{path}"))
    _known(document, _PAIR, f"{path}")
    lenses = document.get("lenses")
    size = [
        int(side) for side in _numbers([document.get("width"), document.get("height")], 2, f"{path}: width, height")
    ]
    if min(size) < 1 or not isinstance(lenses, list) or len(lenses) != 2:
        raise CaptureError(f"{path}: it does not tell the size of the picture and two lenses; {_EXAMPLE}")
    first, second = (
        _lens(lens, size, turned, f"{path}: lens {number}")
        for number, (lens, turned) in enumerate(zip(lenses, (_AHEAD, _BEHIND), strict=True), start=1)
    )
    return FisheyePairFile(path, FisheyePair(size[0], size[1], (first, second)))


def _lens(fields: Any, size: list[int], turned: tuple[float, ...], where: str) -> FisheyeLens:
    if not isinstance(fields, dict):
        raise CaptureError(f"{where} is no object; {_EXAMPLE}")
    _known(fields, _LENS, where)
    if fields.get("camera_model_name", "OPENCV_FISHEYE") != "OPENCV_FISHEYE":
        raise CaptureError(f"{where}: camera_model_name must be OPENCV_FISHEYE (fx, fy, cx, cy, k1, k2, k3, k4)")
    params = _numbers(fields.get("camera_params"), 8, f"{where}: camera_params of OPENCV_FISHEYE")
    if min(params[:2]) <= 0:
        raise CaptureError(f"{where}: camera_params begin with focal lengths, which are positive; correct the file")
    quaternion = _numbers(fields.get("cam_from_rig_rotation", list(turned)), 4, f"{where}: cam_from_rig_rotation")
    if abs(float(np.linalg.norm(quaternion)) - 1) > _UNIT:
        raise CaptureError(f"{where}: cam_from_rig_rotation is no unit quaternion (w, x, y, z); correct the file")
    rotation = Rotation.from_quat(np.roll(quaternion, -1)).as_matrix()
    moved = _numbers(fields.get("cam_from_rig_translation", [0, 0, 0]), 3, f"{where}: cam_from_rig_translation")
    return FisheyeLens(
        size[0],
        size[1],
        tuple(params),
        _field(fields.get("fov_deg"), where) / 2,
        tuple(rotation.ravel().tolist()),
        tuple((-rotation.T @ moved + 0.0).tolist()),
    )


def _ideal(width: int, height: int, fov_deg: float) -> FisheyePair:
    focal_px = height / np.radians(fov_deg)
    lens = (focal_px, focal_px, width / 4, height / 2, 0.0, 0.0, 0.0, 0.0)
    behind = Rotation.from_quat(np.roll(_BEHIND, -1)).as_matrix() + 0.0
    left = FisheyeLens(width, height, lens, fov_deg / 2, tuple(behind.ravel().tolist()))
    right = FisheyeLens(width, height, (*lens[:2], 3 * width / 4, *lens[3:]), fov_deg / 2)
    return FisheyePair(width, height, (left, right))


def _resized(lens: FisheyeLens, width: int, height: int, across: float, down: float) -> FisheyeLens:
    fx, fy, cx, cy, *bend = lens.params
    return replace(lens, width=width, height=height, params=(fx * across, fy * down, cx * across, cy * down, *bend))


def _known(fields: dict[str, Any], names: frozenset[str], where: str) -> None:
    strange = sorted(fields.keys() - names)
    if strange:
        raise CaptureError(f"{where}: what {strange[0]!r} means is not known; there are {', '.join(sorted(names))}")


def _field(value: Any, where: str) -> float:
    (fov_deg,) = _numbers([value], 1, f"{where}: fov_deg")
    if not 90 <= fov_deg < 360:
        raise CaptureError(f"{where}: fov_deg is {fov_deg:g}; give the field of one lens, 180 to 250 as a rule")
    return fov_deg


def _numbers(values: Any, count: int, what: str) -> list[float]:
    try:
        found = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        found = np.zeros(0)
    if found.shape != (count,) or not np.isfinite(found).all():
        raise CaptureError(f"{what}: {count} numbers are needed; correct the file")
    return [float(value) for value in found]
