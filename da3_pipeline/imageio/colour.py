"""Embedded colour profiles: to sRGB, which is what trainers take every picture for."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms

__all__ = ["described_profile", "in_srgb", "is_srgb"]

_SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK", "LAB": "Lab"}
_SAME = 3  # levels between profiles that call themselves sRGB


def in_srgb(image: Image.Image) -> Image.Image:
    """An image of mode RGB, L, CMYK or LAB as RGB in sRGB by its embedded profile; CMYK without one by Pillow's rule.

    Relative colorimetric with black point compensation. A profile that is broken, or of another kind than the pixels,
    is ignored.
    """
    transform = _transform(_profile(image), image.mode)
    if transform is None:
        return image if image.mode == "RGB" else image.convert("RGB")
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None  # not in place
    return converted


def is_srgb(image: Image.Image) -> bool:
    """Whether the pixels are sRGB as they are, as far as the file says."""
    return _transform(_profile(image), image.mode) is None


def described_profile(image: Image.Image) -> tuple[str, ...]:
    """What is done about the profile, a clause for the report; empty where nothing is."""
    profile = _profile(image)
    if not profile or _transform(profile, image.mode) is None:
        return ()
    return (f"{_description(profile)}, converted to sRGB",)


def _profile(image: Image.Image) -> bytes:
    if image.mode == "LAB":
        return b"LAB"
    profile = image.info.get("icc_profile")
    return profile if isinstance(profile, bytes) else b""


@lru_cache(maxsize=32)
def _transform(profile: bytes, mode: str) -> Any:
    """None where nothing is to be done, or can be."""
    if not profile or mode not in _SPACES:
        return None
    try:
        source: Any = (
            ImageCms.createProfile("LAB") if profile == b"LAB" else ImageCms.ImageCmsProfile(io.BytesIO(profile))
        )
        if profile != b"LAB" and source.profile.xcolor_space.strip() != _SPACES[mode]:
            return None
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return None if mode == "RGB" and _changes_nothing(transform) else transform


def _changes_nothing(transform: Any) -> bool:
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(27, 27, 3)
    converted = ImageCms.applyTransform(Image.fromarray(cube), transform)
    return bool(np.abs(np.asarray(converted).astype(int) - cube).max() <= _SAME)


@lru_cache(maxsize=32)
def _description(profile: bytes) -> str:
    try:
        said = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError):
        said = ""
    return " ".join("".join(c if c.isprintable() else " " for c in said).split())[:60] or "another colour space"
