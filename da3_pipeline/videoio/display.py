"""How a stored picture is to be turned and mirrored for display."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import av
import numpy as np
from av.sidedata.sidedata import Type

from ..arrays import Bytes

__all__ = ["Display", "display_of"]


@dataclass(frozen=True)
class Display:
    """What makes a stored picture upright: left and right are swapped if `mirrored`, then it is turned.

    rotation_deg: counter-clockwise, in quarter turns, 0 to 270.
    """

    rotation_deg: int = 0
    mirrored: bool = False

    @property
    def sideways(self) -> bool:
        """Whether width and height change places."""
        return self.rotation_deg in (90, 270)

    def upright(self, stored: Bytes) -> Bytes:
        """(H, W, ...) pixels as a player shows them."""
        turned = np.rot90(stored[:, ::-1] if self.mirrored else stored, self.rotation_deg // 90)
        return np.ascontiguousarray(turned)


def display_of(frame: av.VideoFrame) -> Display:
    """As the display matrix of a frame asks, to the nearest quarter turn; as it is stored where there is none.

    The matrix [[a, b], [c, d]] moves stored (x, y), y down, to (a x + c y, b x + d y) in 16.16 fixed point
    (ISO 14496-12, FFmpeg's libavutil/display.h); a negative determinant mirrors.
    """
    matrix = frame.side_data.get(Type.DISPLAYMATRIX)
    if matrix is None:
        return Display()
    a, b, _, c, d = struct.unpack("=9i", bytes(matrix)[:36])[:5]
    mirrored = a * d - b * c < 0
    if mirrored:  # the swap of left and right comes first, and what is left of the matrix turns
        a, b = -a, -b
    return Display(round(-math.degrees(math.atan2(b - c, a + d)) / 90) * 90 % 360, mirrored)
