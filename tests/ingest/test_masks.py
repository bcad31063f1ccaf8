"""The user's masks find their photographs and video frames by name, and are never taken for pictures."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from da3_pipeline.errors import CaptureError
from da3_pipeline.ingest import IngestConfig, run
from da3_pipeline.ingest.masks import with_masks
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import Capture, Frame, VideoClip

MakePhoto = Callable[..., Path]


def capture(*names: str, frames: int = 5) -> Capture:
    """A capture of those names; *.mp4 are videos of so many frames."""
    photos = tuple(Frame(name, Path(name), 96, 64, "camera", name) for name in names if not name.endswith(".mp4"))
    clips = tuple(
        VideoClip(name, Path(name), 96, 64, 0, np.arange(frames) / 30, name, name)
        for name in names
        if name.endswith(".mp4")
    )
    return Capture(photos, clips, ())


def folder_of(path: Path, *names: str) -> Path:
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (96, 64), 255).save(path / name)
    return path


def found(masked: Capture, folder: Path) -> dict[str, str | None]:
    pairs = [(item.name, item.mask) for item in (*masked.photos, *masked.videos)]
    return {name: None if mask is None else mask.relative_to(folder).as_posix() for name, mask in pairs}


def test_without_masks_nothing_changes() -> None:
    plain = capture("1.jpg", "clip.mp4")
    assert with_masks(plain, None) is plain


def test_a_file_is_the_mask_of_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_of(tmp_path, "bonnet.png")
    monkeypatch.chdir(tmp_path)
    masked = with_masks(capture("1.jpg", "b/2.jpg", "clip.mp4"), Path("bonnet.png"))
    assert [item.mask for item in (*masked.photos, *masked.videos)] == [tmp_path / "bonnet.png"] * 3


def test_photographs_are_matched_by_path_then_name_then_stem(tmp_path: Path) -> None:
    """NAME.png, COLMAP's NAME.jpg.png, and whatever has the same stem; the more exact name wins."""
    names = ("a/1.jpg", "b/1.jpg", "2.JPG", "3.heic", "été 4.jpg", "5.jpg", "6.png")
    folder = folder_of(
        tmp_path / "masks",
        *("a/1.png", "b/1.jpg.png", "deep/2.jpg.png", "3.png", "e\u0301te\u0301 4.tif", "6.png", ".hidden/5.png"),
    )
    assert found(with_masks(capture(*names), folder), folder) == {
        "a/1.jpg": "a/1.png",
        "b/1.jpg": "b/1.jpg.png",
        "2.JPG": "deep/2.jpg.png",
        "3.heic": "3.png",
        "été 4.jpg": "e\u0301te\u0301 4.tif",
        "5.jpg": None,
        "6.png": "6.png",
    }


def test_masks_may_be_called_so(tmp_path: Path) -> None:
    """As they may beside the photographs; a name that fits as it is goes before, and nothing fits two."""
    names = (
        "a/1.jpg",
        "a/2.jpg",
        "a/3.JPG",
        "b/4.jpg",
        "venice_mask.jpg",
        "venice.jpg",
        "mask.jpg",
        "c/5.jpg",
        "d/5.jpg",
    )
    folder = folder_of(
        tmp_path / "masks",
        *("a/1_mask.png", "a/2.mask.png", "a/3.jpg_MASK.png", "mask_4.png", "venice_mask.png", "mask.png"),
        *("5_mask.png", "6_mask.png"),
    )
    assert found(with_masks(capture(*names), folder), folder) == {
        "a/1.jpg": "a/1_mask.png",
        "a/2.jpg": "a/2.mask.png",
        "a/3.JPG": "a/3.jpg_MASK.png",
        "b/4.jpg": "mask_4.png",
        "venice_mask.jpg": "venice_mask.png",
        "venice.jpg": None,
        "mask.jpg": "mask.png",
        "c/5.jpg": None,
        "d/5.jpg": None,
    }


def test_masks_beside_the_images_of_a_data_set_fit_its_root_and_its_images(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "masks", "1.png", "x/2.png")
    for prefix in ("images/", ""):
        masked = with_masks(capture(f"{prefix}1.jpg", f"{prefix}x/2.jpg"), folder)
        assert list(found(masked, folder).values()) == ["1.png", "x/2.png"]


def test_a_name_that_fits_two_pictures_fits_none(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "masks", "1.png", "2.png")
    masked = with_masks(capture("a/1.jpg", "b/1.jpg", "a/2.jpg"), folder)
    assert found(masked, folder) == {"a/1.jpg": None, "b/1.jpg": None, "a/2.jpg": "2.png"}


@pytest.mark.parametrize("name", ["walk", "walk.mp4", "day 2.5/walk"])
def test_frames_of_a_video_have_a_folder_of_its_name(tmp_path: Path, name: str) -> None:
    folder = folder_of(tmp_path / "masks", f"{name}/000000.png", f"{name}/mask_3.png", f"{name}/9.png", "1.png")
    masked = with_masks(capture("1.jpg", f"{name.removesuffix('.mp4')}.mp4"), folder)
    (clip,) = masked.videos
    assert clip.frame_masks == {0: folder / name / "000000.png", 3: folder / name / "mask_3.png"}
    assert clip.mask is None
    assert found(masked, folder)["1.jpg"] == "1.png"


def test_numbers_that_end_at_the_length_of_the_video_begin_at_one(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "masks", *(f"walk/{number:05d}.png" for number in range(1, 6)))
    (clip,) = with_masks(capture("walk.mp4", frames=5), folder).videos
    assert {number: path.name for number, path in clip.frame_masks.items()} == {k: f"{k + 1:05d}.png" for k in range(5)}
    (clip,) = with_masks(capture("walk.mp4", frames=6), folder).videos
    assert {number: path.name for number, path in clip.frame_masks.items()} == {k: f"{k:05d}.png" for k in range(1, 6)}


def test_a_single_mask_of_a_video_has_its_name(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "masks", "walk.png", "walk/2.png", "drive.mp4.png")
    masked = with_masks(capture("walk.mp4", "drive.mp4", "rest.mp4"), folder)
    assert found(masked, folder) == {"walk.mp4": "walk.png", "drive.mp4": "drive.mp4.png", "rest.mp4": None}
    assert masked.videos[0].frame_masks == {2: folder / "walk/2.png"}


def test_of_one_video_alone_the_masks_may_lie_in_the_folder_itself(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "masks", "0.png", "1.png")
    assert with_masks(capture("walk.mp4"), folder).videos[0].frame_masks.keys() == {0, 1}
    folder = folder_of(tmp_path / "single", "walk2.png")
    (clip,) = with_masks(capture("walk2.mp4"), folder).videos
    assert (clip.mask, clip.frame_masks) == (folder / "walk2.png", {})


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (("x.png", "y/z.png"), r"none of its 2 masks .*\(x\.png there, 1\.jpg here\)"),
        (("walk/77.png",), "none of its 1 masks"),
        (("notes.txt",), "holds no images"),
        ((), "holds no images"),
    ],
)
def test_a_folder_that_fits_nothing_is_one_line(tmp_path: Path, names: tuple[str, ...], problem: str) -> None:
    folder = tmp_path / "masks"
    folder.mkdir()
    for name in names:
        if name.endswith(".txt"):
            (folder / name).write_text("")
        else:
            folder_of(folder, name)
    with pytest.raises(CaptureError, match=problem) as caught:
        with_masks(capture("1.jpg", "walk.mp4"), folder)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


def test_a_path_that_is_no_mask(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="no such file or folder"):
        with_masks(capture("1.jpg"), tmp_path / "none.png")
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(CaptureError, match="not an image"):
        with_masks(capture("1.jpg"), tmp_path / "text.png")


def test_masks_that_fit_nothing_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = folder_of(tmp_path / "masks", "1.png", "7.png")
    with caplog.at_level(logging.WARNING):
        with_masks(capture("1.jpg"), folder)
    assert "1 of 2 masks fit nothing" in caplog.text


def ingest(folder: Path, masks: Path | None) -> Capture:
    return run([folder], IngestConfig(masks=masks), SilentProgress())


def test_masks_inside_a_source_are_no_pictures(tmp_path: Path, photo: MakePhoto) -> None:
    photo(tmp_path / "1.jpg", seed=1)
    photo(tmp_path / "2.jpg", seed=2)
    folder = folder_of(tmp_path / "ignore", "1.png")
    masked = ingest(tmp_path, folder)
    assert {frame.name: frame.mask for frame in masked.photos} == {"1.jpg": folder / "1.png", "2.jpg": None}
    folder_of(tmp_path, "bonnet.png")
    masked = ingest(tmp_path, tmp_path / "bonnet.png")
    assert [frame.name for frame in masked.photos] == ["1.jpg", "2.jpg", "ignore/1.png"]
    with pytest.raises(CaptureError, match="source and masks are the same folder"):
        ingest(folder, folder)


def test_masks_beside_images_are_used_unless_others_are_named_or_none(tmp_path: Path, photo: MakePhoto) -> None:
    photo(tmp_path / "images" / "1.jpg")
    beside, other = folder_of(tmp_path / "masks", "1.png"), folder_of(tmp_path.with_name("other"), "1.png")
    plain = ingest(tmp_path, None)
    assert [frame.mask for frame in plain.photos] == [beside / "1.png"]
    assert [(item.frame, item.reason) for item in plain.dropped] == [
        ("masks/1.png", "used as the mask of images/1.jpg: white is used, black is ignored")
    ]
    asked = ingest(tmp_path, beside)
    assert ([frame.mask for frame in asked.photos], asked.dropped) == ([beside / "1.png"], ())
    others = ingest(tmp_path, other)
    assert [frame.mask for frame in others.photos] == [other / "1.png"]
    assert "not used: --masks says otherwise" in others.dropped[0].reason
    none = run([tmp_path], IngestConfig(masks_beside=False), SilentProgress())
    assert [frame.mask for frame in none.photos] == [None]
    assert [frame.name for frame in none.photos] == ["images/1.jpg"]
