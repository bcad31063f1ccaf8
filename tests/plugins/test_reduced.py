"""Smaller copies of images below folders, as of video frames: what each parser looks for is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from da3_nerfstudio.processing import complete
from PIL import Image

from da3_pipeline.errors import CaptureError


def save(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((9, 16, 3), value, np.uint8)).save(path)


def test_a_copy_is_found_below_its_folder_and_by_its_bare_name(tmp_path: Path) -> None:
    save(tmp_path / "images" / "clip" / "000057.png", 90)
    save(tmp_path / "images" / "still.png", 200)
    (tmp_path / "sparse" / "0").mkdir(parents=True)
    complete(tmp_path, 2)
    for factor, size in ((2, (4, 8, 3)), (4, (2, 4, 3))):
        below, bare, still = (
            tmp_path / f"images_{factor}" / name for name in ("clip/000057.png", "000057.png", "still.png")
        )
        assert cv2.imread(str(below)).shape == size
        assert below.read_bytes() == bare.read_bytes() != still.read_bytes()


def test_a_name_that_two_images_share_stands_for_neither_and_it_is_said(tmp_path: Path) -> None:
    for folder, value in (("a", 10), ("b", 240)):
        save(tmp_path / "images" / folder / "1.png", value)
    (tmp_path / "sparse" / "0").mkdir(parents=True)
    lines = complete(tmp_path, 1)
    copies = sorted(path.relative_to(tmp_path / "images_2").as_posix() for path in tmp_path.glob("images_2/**/*.png"))
    assert copies == ["a/1.png", "b/1.png"]
    assert "share a name" in lines[-1]


@pytest.mark.nerfstudio
@pytest.mark.parametrize("factor", [None, 1, 2, 4, 8])
@pytest.mark.parametrize("parser", ["da3-data", "nerfstudio-data", "colmap"])
def test_every_parser_reads_video_frames_at_every_factor(
    session_of_a_clip: Path, parser: str, factor: int | None
) -> None:
    """Files exist, have the size of the cameras, and show what the frame of that name shows."""
    read = parsed(parser, session_of_a_clip, downscale_factor=factor, eval_mode="all")
    assert len(read.image_filenames) == 18
    for index, path in enumerate(read.image_filenames):
        picture = cv2.imread(str(path))
        assert picture.shape[:2] == (read.cameras.height[index].item(), read.cameras.width[index].item())
        assert sorted(picture.shape[:2]) == [240 // (factor or 1), 320 // (factor or 1)]
        assert round(float(np.median(picture[:, :, 0]))) == 10 * int(path.stem)


@pytest.mark.nerfstudio
@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("parser", ["da3-data", "nerfstudio-data", "colmap"])
def test_every_parser_reads_the_copies_of_downscale(session_reduced: Path, parser: str, factor: int) -> None:
    """Photographs in no folder, with masks: files of their cameras' size, intrinsics divided by the factor."""
    where = {"colmap_path": Path("sparse/0")} if parser == "colmap" else {}
    read, whole = (
        parsed(parser, session_reduced, downscale_factor=one, eval_mode="all", **where) for one in (factor, 1)
    )
    assert len(read.image_filenames) == 18 == len(read.cameras)
    assert {path.parent.name for path in read.image_filenames} == {f"images_{factor}"}
    np.testing.assert_allclose(read.cameras.fx, whole.cameras.fx / factor, rtol=1e-6)
    np.testing.assert_allclose(read.cameras.cy, whole.cameras.cy / factor, rtol=1e-6)
    for index, path in enumerate(read.image_filenames):
        size = (read.cameras.height[index].item(), read.cameras.width[index].item())
        assert cv2.imread(str(path)).shape[:2] == size
        if parser != "colmap":  # which reads no masks of a session
            assert cv2.imread(str(read.mask_filenames[index])).shape[:2] == size


@pytest.mark.nerfstudio
@pytest.mark.parametrize("factor", [None, 2, 4, 8])
@pytest.mark.parametrize("listed", ["clip/03.png\nclip/07.png\n", "03\n07.png\n"])
def test_lists_of_held_out_images_hold_at_every_factor(
    session_of_a_clip: Path, tmp_path: Path, factor: int | None, listed: str
) -> None:
    (tmp_path / "list.txt").write_text(listed)
    options = {"downscale_factor": factor, "eval_list": tmp_path / "list.txt"}
    held_out, train = (parsed("da3-data", session_of_a_clip, split, **options) for split in ("val", "train"))
    assert [path.stem for path in held_out.image_filenames] == ["03", "07"]
    assert len(train.image_filenames) == 16 == len(train.cameras)


@pytest.mark.nerfstudio
def test_the_colmap_parser_reads_a_session_with_the_documented_flags(session: Path) -> None:
    with pytest.raises(AssertionError, match="does not exist"):
        parsed("colmap", session, downscale_factor=1)
    read = parsed("colmap", session, downscale_factor=1, colmap_path=Path("sparse/0"), eval_mode="all")
    assert len(read.image_filenames) == 18
    assert read.metadata["points3D_xyz"].shape[0] > 250


@pytest.mark.nerfstudio
def test_by_names_every_image_must_say_what_it_is_for(session: Path) -> None:
    with pytest.raises(ValueError, match="train/eval"):
        parsed("da3-data", session, eval_mode="filename")


@pytest.mark.nerfstudio
def test_a_list_of_what_is_no_image_is_one_clear_error(session_of_a_clip: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("clip/99.png\n")
    with pytest.raises(CaptureError, match=r"clip/99\.png"):
        parsed("da3-data", session_of_a_clip, eval_list=tmp_path / "list.txt", downscale_factor=2)


def parsed(parser: str, folder: Path, split: str = "train", **options: Any) -> Any:
    from nerfstudio.configs.dataparser_configs import all_dataparsers

    return replace(all_dataparsers[parser], data=folder, **options).setup().get_dataparser_outputs(split)
