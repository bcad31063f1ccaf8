"""Which way is up in a picture, as a drone's gimbal or a panorama's camera measured it."""

from __future__ import annotations

import math
import re

__all__ = ["read_up"]

_ANGLE = r"""(?:drone-dji:Gimbal{0}Degree|GPano:Pose{0}Degrees)\s*(?:=\s*["']|>)\s*([+-]?[0-9.]+)"""
_ROLL, _PITCH = (re.compile(_ANGLE.format(name)) for name in ("Roll", "Pitch"))


def read_up(xmp: bytes) -> tuple[float, float, float] | None:
    """Unit vector in the camera (x right, y down, z ahead) from DJI's XMP or GPano's; None where it does not tell.

    Pitch is 0 level and -90 straight down, roll positive with the right side down: degrees against the horizon. Of a
    picture that is stored on its side the vector is that of the picture as stored.
    """
    text = xmp.decode("utf-8", "replace")
    roll, pitch = (_degrees(pattern, text) for pattern in (_ROLL, _PITCH))
    if roll is None or pitch is None or abs(pitch) > 180 or abs(roll) > 180:
        return None
    roll, pitch = math.radians(roll), math.radians(pitch)
    return (-math.sin(roll) * math.cos(pitch), -math.cos(roll) * math.cos(pitch), math.sin(pitch))


def _degrees(pattern: re.Pattern[str], text: str) -> float | None:
    found = pattern.search(text)
    try:
        return float(found[1]) if found else None
    except ValueError:
        return None
