"""What stands still before a camera that stands, on pictures of which it is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from da3_pipeline.imageio import read_mask
from da3_pipeline.mask import MaskConfig, run
from da3_pipeline.mask.config import StillConfig
from da3_pipeline.mask.still import StillBackground, _joined, _stands
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import Frame, FrameSet

WIDTH, HEIGHT = 480, 360
MIDDLE, RADIUS = (250, 190), 80
NOISE = 2.0  # grey levels, of a sensor


def texture(seed: int, width: int, height: int) -> np.ndarray:
    """Patches of a few pixels, in colour."""
    cells = np.random.default_rng(seed).integers(20, 236, (height // 12 + 1, width // 12 + 1, 3), dtype=np.uint8)
    return cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)


def on_the_table() -> np.ndarray:
    """(h, w): where the disc is."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return np.hypot(columns - MIDDLE[0], rows - MIDDLE[1]) <= RADIUS


def turning(folder: Path, frames: int = 12, shift_px: int = 0, contrast: float = 1.0) -> list[Frame]:
    """A textured disc that turns before a room that stands; `shift_px`: by which the camera moves between frames;
    `contrast`: of the disc."""
    folder.mkdir(exist_ok=True)
    rng, room, disc, made = np.random.default_rng(3), texture(1, WIDTH + 400, HEIGHT), texture(2, WIDTH, HEIGHT), []
    disc = (128 + contrast * (disc.astype(float) - 128)).astype(np.uint8)
    for k in range(frames):
        turn = cv2.getRotationMatrix2D(MIDDLE, 360 * k / frames, 1.0)
        there = room[:, k * shift_px : k * shift_px + WIDTH]
        picture = np.where(on_the_table()[..., None], cv2.warpAffine(disc, turn, (WIDTH, HEIGHT)), there)
        noisy = np.clip(picture + rng.normal(0, NOISE, picture.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{k:02d}.png")
        made.append(Frame(f"{k:02d}.png", folder / f"{k:02d}.png", WIDTH, HEIGHT, "tripod", f"{folder} {k}"))
    return made


def overlap(found: np.ndarray, true: np.ndarray) -> float:
    return float((found & true).sum() / (found | true).sum())


def test_the_room_behind_a_turntable_stands_and_the_object_does_not(tmp_path: Path) -> None:
    frames = turning(tmp_path / "a")
    still = StillBackground(frames, StillConfig())(frames[3].path, WIDTH, HEIGHT)
    assert still.shape == (HEIGHT, WIDTH)
    assert overlap(~still, on_the_table()) > 0.9


def test_a_thing_of_little_contrast_moves_by_more_than_noise(tmp_path: Path) -> None:
    frames = turning(tmp_path / "a", contrast=0.1)
    still = StillBackground(frames, StillConfig())(frames[3].path, WIDTH, HEIGHT)
    assert overlap(~still, on_the_table()) > 0.7


def test_before_a_camera_that_moves_nothing_is_still(tmp_path: Path) -> None:
    frames = turning(tmp_path / "a", shift_px=9)
    assert not StillBackground(frames, StillConfig())(frames[0].path, WIDTH, HEIGHT).any()


def test_what_has_no_texture_for_most_of_the_time_does_not_stand(tmp_path: Path) -> None:
    """A camera that walks along bare walls: each edge is in one place in one or two pictures."""
    wall = np.full((HEIGHT, WIDTH + 2400), 128, np.uint8)
    wall[:, 20::200] = 220
    frames = turning(tmp_path / "a", frames=24)
    for k, frame in enumerate(frames):
        Image.fromarray(wall[:, 97 * k : 97 * k + WIDTH]).convert("RGB").save(frame.path)
    assert not StillBackground(frames, StillConfig()).found


def test_what_a_camera_carries_along_stands(tmp_path: Path) -> None:
    """The hood of a car: a quarter of the height, while all else goes by."""
    frames, hood = turning(tmp_path / "a", shift_px=9), texture(5, WIDTH, HEIGHT // 4)
    for frame in frames:
        picture = np.asarray(Image.open(frame.path)).copy()
        picture[-len(hood) :] = hood
        Image.fromarray(picture).save(frame.path)
    still = StillBackground(frames, StillConfig())(frames[3].path, WIDTH, HEIGHT)
    assert overlap(still, np.mgrid[:HEIGHT, :WIDTH][0] >= HEIGHT - len(hood)) > 0.9


def test_of_few_pictures_and_where_nothing_moves_nothing_is_said(tmp_path: Path) -> None:
    frames = turning(tmp_path / "a")
    assert not StillBackground(frames[:7], StillConfig())(frames[0].path, WIDTH, HEIGHT).any()
    assert StillBackground(frames[:8], StillConfig()).found
    same = [replace(frame, path=frames[0].path) for frame in frames]
    assert not StillBackground(same, StillConfig())(frames[0].path, WIDTH, HEIGHT).any()


def test_each_camera_is_looked_at_by_itself(tmp_path: Path) -> None:
    standing, walking = turning(tmp_path / "a"), turning(tmp_path / "b", shift_px=9)
    walking = [replace(frame, camera_id="hand") for frame in walking]
    find = StillBackground([*standing, *walking], StillConfig())
    assert find(standing[0].path, WIDTH, HEIGHT).any() and not find(walking[0].path, WIDTH, HEIGHT).any()


def test_where_nothing_stands_the_stage_makes_no_masks(tmp_path: Path) -> None:
    frames, folder = FrameSet(tuple(turning(tmp_path / "a", shift_px=9)), ()), tmp_path / "masks"
    assert run(frames, MaskConfig(), SilentProgress(), folder) == frames
    assert not folder.exists()


@pytest.mark.parametrize("own", [False, True])
def test_the_stage_masks_it_beside_what_a_mask_ignores(own: bool, tmp_path: Path) -> None:
    frames = turning(tmp_path / "a")
    left = np.arange(WIDTH) < WIDTH // 2
    if own:
        Image.fromarray(np.tile(np.where(left, 0, 255).astype(np.uint8), (HEIGHT, 1))).save(tmp_path / "own.png")
        frames = [replace(frame, mask=tmp_path / "own.png") for frame in frames]
    folder = tmp_path / "masks"
    folder.mkdir()
    done = run(FrameSet(tuple(frames), ()), MaskConfig(still=True), SilentProgress(), folder)
    for frame in done.frames:
        assert frame.mask is not None and folder in frame.mask.parents
        used = read_mask(frame.mask, WIDTH, HEIGHT)
        assert overlap(used, on_the_table() & ~(own & left)) > 0.85


def test_masks_of_an_interrupted_run_are_kept_while_the_frames_are_the_same(tmp_path: Path) -> None:
    frames, folder = turning(tmp_path / "a"), tmp_path / "masks"
    folder.mkdir()
    first = run(FrameSet(tuple(frames), ()), MaskConfig(still=True), SilentProgress(), folder)
    times = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    again = run(FrameSet(tuple(frames), ()), MaskConfig(still=True), SilentProgress(), folder)
    assert again == first and {path: path.stat().st_mtime_ns for path in folder.iterdir()} == times
    fewer = run(FrameSet(tuple(frames[1:]), ()), MaskConfig(still=True), SilentProgress(), folder)
    assert {frame.mask for frame in fewer.frames}.isdisjoint(frame.mask for frame in first.frames)


def test_what_one_picture_shows_does_not_stand() -> None:
    """A bare wall, before which somebody passes once."""
    config, nothing = StillConfig(), np.zeros((120, 160), bool)
    wall = np.full((12, 120, 160), 128, np.uint8)
    once = wall.copy()
    once[5] = cv2.cvtColor(texture(0, 160, 120), cv2.COLOR_RGB2GRAY)
    assert not _stands(once, nothing, config)
    assert _stands(np.repeat(once[5:6], 12, axis=0), nothing, config)


def test_specks_that_move_are_no_things() -> None:
    moves = np.zeros((240, 320), bool)
    moves[20:28, 20:28] = moves[100:140, 100:140] = True
    joined = _joined(moves, StillConfig())
    assert joined[104:136, 104:136].all() and not joined[:60].any()
