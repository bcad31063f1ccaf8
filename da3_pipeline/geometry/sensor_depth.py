"""What a device measured beside pictures: depth maps on disk, and what is known of the frames of a video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..arrays import Float
from .cameras import PixelMap

__all__ = ["KnownFrames", "SensorDepth"]


@dataclass(frozen=True)
class SensorDepth:
    """A depth map that was measured or stored beside a picture: z-depth, before EXIF's orientation of the picture.

    unit: length of one stored number, in metres, or, where `metric` is False, in units of the known poses.
    shape: (rows, columns) of a file that does not tell it. confidence: an image of it, of the same shape; what is
    below `least_confidence` is unknown there. pixel_map: from pixels of the depth map to those of the stored picture;
    None where it covers the whole picture. quarter_turns: clockwise, from the stored picture to the upright one.
    """

    path: Path
    unit: float
    metric: bool = True
    shape: tuple[int, int] | None = None
    confidence: Path | None = None
    least_confidence: float = 0.0
    pixel_map: PixelMap | None = None
    quarter_turns: int = 0


@dataclass(frozen=True)
class KnownFrames:
    """What another program knows of a video's frames, upright as players show them, by their number.

    program: whose project told it, a prior; None: to be kept. cam_from_world (F, 3, 4): NaN where it is not known.
    metric: they are in metres. up: unit vector against gravity in their world.
    """

    program: str | None
    cam_from_world: Float
    depth: dict[int, SensorDepth]
    metric: bool = False
    up: tuple[float, float, float] | None = None
