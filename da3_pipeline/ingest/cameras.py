"""Which frames were taken by the same camera: one id a device, lens, focal setting and image size."""

from __future__ import annotations

from collections.abc import Hashable

from .exif import CameraFacts
from .names import UniqueNames, identifier
from .photos import Photo

__all__ = ["CameraRegister"]


class CameraRegister:
    """Gives every distinct camera a readable id that is fit for a file name, the same one each time it is asked."""

    def __init__(self) -> None:
        self._ids: dict[Hashable, str] = {}
        self._labels = UniqueNames()

    def photo(self, photo: Photo) -> str:
        """Device, lens, serial number, focal length and size by EXIF; without EXIF, all of a source of one size."""
        return self._lens(photo.facts, photo.width, photo.height, photo.file.source)

    def clip(self, name: str, facts: CameraFacts, width: int, height: int) -> str:
        """By device and lens where the container tells the lens; otherwise the clip has a camera of its own.

        Without that, two clips of one phone may well be through different lenses.
        """
        if facts.lens or facts.focal_35mm:
            return self._lens(facts, width, height, None)
        return self._id(("clip", name), identifier(name.rsplit(".", 1)[0], f"{width}x{height}"))

    def _lens(self, facts: CameraFacts, width: int, height: int, source: int | None) -> str:
        size = f"{width}x{height}"
        known = bool(facts.model or facts.focal_mm or facts.focal_35mm)
        if not known:
            return self._id(("unknown", source, width, height), identifier("unknown", size))
        key = (facts.make, facts.model, facts.serial, facts.lens, facts.focal_mm, facts.focal_35mm, width, height)
        focal = f"{facts.focal_mm:.4g}mm" if facts.focal_mm else ""
        return self._id(key, identifier(facts.device or "unknown", focal, size))

    def _id(self, key: Hashable, label: str) -> str:
        if key not in self._ids:
            self._ids[key] = self._labels.claim(label, before_suffix=False)
        return self._ids[key]
