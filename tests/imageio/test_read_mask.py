"""Masks of every kind of file, at any size: nonzero is used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from da3_pipeline.imageio import UnreadableImageError, read_mask, write_mask
from da3_pipeline.imageio.masks import same_shape

WIDTH, HEIGHT = 60, 40
ORIENTATION = 0x0112


def disc() -> np.ndarray:
    """A disc that is not in the middle: shows every turn and flip."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    return np.hypot(x - 20, y - 12) < 9


def palette_file(path: Path, used: np.ndarray) -> None:
    image = Image.fromarray(used.astype(np.uint8), mode="P")
    image.putpalette([0, 0, 0, 128, 0, 0])
    image.save(path)


def grey_16_bits(path: Path, used: np.ndarray) -> None:
    Image.fromarray(used.astype(np.uint16)).save(path)  # 1 of 65535: in eight bits it would be 0


def alpha_alone(path: Path, used: np.ndarray) -> None:
    rgba = np.zeros((*used.shape, 4), np.uint8)
    rgba[..., 3] = np.where(used, 255, 0)
    Image.fromarray(rgba).save(path)


def opaque_rgba(path: Path, used: np.ndarray) -> None:
    rgba = np.repeat(np.where(used, 90, 0).astype(np.uint8)[..., None], 4, axis=2)
    rgba[..., 3] = 255
    Image.fromarray(rgba).save(path)


def one_channel_of_three(path: Path, used: np.ndarray) -> None:
    rgb = np.zeros((*used.shape, 3), np.uint8)
    rgb[..., 2] = used
    Image.fromarray(rgb).save(path)


WRITERS = {
    "one bit.png": lambda path, used: Image.fromarray(used).save(path),
    "eight bits.png": lambda path, used: Image.fromarray(used.astype(np.uint8) * 255).save(path),
    "zero and one.png": lambda path, used: Image.fromarray(used.astype(np.uint8)).save(path),
    "sixteen bits.png": grey_16_bits,
    "palette.png": palette_file,
    "colour.png": one_channel_of_three,
    "opaque.png": opaque_rgba,
    "alpha.png": alpha_alone,
    "alpha.webp": lambda path, used: Image.fromarray(
        np.where(used[..., None], 255, 0).astype(np.uint8).repeat(4, axis=2)
    ).save(path, lossless=True),
    "grey.tif": lambda path, used: Image.fromarray(used.astype(np.uint8) * 255).save(path),
    "float.tif": lambda path, used: Image.fromarray(used.astype(np.float32)).save(path),
    "named.jpg as it is not": lambda path, used: Image.fromarray(used).save(path, format="PNG"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_of_file_says_the_same(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name, disc())
    np.testing.assert_array_equal(read_mask(tmp_path / name, WIDTH, HEIGHT), disc())


def test_the_noise_of_a_jpeg_is_not_used(tmp_path: Path) -> None:
    """Round a white disc, blocks of a JPEG are not quite black."""
    path = tmp_path / "mask.jpg"
    Image.fromarray(disc().astype(np.uint8) * 255).save(path, quality=60)
    assert (np.asarray(Image.open(path))[~disc()] > 0).sum() > 20
    assert (read_mask(path, WIDTH, HEIGHT) != disc()).sum() < 15


@pytest.mark.parametrize("orientation", range(1, 9))
def test_masks_are_turned_upright(tmp_path: Path, orientation: int) -> None:
    stored = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.T,
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].T,
        8: lambda a: np.rot90(a, -1),
    }[orientation](disc())
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(np.ascontiguousarray(stored).astype(np.uint8) * 255).save(tmp_path / "mask.png", exif=exif)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png", WIDTH, HEIGHT), disc())


@given(factor=st.integers(1, 7))
@settings(max_examples=7, deadline=None)
def test_enlarging_and_reducing_by_whole_factors_is_exact(
    tmp_path_factory: pytest.TempPathFactory, factor: int
) -> None:
    path = tmp_path_factory.mktemp("masks") / "mask.png"
    write_mask(path, disc())
    large = np.kron(disc(), np.ones((factor, factor), bool))
    np.testing.assert_array_equal(read_mask(path, WIDTH * factor, HEIGHT * factor), large)
    write_mask(path, large)
    np.testing.assert_array_equal(read_mask(path, WIDTH, HEIGHT), disc())


def test_reducing_goes_by_the_larger_part_of_each_pixel(tmp_path: Path) -> None:
    fine = np.zeros((HEIGHT * 3, WIDTH * 3), bool)
    fine[:, ::3] = True  # one column of three
    write_mask(tmp_path / "few.png", fine)
    write_mask(tmp_path / "most.png", ~fine)
    assert not read_mask(tmp_path / "few.png", WIDTH, HEIGHT).any()
    assert read_mask(tmp_path / "most.png", WIDTH, HEIGHT).all()


@given(width=st.integers(64, 6000), height=st.integers(64, 6000), side=st.integers(32, 2000))
@settings(max_examples=60, deadline=None)
def test_a_mask_reduced_by_anyone_has_the_shape_of_its_picture(width: int, height: int, side: int) -> None:
    """Whichever way its sides were rounded."""
    scale = side / max(width, height)
    short = min(width, height) * scale
    for rounded in (int(short), round(short), int(short) + 1):
        if short >= 20:
            size = (side, rounded) if width >= height else (rounded, side)
            assert same_shape(size, (width, height))
    rounded = round(short)
    if rounded >= 10:
        size = (side, rounded) if width >= height else (rounded, side)
        assert same_shape((width, height), size), "a mask of the whole picture, for a thumbnail of it"


@pytest.mark.parametrize("size", [(40, 60), (60, 60), (64, 40), (60, 44), (3, 3), (1920, 1088)])
def test_another_shape_is_an_error_that_tells_both(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("1", size, 1).save(tmp_path / "mask.png")
    with pytest.raises(UnreadableImageError) as caught:
        read_mask(tmp_path / "mask.png", WIDTH, HEIGHT)
    assert caught.value.reason == f"{size[0]} x {size[1]} px, another shape than the picture's 60 x 40"
    assert caught.value.path == tmp_path / "mask.png"


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n\0\0"])
def test_files_that_are_no_image(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mask.png").write_bytes(content)
    with pytest.raises(UnreadableImageError):
        read_mask(tmp_path / "mask.png", WIDTH, HEIGHT)


def test_written_masks_are_grey_black_and_white(tmp_path: Path) -> None:
    write_mask(tmp_path / "new" / "mask.png", disc())
    with Image.open(tmp_path / "new" / "mask.png") as image:
        assert image.mode == "L"
        np.testing.assert_array_equal(np.asarray(image), np.where(disc(), 255, 0))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["mask.png"]
