"""The picture of an image as it is shown: plain, with its observations, or with depth or confidence laid over it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

import cv2
import numpy as np

from ..arrays import Bytes, Float32
from ..guard.bounded import read_npy
from ..imageio import read_rgb
from .session import SessionImage, SessionScene
from .told import inside

__all__ = ["OVERLAYS", "Picture", "available_overlays", "picture_of", "thumbnail_of"]


OVERLAYS = ("picture", "tracks", "depth", "confidence")

_SIDE_PX = 640
_THUMBNAIL_PX = 96
_MAP_SIDE_PX = 320
_MEASURED, _FROM_DEPTH = (64, 255, 64), (255, 160, 32)
_OPACITY = 0.7
_PER_UNIT = 1000.0  # of depths/, as the exporter writes them
_GREY = 90


@dataclass(frozen=True)
class Picture:
    """rgb (H, W, 3) and one sentence about what it shows."""

    rgb: Bytes
    caption: str


def available_overlays(scene: SessionScene) -> tuple[str, ...]:
    """What can be shown of the images of this session, in the order of OVERLAYS."""
    depth = scene.stored is not None or (scene.folder / "depths").is_dir()
    possible = {
        "picture": True,
        "tracks": len(scene.points) > 0,
        "depth": depth,
        "confidence": scene.stored is not None,
    }
    return tuple(name for name in OVERLAYS if possible[name])


def thumbnail_of(image: SessionImage) -> Bytes | None:
    """A picture small enough for a thousand of them; None where the file is missing or cannot be read."""
    try:
        return None if image.path is None else read_rgb(image.path, max_side_px=_THUMBNAIL_PX)
    except (OSError, MemoryError):
        return None


def picture_of(scene: SessionScene, index: int, overlay: str) -> Picture:
    """Image `index` with an overlay of OVERLAYS. A missing image is grey, and the overlay is shown all the same."""
    image = scene.images[index]
    try:
        if image.path is None:
            raise FileNotFoundError
        rgb, caption = read_rgb(image.path, max_side_px=_SIDE_PX), ""
    except (OSError, MemoryError):
        width, height = _fitted(image, _SIDE_PX)
        name = PurePosixPath(image.name).name
        rgb, caption = np.full((height, width, 3), _GREY, np.uint8), f"{name} cannot be read. "
    if overlay == "tracks":
        shown = _with_tracks(rgb, scene, index)
    elif overlay == "depth":
        shown = _with_depth(rgb, scene, image)
    elif overlay == "confidence":
        shown = _with_confidence(rgb, scene, image)
    else:
        shown = Picture(rgb, "")
    return Picture(shown.rgb, caption + shown.caption)


def _with_tracks(rgb: Bytes, scene: SessionScene, index: int) -> Picture:
    """The observations of the image: green where they were measured, orange where they are projections."""
    image, seen = scene.images[index], scene.observations(index)
    height, width = rgb.shape[:2]
    drawn = rgb.copy()
    measured = scene.measured[seen.points]
    places = seen.xy * [width / image.camera.width, height / image.camera.height]
    for (x, y), own in zip(places.tolist(), measured.tolist(), strict=True):
        colour = _MEASURED if own else _FROM_DEPTH
        cv2.circle(drawn, (round(x - 0.5), round(y - 0.5)), 2, colour, 1, cv2.LINE_AA)
    caption = f"{int(measured.sum())} measured observations"
    others = len(measured) - int(measured.sum())
    return Picture(drawn, f"{caption}, {others} from depth." if others else f"{caption}.")


def _with_depth(rgb: Bytes, scene: SessionScene, image: SessionImage) -> Picture:
    depth, source = _exported_depth(scene, image), "depths/"
    if depth is None and scene.stored is not None:
        depth, source = scene.stored.depth(image.name, image.camera, _fitted(image, _MAP_SIDE_PX)), "the prior"
    if depth is None or not np.isfinite(depth).any():
        return Picture(rgb, "No depth is known of this image.")
    near, far = np.nanpercentile(depth, (2, 98))
    caption = f"Depth of {source}: {near:.3g} (bright) to {far:.3g} (dark) units of the scene."
    return Picture(_blended(rgb, np.reciprocal(depth), cv2.COLORMAP_INFERNO), caption)


def _with_confidence(rgb: Bytes, scene: SessionScene, image: SessionImage) -> Picture:
    if scene.stored is None:
        return Picture(rgb, "No confidence is known of this image.")
    confidence = scene.stored.confidence(image.name, image.camera, _fitted(image, _MAP_SIDE_PX))
    if not np.isfinite(confidence).any():
        return Picture(rgb, "No confidence is known of this image.")
    low, high = np.nanpercentile(confidence, (2, 98))
    caption = f"Confidence of the prior: {low:.3g} (dark) to {high:.3g} (bright)."
    return Picture(_blended(rgb, confidence, cv2.COLORMAP_VIRIDIS), caption)


def _exported_depth(scene: SessionScene, image: SessionImage) -> Float32 | None:
    """(h, w) z-depth in scene units from depths/, NaN where it is not known; None where there is no such map."""
    path = inside(scene.folder, f"depths/{PurePosixPath(image.name).with_suffix('')}.npy")
    try:
        stored = None if path is None else read_npy(path)
    except Exception:  # as good as none
        stored = None
    if stored is None:
        return None
    if stored.ndim != 2 or stored.dtype.kind != "f":
        return None
    return np.where(stored > 0, stored / _PER_UNIT, np.nan).astype(np.float32)


def _blended(rgb: Bytes, values: Float32, colours: int) -> Bytes:
    """Values in colour, between their 2nd and 98th percentile, over the picture; dark where none is known."""
    known = np.isfinite(values)
    low, high = np.percentile(values[known], (2, 98))
    level = np.clip((np.where(known, values, low) - low) / max(float(high - low), 1e-12), 0, 1)
    coloured = cv2.applyColorMap((255 * level).astype(np.uint8), colours)[:, :, ::-1]
    size = (rgb.shape[1], rgb.shape[0])
    coloured = cv2.resize(np.ascontiguousarray(coloured), size, interpolation=cv2.INTER_LINEAR)
    seen = cv2.resize(known.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)[:, :, None] > 0
    return np.where(seen, (1 - _OPACITY) * rgb + _OPACITY * coloured, rgb // 3).astype(np.uint8)


def _fitted(image: SessionImage, side_px: int) -> tuple[int, int]:
    """Width and height of the image reduced to a longer side."""
    shrink = min(1.0, side_px / max(image.camera.width, image.camera.height))
    return max(1, round(image.camera.width * shrink)), max(1, round(image.camera.height * shrink))
