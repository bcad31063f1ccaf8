"""What a camera does to the light, view by view: exposure, colour cast, tone, vignette, blur, noise, JPEG."""

from __future__ import annotations

import cv2
import numpy as np

from ...arrays import Bytes, Float32

__all__ = ["photograph"]

_GREY = 0.45
_MOST_GAIN = 4.0


def photograph(image: Bytes, rng: np.random.Generator) -> Bytes:
    """The (H, W, 3) uint8 RGB rendering as some camera would have recorded it."""
    picture = image.astype(np.float32) * (1 / 255)
    metered = (_GREY / max(float(picture.mean()), 1e-3)) ** 0.8
    picture *= (min(metered, _MOST_GAIN) * np.exp(rng.normal(0, 0.07)) * np.exp(rng.normal(0, 0.03, 3))).astype(
        np.float32
    )
    picture = np.power(picture.clip(0, 1), np.float32(np.exp(rng.normal(0, 0.07))))
    picture = (picture - _GREY) * np.float32(np.exp(rng.normal(0, 0.08))) + np.float32(_GREY)
    if rng.random() < 0.1:
        picture = picture + np.float32(rng.uniform(0, 0.6)) * (picture.mean(-1, keepdims=True) - picture)
    if rng.random() < 0.2:
        picture *= _vignette(image.shape[:2], rng.uniform(0.1, 0.4))
    if rng.random() < 0.2:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 0.7) * max(1.0, image.shape[1] / 224))
    picture += rng.normal(0, 1, picture.shape).astype(np.float32) * np.float32(rng.uniform(0, 0.012))
    recorded = (picture.clip(0, 1) * 255).astype(np.uint8)
    if rng.random() < 0.3:
        quality = int(rng.integers(40, 95))
        _, encoded = cv2.imencode(".jpg", recorded, [cv2.IMWRITE_JPEG_QUALITY, quality])
        recorded = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
    return recorded


def _vignette(shape: tuple[int, ...], strength: float) -> Float32:
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    return (1 - strength * (x * x + y * y) / 2)[..., None].astype(np.float32)
