"""Photographs that are smeared beside their neighbours do not go into training; what is even, or few, is left alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from da3_pipeline.imageio import write_rgb
from da3_pipeline.progress import SilentProgress
from da3_pipeline.select.light import light_of
from da3_pipeline.select.photographs import look_at_photographs, smeared
from da3_pipeline.types import Frame, Light

Views = Callable[..., list[np.ndarray]]


def photographs(folder: Path, pictures: list[np.ndarray]) -> list[Frame]:
    frames = []
    for number, picture in enumerate(pictures):
        path = folder / f"{number:02d}.png"
        write_rgb(path, picture)
        height, width = picture.shape[:2]
        frames.append(Frame(path.name, path, width, height, "phone", path.name))
    return frames


def test_three_in_ten_smeared_photographs_are_found(tmp_path: Path, views: Views) -> None:
    blurred = [2, 5, 6, 11, 14, 17]
    photos = photographs(tmp_path, views(3, np.arange(20) * 40.0, blurred=blurred))
    looked_at = look_at_photographs(photos, SilentProgress())
    assert [number for number, photo in enumerate(looked_at) if not photo.training] == blurred
    assert [replace(a, training=True, sharpness=None, light=None) for a in looked_at] == photos


def test_content_alone_makes_nothing_smeared(tmp_path: Path, views: Views) -> None:
    """From a rich wall to a plain one and back, ten times less detail in the middle."""
    rich = views(3, np.arange(18) * 40.0)
    plain = [np.asarray(128 + (picture.astype(float) - 128) * 0.15, np.uint8) for picture in rich]
    photos = photographs(tmp_path, rich[:6] + plain[6:12] + rich[12:])
    assert all(photo.training for photo in look_at_photographs(photos, SilentProgress()))


def test_few_photographs_and_unknown_values_are_left_alone() -> None:
    assert not smeared(np.array([1.0, 0.1, 1.0, 1.0])).any()
    assert smeared(np.array([1.0, 0.1, np.nan, 1.0, 1.0, 1.0])).tolist() == [False, True, False, False, False, False]
    assert not smeared(np.full(12, np.nan)).any()


def test_light_is_measured_and_exif_kept(tmp_path: Path) -> None:
    picture = np.full((60, 80, 3), 51, np.uint8)
    picture[:15] = 255
    photo = replace(photographs(tmp_path, [picture])[0], light=Light(exposure_s=0.01, iso=200.0))
    seen = look_at_photographs([photo], SilentProgress())[0].light
    assert seen is not None
    assert seen.brightness == pytest.approx(0.25 + 0.75 * 0.2, abs=0.01)
    assert seen.clipped == pytest.approx(0.25)
    assert (seen.exposure_s, seen.iso, seen.f_number) == (0.01, 200.0, None)
    assert light_of(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))[1] == pytest.approx(0.25)


def test_a_file_that_has_gone_is_passed_on(tmp_path: Path) -> None:
    photo = Frame("a.jpg", tmp_path / "a.jpg", 80, 60, "phone", "x")
    assert look_at_photographs([photo], SilentProgress()) == [photo]
