"""Which frames were taken by the same camera: one id a device, lens, focal setting and image size; and which by one
lens, whatever the size: upright and on its side, or stored smaller."""

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

    @staticmethod
    def lens_of_photo(photo: Photo) -> str:
        """Equal for photographs of one lens at one setting, as `photo` is for those of one size, too."""
        facts = photo.facts
        return _lens_name("photo", facts) if _is_known(facts) else f"unknown {photo.file.source}"

    @staticmethod
    def lens_of_clip(facts: CameraFacts) -> str | None:
        """As `lens_of_photo`, for clips: a video crops the sensor in its own way. None where it may be any lens."""
        return _lens_name("clip", facts) if facts.lens or facts.focal_35mm else None

    def _lens(self, facts: CameraFacts, width: int, height: int, source: int | None) -> str:
        size = f"{width}x{height}"
        if not _is_known(facts):
            return self._id(("unknown", source, width, height), identifier("unknown", size))
        key = (*_setting(facts), width, height)
        focal = f"{facts.focal_mm:.4g}mm" if facts.focal_mm else ""
        return self._id(key, identifier(facts.device or "unknown", focal, size))

    def _id(self, key: Hashable, label: str) -> str:
        if key not in self._ids:
            self._ids[key] = self._labels.claim(label, before_suffix=False)
        return self._ids[key]


def _is_known(facts: CameraFacts) -> bool:
    return bool(facts.model or facts.focal_mm or facts.focal_35mm)


def _setting(facts: CameraFacts) -> tuple[Hashable, ...]:
    """Device, lens and focal length; pictures cropped by a digital zoom are as if of another lens."""
    device = (facts.make, facts.model, facts.serial, facts.lens)
    return (*device, facts.focal_mm, facts.focal_35mm, facts.zoom)


def _lens_name(kind: str, facts: CameraFacts) -> str:
    return " ".join([kind, *(repr(part) for part in _setting(facts))])
