"""What the report says about how the frames were filmed: sharpness, light and what they are used for, by source."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ...types import Exposure, Frame
from ..config import ReportConfig

__all__ = ["capture_document", "capture_rows", "light_curves"]

_PHOTOGRAPHS = "photographs"
_CURVE = (420.0, 80.0)
_LEAST_RANGE = 1.0  # stops, of the height of a curve


def capture_document(frames: Sequence[Frame], config: ReportConfig) -> list[dict[str, Any]]:
    """A row for the photographs and for each video; plain values, None where nothing is known.

    stops_range: how much light changes from its darkest to its brightest frame, as a power of two; of videos by what
    is tracked, of photographs by the settings in EXIF.
    """
    return [_source(name, members, config.clipped_share) for name, members in _by_source(frames).items()]


def _by_source(frames: Sequence[Frame]) -> dict[str, list[Frame]]:
    groups: dict[str, list[Frame]] = {}
    for frame in frames:
        groups.setdefault((frame.video or _PHOTOGRAPHS).partition("#")[0], []).append(frame)
    return groups


def _source(name: str, frames: Sequence[Frame], clipped_share: float) -> dict[str, Any]:
    light = [frame.exposure or Exposure() for frame in frames]
    brightness = [item.brightness for item in light if item.brightness is not None]
    clipped = [
        item.dark_share + item.bright_share
        for item in light
        if item.dark_share is not None and item.bright_share is not None
    ]
    stops = [value for value in (_stops(item) for item in light) if value is not None]
    sharp = [frame.sharpness for frame in frames if frame.sharpness]
    return {
        "source": name,
        "pixels": list(dict.fromkeys(clause for frame in frames for clause in frame.pixels)),
        "frames": len(frames),
        "training": sum(frame.training for frame in frames),
        "doubtful": sum(frame.training and frame.remark is not None for frame in frames),
        "sharpness_median": float(np.median(sharp)) if sharp else None,
        "brightness_min": min(brightness, default=None),
        "brightness_max": max(brightness, default=None),
        "clipped_frames": sum(share > clipped_share for share in clipped),
        "stops_range": max(stops) - min(stops) if len(stops) > 1 else None,
    }


def _stops(exposure: Exposure) -> float | None:
    """Light let in, as a power of two, up to a constant that the frames of one source share."""
    if exposure.stops is not None:
        return exposure.stops
    if exposure.time_s and exposure.iso:
        return math.log2(exposure.time_s * exposure.iso / (exposure.f_number or 1.0) ** 2)
    return None


def capture_rows(capture: Sequence[Mapping[str, Any]], config: ReportConfig) -> Iterator[tuple[str, str, str]]:
    """Source, its frames, and what is to be known about them, for people; from the `capture` of a report."""
    for row in capture:
        spare = row["frames"] - row["training"]
        value = f"{row['training']} frames" + (f" and {spare} for the poses only" if spare else "")
        yield row["source"], value, "; ".join(_remarks(row, config)) or "nothing remarkable"


def _remarks(row: Mapping[str, Any], config: ReportConfig) -> Iterator[str]:
    yield from row["pixels"]
    if row["doubtful"]:
        yield f"{row['doubtful']} are blurred and used because nothing sharper shows the same"
    if row["stops_range"] is not None and row["stops_range"] >= config.uneven_stops:
        yield f"exposure changes by {row['stops_range']:.1f} stops: lock it while filming"
    elif row["stops_range"] is not None:
        yield f"exposure even within {row['stops_range']:.1f} stops"
    if row["clipped_frames"]:
        yield f"{row['clipped_frames']} have more than {config.clipped_share:.0%} of their pixels black or white"


def light_curves(
    frames: Sequence[Mapping[str, Any]], capture: Sequence[Mapping[str, Any]]
) -> list[tuple[str, str, str]]:
    """Of each video: its name, what the curve says, and the path (420 x 80) of its exposure over time."""
    curves = []
    for source in (row["source"] for row in capture):
        points = [
            (row["time_s"], row["exposure"]["stops"])
            for row in frames
            if row["video"] == source and None not in (row["time_s"], row["exposure"]["stops"])
        ]
        if len(points) > 1:
            times, stops = np.array(points).T
            extent = max(float(np.ptp(stops)), _LEAST_RANGE)
            x = (times - times[0]) / max(float(np.ptp(times)), 1e-9) * _CURVE[0]
            y = _CURVE[1] * (0.5 - 0.9 * (stops - (stops.max() + stops.min()) / 2) / extent)
            path = "M" + "L".join(f"{across:.1f} {down:.1f}" for across, down in zip(x, y, strict=True))
            label = f"{times[-1] - times[0]:.1f} s, from {stops.min():+.2f} to {stops.max():+.2f} stops"
            curves.append((source, label, path))
    return curves
