"""Photographs with truth, spoilt as captures are: what is still solved, and whether the verdict sees what is not."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from PIL import Image

from ...arrays import Bytes, Float
from ...errors import UsageError
from ...imageio import read_rgb
from ...types import Frame
from ..truth.scene_truth import SceneTruth, read_truth

__all__ = ["SPOILT", "SpoiltCase", "spoilt_cases"]

_JPEG_QUALITY = 95


def _texture(height: int, width: int, cell_px: int, seed: int) -> Bytes:
    """The same in all pictures: what a camera carries along."""
    cells = np.random.default_rng(seed).integers(0, 256, (height // cell_px + 1, width // cell_px + 1, 3), np.uint8)
    return np.asarray(cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR))


def _hood(picture: Bytes, number: int, rng: Generator) -> Bytes:
    """Of a car: over a quarter of the height."""
    rows = round(0.28 * len(picture))
    return np.concatenate([picture[:-rows], _texture(rows, picture.shape[1], 6, 7)])


def _frame(picture: Bytes, number: int, rng: Generator) -> Bytes:
    """Around the picture: a display's, a window's."""
    height, width = picture.shape[:2]
    margin, framed = round(0.12 * min(height, width)), _texture(height, width, 6, 8)
    framed[margin:-margin, margin:-margin] = picture[margin:-margin, margin:-margin]
    return framed


def _logo(picture: Bytes, number: int, rng: Generator) -> Bytes:
    """A broadcaster's, and subtitles that stay."""
    height, width = picture.shape[:2]
    spoilt = np.ascontiguousarray(picture)
    cv2.rectangle(spoilt, (width // 20, height // 20), (width // 3, height // 6), (250, 20, 30), cv2.FILLED)
    for text, x, y, size in (("CHANNEL 42 live 12:30", 15, 8, 0.04), ("Subtitles of a film that stay", 5, 1.1, 0.05)):
        scale = size * height / 22  # of a font 22 px high
        cv2.putText(spoilt, text, (width // x, int(height / y)), cv2.FONT_HERSHEY_DUPLEX, scale, (255, 255, 90), 2)
    return spoilt


def _bars(picture: Bytes, number: int, rng: Generator) -> Bytes:
    """Black, above and below."""
    rows = round(0.175 * len(picture))
    return np.pad(picture, ((rows, rows), (0, 0), (0, 0)))


def _border(picture: Bytes, number: int, rng: Generator) -> Bytes:
    """White, another around each picture: scans."""
    top, bottom, left, right = _margins(picture, rng, 0.12)
    return np.pad(picture, ((top, bottom), (left, right), (0, 0)), constant_values=255)


def _crop(picture: Bytes, number: int, rng: Generator) -> Bytes:
    """By hand, each in another way."""
    top, bottom, left, right = _margins(picture, rng, 0.18)
    return picture[top : len(picture) - bottom, left : picture.shape[1] - right]


def _equal_crop(picture: Bytes, number: int, rng: Generator) -> Bytes:
    """To one size, each at another place."""
    (top, left), (height, width) = rng.uniform(0, 0.25, 2), picture.shape[:2]
    top, left = int(top * height), int(left * width)
    return picture[top : top + 3 * height // 4, left : left + 3 * width // 4]


def _one_mirrored(picture: Bytes, number: int, rng: Generator) -> Bytes:
    """The sixth picture; it belongs nowhere."""
    return picture[:, ::-1] if number == 5 else picture


def _small(picture: Bytes, number: int, rng: Generator) -> Bytes:
    """320 px wide."""
    return _resized(picture, 320, round(320 * len(picture) / picture.shape[1]))


def _jpeg(picture: Bytes, number: int, rng: Generator) -> Bytes:
    """Of quality 12."""
    stored = io.BytesIO()
    Image.fromarray(picture).save(stored, "JPEG", quality=12)
    return np.asarray(Image.open(stored).convert("RGB"))


def _grain(picture: Bytes, number: int, rng: Generator) -> Bytes:
    """A sensor in the dark: 35 grey levels."""
    return np.clip(picture + rng.normal(0, 35, picture.shape), 0, 255).astype(np.uint8)


def _exposure(picture: Bytes, number: int, rng: Generator) -> Bytes:
    """Another gamma for each, 0.4 to 2.6."""
    return np.asarray(255 * (picture / 255) ** rng.uniform(0.4, 2.6)).astype(np.uint8)


def _zoom(picture: Bytes, number: int, rng: Generator) -> Bytes:
    """Digital, up to 1.8, another in each."""
    height, width = picture.shape[:2]
    part = 1 / rng.uniform(1, 1.8)
    rows, columns = int(height * part), int(width * part)
    top, left = (height - rows) // 2, (width - columns) // 2
    return _resized(picture[top : top + rows, left : left + columns], width, height)


def _squeeze(picture: Bytes, number: int, rng: Generator) -> Bytes:
    """To three quarters of the width: pixels that are not square."""
    return _resized(picture, 3 * picture.shape[1] // 4, len(picture))


def _turned(picture: Bytes, number: int, rng: Generator) -> Bytes:
    """By quarters, counter-clockwise, without a word in EXIF."""
    return np.ascontiguousarray(np.rot90(picture, number % 4))


def _blur(picture: Bytes, number: int, rng: Generator) -> Bytes:
    """Two of three."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 3.5)) if number % 3 else picture


def _finger(picture: Bytes, number: int, rng: Generator) -> Bytes:
    """Over a corner."""
    height, width = picture.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    inside = ((columns - width) / (0.45 * width)) ** 2 + ((rows - height) / (0.5 * height)) ** 2 < 1
    return np.where(inside[..., None], _texture(height, width, 40, 9), picture)


def _margins(picture: Bytes, rng: Generator, most: float) -> tuple[int, int, int, int]:
    top, bottom, left, right = rng.uniform(0, most, 4)
    height, width = picture.shape[:2]
    return int(top * height), int(bottom * height), int(left * width), int(right * width)


def _resized(picture: Bytes, width: int, height: int) -> Bytes:
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA))


SPOILT: dict[str, Callable[[Bytes, int, Generator], Bytes]] = {
    "hood": _hood,
    "frame": _frame,
    "logo": _logo,
    "bars": _bars,
    "border": _border,
    "crop": _crop,
    "equal crop": _equal_crop,
    "one mirrored": _one_mirrored,
    "small": _small,
    "jpeg": _jpeg,
    "grain": _grain,
    "exposure": _exposure,
    "zoom": _zoom,
    "squeeze": _squeeze,
    "turned": _turned,
    "blur": _blur,
    "finger": _finger,
}
"""From a picture (H, W, 3), its number in the capture and a generator of its own, to the spoilt one."""


@dataclass(frozen=True)
class SpoiltCase:
    """The photographs of a scene with truth, spoilt in one way of SPOILT."""

    truth: SceneTruth
    kind: str
    seed: int

    @property
    def scene(self) -> str:
        return self.truth.folder.name

    @property
    def key(self) -> str:
        return f"{self.scene}-{self.kind.replace(' ', '-')}-{self.seed}"

    @property
    def measured(self) -> bool:
        return self.truth.measured

    def source(self, scratch: Path) -> Path:
        """A folder of spoilt pictures, as JPEG."""
        folder = scratch / "images"
        for number, name in enumerate(self.truth.names):
            picture = read_rgb(self.truth.images / name)
            spoilt = SPOILT[self.kind](picture, number, np.random.default_rng((self.seed, number)))
            stored = folder / _stored_as(name)
            stored.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.ascontiguousarray(spoilt)).save(stored, quality=_JPEG_QUALITY)
        return folder

    def truths_of(self, frames: Sequence[Frame]) -> list[dict[str, Float]]:
        """The poses of the cameras, turned where the pictures were. A mirrored one has none that is right: that it is
        left out costs less than a tenth of the images."""
        poses = dict(zip(map(_stored_as, self.truth.names), self.truth.cam_from_world, strict=True))
        if self.kind == "turned":
            poses = {name: _quarter_turns(number % 4) @ pose for number, (name, pose) in enumerate(poses.items())}
        return [poses]


def spoilt_cases(scenes: Sequence[Path], kinds: Sequence[str], seed: int) -> list[SpoiltCase]:
    """Every scene in every way of SPOILT, or in those of `kinds`. Raises UsageError for one that is none."""
    for kind in kinds:
        if kind not in SPOILT:
            raise UsageError(f"{kind!r}: pictures are not spoilt so; there are {', '.join(SPOILT)}")
    return [SpoiltCase(truth, kind, seed) for truth in map(read_truth, scenes) for kind in kinds or SPOILT]


def _stored_as(name: str) -> str:
    return Path(name).with_suffix(".jpg").as_posix()


def _quarter_turns(quarters: int) -> Float:
    """(3, 3) from a camera to one whose pictures are turned counter-clockwise by so many quarters."""
    cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarters]
    return np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]], float)
