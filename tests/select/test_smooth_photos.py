"""Blurred photographs are told from photographs of smooth things."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from da3_pipeline import ingest, select
from da3_pipeline.ingest.config import IngestConfig
from da3_pipeline.progress import SilentProgress
from da3_pipeline.select.config import ContentConfig, SelectConfig
from da3_pipeline.select.measures.content import coarse_texture, content_mark, likeness_of_marks
from da3_pipeline.types import Frame

SHARED = Path(__file__).parents[3] / "shared" / "data"
SIZE = (480, 640)


def textured(seed: int) -> np.ndarray:
    """A wall of patches of all sizes, through a lens."""
    rng = np.random.default_rng(seed)
    wall = np.zeros(SIZE)
    for cell, weight in ((80, 0.3), (27, 0.3), (9, 0.4)):
        levels = rng.uniform(0, 255, (SIZE[0] // cell + 1, SIZE[1] // cell + 1))
        wall += weight * np.kron(levels, np.ones((cell, cell)))[: SIZE[0], : SIZE[1]]
    return cv2.GaussianBlur(wall, (0, 0), 0.7)


def glossy(seed: int) -> np.ndarray:
    """The inside of a large ball's outline, lit from the side, with the soft reflections of lamps."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    picture = 40 + 0.14 * x + 0.05 * y
    for _ in range(4):
        across, down, wide = rng.uniform(100, 540), rng.uniform(80, 400), rng.uniform(16, 40)
        picture += rng.uniform(60, 110) * np.exp(-((x - across) ** 2 + (y - down) ** 2) / (2 * wide**2))
    return picture


def folds(seed: int) -> np.ndarray:
    """A curtain of wide folds from one side to the other."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)
    return 120 + 60 * np.sin(x / rng.uniform(30, 40) + 2 * np.sin(y / 150)) + 20 * np.sin(y / 40 + x / 90)


def smooth_pattern(shift_px: int) -> np.ndarray:
    blots = cv2.GaussianBlur(np.random.default_rng(5).normal(128, 2000, (SIZE[0], SIZE[1] + 64)), (0, 0), 12)
    return blots[:, shift_px : shift_px + SIZE[1]]


def taken(pictures: Sequence[np.ndarray], folder: Path) -> list[Frame]:
    """Photographed with a sensor's noise, and chosen."""
    folder.mkdir()
    for number, picture in enumerate(pictures):
        noise = np.random.default_rng(number).normal(0, 1.5, picture.shape)
        cv2.imwrite(str(folder / f"{number:02d}.jpg"), np.clip(picture + noise, 0, 255).astype(np.uint8))
    capture = ingest.run([folder], IngestConfig(), SilentProgress())
    return list(select.run(capture, SelectConfig(), SilentProgress(), folder.parent / "stills").frames)


def kept_out(frames: Sequence[Frame]) -> list[str]:
    return [frame.name for frame in frames if not frame.training]


def test_coarse_texture_is_bends_of_either_sign_and_direction() -> None:
    """A bright and a dark spot of one cell bend the cells around them as well: five each, and shading none."""
    config = ContentConfig()
    cells = np.full((22, 32), 100.0) + 3 * np.arange(32)
    cells[5, 8] += 40
    cells[15, 20] -= 40
    picture = np.kron(cells, np.ones((8, 8))).astype(np.uint8)
    assert coarse_texture(picture, config) == pytest.approx(10 / (20 * 30))
    assert coarse_texture(np.ascontiguousarray(picture.T), config) == pytest.approx(10 / (20 * 30))
    line = np.kron(np.where(np.arange(32) == 10, 140.0, 100.0), np.ones((176, 8))).astype(np.uint8)
    assert coarse_texture(line, config) == pytest.approx(3 / 30)
    assert coarse_texture(np.ascontiguousarray(line.T), config) == pytest.approx(3 / 30)
    assert coarse_texture(np.full((20, 20), 7, np.uint8), config) == 0.0


def test_marks_find_each_other_where_the_picture_has_moved() -> None:
    config, wall = ContentConfig(), textured(1).clip(0, 255).astype(np.uint8)
    one, moved, other = (content_mark(p, config) for p in (wall, np.roll(wall, (45, 60), (0, 1)), textured(2)))
    assert one.shape == (32, 32) and np.abs(one.mean(0)).max() < 1e-3 and np.abs(one.mean(1)).max() < 1e-3
    assert likeness_of_marks(one, moved, config) > 0.75 > 0.6 > likeness_of_marks(one, other, config)


@pytest.mark.parametrize("seed", range(3))
def test_one_smooth_thing_that_fills_the_picture_is_not_blurred(tmp_path: Path, seed: int) -> None:
    frames = taken([textured(k) for k in range(6)] + [glossy(seed)], tmp_path / "in")
    smooth = frames[-1]
    assert smooth.sharpness and smooth.sharpness < 0.35 * np.median([frame.sharpness for frame in frames])
    assert kept_out(frames) == []


def test_soft_folds_are_shading_and_a_bold_smooth_pattern_alone_is_not(tmp_path: Path) -> None:
    frames = taken([*(textured(k) for k in range(6)), folds(0), smooth_pattern(0)], tmp_path / "in")
    assert kept_out(frames) == ["07.jpg"]


def test_views_of_one_smooth_thing_speak_for_each_other(tmp_path: Path) -> None:
    frames = taken([textured(k) for k in range(8)] + [smooth_pattern(9 * k) for k in range(4)], tmp_path / "in")
    assert all((frame.sharpness or 1) < 0.35 * (frames[0].sharpness or 0) for frame in frames[8:])
    assert kept_out(frames) == []


@pytest.mark.parametrize("blur", [(9, 1), (1, 9), (9, 9), (25, 1), (25, 25)])
def test_what_is_blurred_beside_views_of_the_same_is_still_found(tmp_path: Path, blur: tuple[int, int]) -> None:
    wall = cv2.resize(textured(1), (SIZE[1] + 80, SIZE[0]))
    pictures = [wall[:, 10 * k : 10 * k + SIZE[1]] for k in range(7)]
    pictures[3] = cv2.blur(pictures[3], blur)
    assert kept_out(taken(pictures, tmp_path / "in")) == ["03.jpg"]


def test_two_blurred_neighbours_do_not_excuse_each_other(tmp_path: Path) -> None:
    wall = cv2.resize(textured(1), (SIZE[1] + 80, SIZE[0]))
    pictures = [wall[:, 10 * k : 10 * k + SIZE[1]] for k in range(8)]
    pictures[3:6] = [cv2.blur(picture, (13, 1)) for picture in pictures[3:6]]
    assert kept_out(taken(pictures, tmp_path / "in")) == ["03.jpg", "04.jpg", "05.jpg"]


@pytest.mark.skipif(not (SHARED / "strecha").exists(), reason="needs ../shared/data")
@pytest.mark.parametrize("folder", ["strecha/fountain-P11", "captures/kitchen", "captures/monstree"])
def test_real_photographs(tmp_path: Path, folder: str) -> None:
    """Of nine, one is smeared, one is out of focus by 13 px of 960, and one is of a smooth thing."""
    paths = sorted((SHARED / folder / "images").iterdir())[:9]
    pictures = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(float) for path in paths]
    scale = [960 / max(picture.shape) for picture in pictures]
    pictures = [
        cv2.resize(p, None, fx=s, fy=s, interpolation=cv2.INTER_AREA) for p, s in zip(pictures, scale, strict=True)
    ]
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (13, 13)).astype(float)
    pictures[2] = cv2.blur(pictures[2], (11, 1))
    pictures[6] = cv2.filter2D(pictures[6], -1, disk / disk.sum())
    pictures[4] = cv2.resize(glossy(0), pictures[4].shape[::-1], interpolation=cv2.INTER_CUBIC)
    assert kept_out(taken(pictures, tmp_path / "in")) == ["02.jpg", "06.jpg"]
