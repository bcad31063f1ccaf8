"""Every kind of picture file, upright and in 8 bits; and the copies that trainers read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from da3_pipeline.imageio import (
    UnreadableImageError,
    copy_upright,
    probe_image,
    read_rgb,
    sniff_format,
    upright_suffix,
    write_rgb,
)

ORIENTATION = 0x0112
# What a viewer does to the stored pixels for each EXIF orientation.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


def quadrants(width: int = 120, height: int = 80) -> np.ndarray:
    """Four flat corners, told apart by colour, on 8-pixel boundaries: survives JPEG, shows every turn and flip."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[: height // 2, : width // 2] = (200, 30, 30)
    rgb[: height // 2, width // 2 :] = (30, 200, 30)
    rgb[height // 2 :, : width // 2] = (30, 30, 200)
    rgb[height // 2 :, width // 2 :] = (220, 220, 60)
    return rgb


def smooth(width: int, height: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 200 / width, y * 200 / height, 100 + 50 * np.sin(x / 40)], -1).astype(np.uint8)


def save(path: Path, rgb: np.ndarray, orientation: int = 1, **options: object) -> Path:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(rgb).save(path, exif=exif, **options)
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_pictures_are_turned_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = save(tmp_path / f"a{suffix}", quadrants(), orientation)
    expected = UPRIGHT[orientation](quadrants())
    read = read_rgb(path)
    assert read.shape == expected.shape
    assert np.abs(read.astype(int) - expected).mean() < 8
    info = probe_image(path)
    assert (info.width, info.height) == expected.shape[1::-1]
    small = read_rgb(path, max_side_px=30)
    assert max(small.shape) == 30
    assert np.abs(small[::5, ::5].astype(int) - expected[2::20, 2::20]).mean() < 12


def test_heic_is_read_upright(tmp_path: Path) -> None:
    path = tmp_path / "a.heic"
    pillow_heif.from_bytes("RGB", (120, 80), quadrants().tobytes()).save(path, quality=95)
    assert sniff_format(path) == "HEIF"
    assert np.abs(read_rgb(path).astype(int) - quadrants()).mean() < 8
    assert (probe_image(path).width, probe_image(path).height) == (120, 80)


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 100 * 80).reshape(80, 100).astype(np.uint16)
    for suffix in (".png", ".tif"):
        Image.fromarray(values).save(tmp_path / f"grey{suffix}")
        read = read_rgb(tmp_path / f"grey{suffix}")
        assert np.abs(read.astype(float) - values[..., None] / 257.0).max() <= 0.51


def test_sixteen_bit_colour_png(tmp_path: Path) -> None:
    import cv2

    values = np.dstack([np.full((80, 100), v, np.uint16) for v in (0x1234, 0x80FF, 0xFFFF)])
    cv2.imwrite(str(tmp_path / "a.png"), values[..., ::-1])
    assert np.abs(read_rgb(tmp_path / "a.png")[0, 0].astype(float) - values[0, 0] / 257.0).max() <= 1.0
    copy = copy_upright(tmp_path / "a.png", tmp_path / "out" / "a.png")
    assert copy.read_bytes()[24] == 8


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "1", "RGBA", "LA"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.fromarray(smooth(96, 64)).convert("RGB").convert("RGBA" if mode in ("RGBA", "LA") else "RGB").convert(
        mode
    ).save(path)
    read = read_rgb(path)
    assert read.shape == (64, 96, 3)
    assert read.dtype == np.uint8
    if mode == "CMYK":
        assert np.abs(read.astype(int) - smooth(96, 64)).mean() < 6


def test_transparent_pixels_are_laid_over_black(tmp_path: Path) -> None:
    rgba = np.full((64, 64, 4), 200, np.uint8)
    rgba[:, :16, 3] = 0
    rgba[:, 16:32, 3] = 128
    rgba[:, 32:, 3] = 255
    Image.fromarray(rgba).save(tmp_path / "a.png")
    read = read_rgb(tmp_path / "a.png")[0, :, 0]
    assert read[0] == 0
    assert abs(int(read[20]) - 100) <= 1
    assert read[40] == 200


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize(("width", "height", "side"), [(1023, 511, 250), (640, 480, 640), (333, 1000, 100)])
def test_reduced_reads_cover_the_whole_picture(tmp_path: Path, suffix: str, width: int, height: int, side: int) -> None:
    """Where an edge lies in the reduced picture, told by how much is white, is where it lies in the original."""
    for edge in (width // 7, width // 2, width - width // 9):
        rgb = np.zeros((height, width, 3), np.uint8)
        rgb[:, edge:] = 255
        path = tmp_path / f"a{suffix}"
        Image.fromarray(rgb).save(path, **({"quality": 98} if suffix == ".jpg" else {}))
        small = read_rgb(path, max_side_px=side)
        assert max(small.shape[:2]) == side
        assert width * (1 - small.mean() / 255) == pytest.approx(edge, abs=0.05 * max(8, width / small.shape[1]))


def test_a_twenty_thousand_pixel_panorama_is_read(tmp_path: Path) -> None:
    path = tmp_path / "pano.jpg"
    Image.fromarray(np.full((600, 20000, 3), 90, np.uint8)).save(path)
    assert read_rgb(path).shape == (600, 20000, 3)
    assert read_rgb(path, max_side_px=504).shape == (15, 504, 3)


def bad_text(path: Path) -> None:
    path.write_text("holiday notes")


def bad_empty(path: Path) -> None:
    path.touch()


def bad_truncated(path: Path) -> None:
    Image.fromarray(smooth(200, 150)).save(path, format="JPEG")
    path.write_bytes(path.read_bytes()[:-600])


def bad_header(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40)


def bad_truncated_png(path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(path, format="PNG")
    path.write_bytes(path.read_bytes()[:4000])


def bad_heic(path: Path) -> None:
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 100)


def bad_float(path: Path) -> None:
    Image.fromarray(np.full((64, 64), 100, np.float32)).save(path, format="TIFF")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (bad_text, "not an image"),
        (bad_empty, "empty"),
        (bad_truncated, "truncated"),
        (bad_header, "damaged"),
        (bad_truncated_png, "truncated or damaged"),
        (bad_heic, "damaged"),
        (bad_float, "floating-point"),
    ],
)
def test_unreadable_files_say_why(tmp_path: Path, make, reason: str) -> None:
    path = tmp_path / "a.jpg"
    make(path)
    with pytest.raises(UnreadableImageError) as caught:
        read_rgb(path)
    assert reason in caught.value.reason
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_probing_finds_truncation_without_a_full_decode(tmp_path: Path) -> None:
    bad_truncated(tmp_path / "a.jpg")
    with pytest.raises(UnreadableImageError, match="truncated"):
        probe_image(tmp_path / "a.jpg")


def test_missing_and_forbidden_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnreadableImageError, match="no such file"):
        read_rgb(tmp_path / "none.jpg")

    def forbid(path: Path) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("da3_pipeline.imageio.containers.sniff_format", forbid)
    with pytest.raises(UnreadableImageError, match="permission denied"):
        read_rgb(tmp_path / "none.jpg")


@pytest.mark.parametrize("name", ["a.jpg", "a.JPG", "a.jpeg", "a.png"])
def test_plain_files_are_copied_byte_for_byte(tmp_path: Path, name: str) -> None:
    source = save(tmp_path / name, smooth(96, 64))
    copy = copy_upright(source, tmp_path / "out" / name)
    assert copy == tmp_path / "out" / name
    assert copy.read_bytes() == source.read_bytes()


def make_grey(path: Path) -> None:
    Image.fromarray(smooth(96, 64)).convert("L").save(path)


def make_turned(path: Path) -> None:
    save(path, smooth(96, 64), orientation=6)


def make_alpha(path: Path) -> None:
    Image.fromarray(smooth(96, 64)).convert("RGBA").save(path)


def make_plain(path: Path) -> None:
    save(path, smooth(96, 64))


@pytest.mark.parametrize(
    ("name", "make", "written"),
    [
        ("a.jpg", make_grey, "a.jpg"),
        ("a.JPG", make_turned, "a.JPG"),
        ("a.png", make_alpha, "a.png"),
        ("a.tif", make_turned, "a.png"),
        ("a.webp", make_plain, "a.jpg"),
        ("a.bmp", make_grey, "a.png"),
    ],
)
def test_other_files_are_written_anew(tmp_path: Path, name: str, make, written: str) -> None:
    source = tmp_path / name
    make(source)
    copy = copy_upright(source, tmp_path / "sub" / "folder" / name)
    assert copy.name == written
    assert upright_suffix(source) == copy.suffix
    info = probe_image(source)
    with Image.open(copy) as image:
        assert (image.mode, image.size) == ("RGB", (info.width, info.height))
        assert image.getexif().get(ORIENTATION, 1) == 1
    assert np.abs(read_rgb(copy).astype(int) - read_rgb(source)).mean() < 2
    assert [path.name for path in copy.parent.iterdir()] == [written]


def test_a_png_named_jpg_gets_its_true_suffix(tmp_path: Path) -> None:
    source = tmp_path / "a.jpg"
    Image.fromarray(smooth(96, 64)).save(source, format="PNG")
    assert copy_upright(source, tmp_path / "out" / "a.jpg").name == "a.png"


def test_a_multi_picture_jpeg_is_copied_without_its_second_picture(tmp_path: Path) -> None:
    source = tmp_path / "a.jpg"
    first, second = Image.fromarray(smooth(96, 64)), Image.fromarray(quadrants())
    first.save(source, format="MPO", save_all=True, append_images=[second])
    copy = copy_upright(source, tmp_path / "out" / "a.jpg")
    with Image.open(copy) as image:
        assert (image.format, image.size) == ("JPEG", (96, 64))
    assert (read_rgb(copy) == read_rgb(source)).all()
    assert copy.stat().st_size < source.stat().st_size


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rgb(tmp_path / "a.jpg", smooth(96, 64))
    before = (tmp_path / "a.jpg").read_bytes()

    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="No space left"):
        write_rgb(tmp_path / "a.jpg", quadrants())
    assert (tmp_path / "a.jpg").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.jpg"]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_png_round_trip_is_exact(tmp_path_factory: pytest.TempPathFactory, width: int, height: int, seed: int) -> None:
    path = tmp_path_factory.mktemp("png") / "a.png"
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    write_rgb(path, rgb)
    assert (read_rgb(path) == rgb).all()
