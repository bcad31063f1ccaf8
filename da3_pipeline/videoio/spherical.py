"""What a container says of video that shows all around: its projection, how much of the sphere, one eye or two."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import av
from av.sidedata.sidedata import Type

__all__ = ["Spherical", "spherical_of"]

_EQUIRECTANGULAR = "equirectangular"
_PROJECTIONS = (_EQUIRECTANGULAR, "cube map", _EQUIRECTANGULAR, "half of a sphere", "flat", "fisheye", "immersive")
_HALF = 3  # AV_SPHERICAL_HALF_EQUIRECTANGULAR


@dataclass(frozen=True)
class Spherical:
    """projection: 'equirectangular', or what else it is. left, top, right, bottom: shares of the whole sphere's width
    and height that the picture lacks. stereo: two pictures in one."""

    projection: str
    left: float = 0.0
    top: float = 0.0
    right: float = 0.0
    bottom: float = 0.0
    stereo: bool = False

    @property
    def is_equirectangular(self) -> bool:
        return self.projection == _EQUIRECTANGULAR


def spherical_of(frame: av.VideoFrame) -> Spherical | None:
    """Of Google's spherical video metadata, 1 (an XML box) or 2 (sv3d and st3d), and Matroska's; None without any.

    The bytes are FFmpeg's AVSphericalMapping (projection, yaw, pitch, roll, then the bounds as 0.32 fixed point) and
    AVStereo3D (the first field is 0 for one eye). Where the first view looks is a player's concern.
    """
    mapping = frame.side_data.get(Type.SPHERICAL)
    if mapping is None:
        return None
    kind, *_ = struct.unpack_from("=i3i", bytes(mapping))
    bounds = [share / 2**32 for share in struct.unpack_from("=4I", bytes(mapping), 16)]
    projection = _PROJECTIONS[kind] if kind < len(_PROJECTIONS) else f"projection {kind}"
    stereo = frame.side_data.get(Type.STEREO3D)
    both_eyes = stereo is not None and struct.unpack_from("=i", bytes(stereo))[0] != 0
    left, top, right, bottom = bounds if kind != _HALF else (0.0,) * 4
    return Spherical(projection, left, top, right, bottom, both_eyes)
