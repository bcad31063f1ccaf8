"""Frames keep masks that can be used; where they cannot, the frame goes, with the reason; people are taken out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from da3_pipeline.errors import SelectionError
from da3_pipeline.imageio import read_mask, read_rgb, write_mask
from da3_pipeline.mask import MaskConfig, run
from da3_pipeline.mask import people as people_module
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import Dropped, Frame, FrameSet
from da3_pipeline.versions import STAGE_VERSIONS

WIDTH, HEIGHT = 60, 40


def photograph(folder: Path, name: str, red: slice | None = None) -> Frame:
    """A grey picture with columns that are red."""
    rgb = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    if red is not None:
        rgb[:, red] = (250, 0, 0)
    Image.fromarray(rgb).save(folder / name)
    return Frame(name, folder / name, WIDTH, HEIGHT, "camera", name)


def mask(path: Path, used: slice, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Path:
    """White in those columns."""
    white = np.zeros((size[1], size[0]), bool)
    white[:, used] = True
    write_mask(path, white)
    return path


def frame_set(*frames: Frame) -> FrameSet:
    return FrameSet(frames, (Dropped("earlier.jpg", "blurred"),))


class RedIsPeople:
    """Stands for the network: whatever is red is a person."""

    calls = 0

    def __init__(self, model: str, device: str) -> None:
        pass

    def __call__(self, path: Path, width: int, height: int) -> np.ndarray:
        type(self).calls += 1
        assert (width, height) == (WIDTH, HEIGHT)
        return read_rgb(path)[..., 1] == 0


@pytest.fixture
def red_is_people(monkeypatch: pytest.MonkeyPatch) -> type[RedIsPeople]:
    monkeypatch.setattr(people_module, "PeopleFinder", RedIsPeople)
    RedIsPeople.calls = 0
    return RedIsPeople


def test_usable_masks_stay_and_frames_without_one_do(tmp_path: Path) -> None:
    frames = frame_set(
        replace(photograph(tmp_path, "a.png"), mask=mask(tmp_path / "m1.png", slice(0, 20))),
        replace(photograph(tmp_path, "b.png"), mask=mask(tmp_path / "m2.png", slice(0, 3), (6, 4))),
        photograph(tmp_path, "c.png"),
    )
    assert run(frames, MaskConfig(), SilentProgress(), tmp_path / "masks") == frames
    assert not (tmp_path / "masks").exists()


def test_frames_whose_masks_are_of_no_use_go_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("hello")
    few = np.zeros((HEIGHT, WIDTH), bool)
    few[0, :10] = True
    write_mask(tmp_path / "nearly mask.png", few)
    masks = {
        "good.png": mask(tmp_path / "good mask.png", slice(0, 20)),
        "black.png": mask(tmp_path / "black mask.png", slice(0, 0)),
        "nearly.png": tmp_path / "nearly mask.png",
        "turned.png": mask(tmp_path / "turned mask.png", slice(0, 20), (HEIGHT, WIDTH)),
        "text.png": tmp_path / "text.png",
        "gone.png": tmp_path / "nowhere.png",
        "none.png": None,
    }
    frames = tuple(
        Frame(name, tmp_path / "photos" / name, WIDTH, HEIGHT, "camera", name, mask=path)
        for name, path in masks.items()
    )
    result = run(frame_set(*frames), MaskConfig(), SilentProgress(), tmp_path / "masks")
    assert result.names == ("good.png", "none.png")
    assert [(item.frame, item.reason) for item in result.dropped] == [
        ("earlier.jpg", "blurred"),
        ("black.png", "its mask leaves nothing of it"),
        ("nearly.png", "its mask leaves 0.4 % of it"),
        ("turned.png", "its mask turned mask.png: 40 x 60 px, another shape than the picture's 60 x 40"),
        (
            "text.png",
            "its mask text.png: not an image: its content is none of JPEG, PNG, TIFF, HEIC, WebP, AVIF, JPEG XL, BMP",
        ),
        ("gone.png", "its mask nowhere.png: no such file"),
    ]


@pytest.mark.parametrize("black", [2, 3])
def test_masks_that_leave_no_two_frames_are_one_line(tmp_path: Path, black: int) -> None:
    dark, light = mask(tmp_path / "dark.png", slice(0, 0)), mask(tmp_path / "light.png", slice(0, 9))
    frames = [replace(photograph(tmp_path, f"{k}.png"), mask=dark if k < black else light) for k in range(3)]
    with pytest.raises(SelectionError) as caught:
        run(frame_set(*frames), MaskConfig(), SilentProgress(), tmp_path / "masks")
    message = str(caught.value)
    assert message.startswith(f"{black} of 3 frames cannot be used with their masks (0.png: its mask leaves nothing")
    assert "white is used and black is ignored" in message and "\n" not in message


def test_people_are_taken_from_what_the_frames_own_mask_leaves(
    tmp_path: Path, red_is_people: type[RedIsPeople]
) -> None:
    frames = frame_set(
        replace(photograph(tmp_path, "both.png", slice(0, 20)), mask=mask(tmp_path / "m.png", slice(10, 50))),
        photograph(tmp_path, "people.png", slice(30, 40)),
        photograph(tmp_path, "empty.png"),
    )
    result = run(frames, MaskConfig(people=True, people_margin=0), SilentProgress(), tmp_path / "masks")
    both, people, empty = result.frames
    assert both.mask is not None and people.mask is not None and empty.mask is None
    columns = np.arange(WIDTH)
    np.testing.assert_array_equal(read_mask(both.mask, WIDTH, HEIGHT)[7], (columns >= 20) & (columns < 50))
    np.testing.assert_array_equal(read_mask(people.mask, WIDTH, HEIGHT)[7], (columns < 30) | (columns >= 40))
    assert [replace(frame, mask=None) for frame in result.frames] == [
        replace(frame, mask=None) for frame in frames.frames
    ]


def test_a_margin_around_people_is_ignored(tmp_path: Path, red_is_people: type[RedIsPeople]) -> None:
    frames = frame_set(photograph(tmp_path, "a.png", slice(30, 40)), photograph(tmp_path, "b.png"))
    result = run(frames, MaskConfig(people=True, people_margin=0.1), SilentProgress(), tmp_path / "masks")
    assert result.frames[0].mask is not None
    used = read_mask(result.frames[0].mask, WIDTH, HEIGHT)[20]
    np.testing.assert_array_equal(np.flatnonzero(~used), np.arange(24, 46))


def test_frames_full_of_people_go(tmp_path: Path, red_is_people: type[RedIsPeople]) -> None:
    frames = frame_set(
        photograph(tmp_path, "crowd.png", slice(0, WIDTH)),
        replace(photograph(tmp_path, "left.png", slice(0, 30)), mask=mask(tmp_path / "m.png", slice(0, 30))),
        photograph(tmp_path, "a.png"),
        photograph(tmp_path, "b.png"),
    )
    result = run(frames, MaskConfig(people=True), SilentProgress(), tmp_path / "masks")
    assert result.names == ("a.png", "b.png")
    assert [(item.frame, item.reason) for item in result.dropped[1:]] == [
        ("crowd.png", "people leave nothing of it"),
        ("left.png", "people and its mask leave nothing of it"),
    ]


def test_masks_of_an_interrupted_run_are_kept_and_follow_what_they_depend_on(
    tmp_path: Path, red_is_people: type[RedIsPeople], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = mask(tmp_path / "m.png", slice(0, 50))
    frames = frame_set(
        replace(photograph(tmp_path, "a.png", slice(20, 30)), mask=own), photograph(tmp_path, "b.png", slice(0, 9))
    )

    def masks(**settings: float) -> list[np.ndarray]:
        config = MaskConfig(people=True, **settings)  # type: ignore[arg-type]
        result = run(frames, config, SilentProgress(), tmp_path / "masks")
        return [read_mask(frame.mask, WIDTH, HEIGHT) for frame in result.frames if frame.mask]

    first = masks()
    assert red_is_people.calls == 2
    np.testing.assert_array_equal(masks(), first)
    assert red_is_people.calls == 2
    assert masks(people_margin=0.1)[0].sum() < first[0].sum()
    assert red_is_people.calls == 4
    mask(own, slice(0, 40))
    assert masks()[0].sum() == first[0].sum() - 10 * HEIGHT
    assert red_is_people.calls == 5
    monkeypatch.setitem(STAGE_VERSIONS, "mask", STAGE_VERSIONS["mask"] + 1)
    masks()
    assert red_is_people.calls == 7


def test_a_picture_that_went_bad_is_dropped(tmp_path: Path, red_is_people: type[RedIsPeople]) -> None:
    frames = [photograph(tmp_path, f"{k}.png", slice(0, 9)) for k in range(3)]
    frames[1].path.write_bytes(b"")
    result = run(frame_set(*frames), MaskConfig(people=True), SilentProgress(), tmp_path / "masks")
    assert result.names == ("0.png", "2.png")
    assert result.dropped[1:] == (Dropped("1.png", "the file is empty"),)
