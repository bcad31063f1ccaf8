"""Known answers for every kind of pixels, among them those that Pillow and OpenCV read differently or wrongly."""

from __future__ import annotations

import builtins
import io
import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from da3_pipeline.imageio import (
    UnreadableImageError,
    copy_upright,
    probe_image,
    read_header,
    read_mask,
    read_rgb,
    sniff_format,
)
from da3_pipeline.ingest.exif import read_camera_facts, read_exposure, read_gps

HEIGHT, WIDTH = 64, 96


def truth() -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([x * 2, y * 3, x + y + 40], -1).astype(np.uint8)


RGB = truth()
GREY = RGB[..., 0]
WIDE = RGB.astype(np.uint16) * 257


def tiff(values: np.ndarray, **options: object) -> Callable[[Path], None]:
    return lambda path: tifffile.imwrite(path, values, **options)


def lab(path: Path) -> None:
    srgb, space = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    converted = ImageCms.profileToProfile(Image.fromarray(RGB), srgb, space, outputMode="LAB")
    assert converted is not None
    converted.save(path, format="TIFF")


def png(values: np.ndarray) -> Callable[[Path], None]:
    data = cv2.imencode(".png", values[..., [2, 1, 0, 3][: values.shape[2]]] if values.ndim == 3 else values)[1]
    return lambda path: path.write_bytes(data.tobytes())


def lzw16(path: Path) -> None:
    path.write_bytes(cv2.imencode(".tif", WIDE[..., ::-1])[1].tobytes())


def palette(path: Path) -> None:
    Image.fromarray(RGB // 64 * 64).quantize(64).save(path, format="PNG")


GREY_RGB = np.repeat(GREY[..., None], 3, 2)
OVER_BLACK = (RGB * (GREY_RGB / 255.0)).round()

MODES: dict[str, tuple[str, Callable[[Path], None], np.ndarray, float]] = {
    # kind: suffix, what writes it, the picture, and by how many levels it may be off
    "RGB": ("tif", tiff(RGB, photometric="rgb"), RGB, 0),
    "RGB, planes apart": ("tif", tiff(RGB.transpose(2, 0, 1), photometric="rgb", planarconfig="separate"), RGB, 0),
    "RGB of 16 bits": ("tif", tiff(WIDE, photometric="rgb"), RGB, 0),
    "RGB of 16 bits, big end first": ("tif", tiff(WIDE, photometric="rgb", byteorder=">"), RGB, 0),
    "RGB of 16 bits, planes apart": (
        "tif",
        tiff(WIDE.transpose(2, 0, 1), photometric="rgb", planarconfig="separate"),
        RGB,
        0,
    ),
    "RGB of 16 bits, planes apart, deflated": (
        "tif",
        tiff(WIDE.transpose(2, 0, 1), photometric="rgb", planarconfig="separate", compression="zlib", predictor=True),
        RGB,
        0,
    ),
    "RGB of 16 bits in tiles": ("tif", tiff(WIDE, photometric="rgb", tile=(32, 32)), RGB, 0),
    "RGB of 16 bits, LZW": ("tif", lzw16, RGB, 0),
    "RGB of 12 bits in 16": ("tif", tiff(RGB.astype(np.uint16) * 16 + 7, photometric="rgb"), RGB, 1),
    "RGB of 8 bits in 16": ("tif", tiff(RGB.astype(np.uint16), photometric="rgb"), RGB, 0),
    "RGB of 16 bits that say 14": (
        "tif",
        tiff(RGB.astype(np.uint16) * 64, photometric="rgb", extratags=[(281, "H", 3, (16383,) * 3, True)]),
        RGB,
        1,
    ),
    "RGB in floats": ("tif", tiff(RGB.astype(np.float32) / 255, photometric="rgb"), RGB, 0),
    "RGB in halves": ("tif", tiff((RGB / 255).astype(np.float16), photometric="rgb"), RGB, 1),
    "RGB and two more bands": (
        "tif",
        tiff(np.dstack([WIDE, WIDE[..., :2]]), photometric="rgb", extrasamples=["unspecified"] * 2),
        RGB,
        0,
    ),
    "RGB and alpha of 16 bits": (
        "tif",
        tiff(np.dstack([WIDE, WIDE[..., :1]]), photometric="rgb", extrasamples=["unassalpha"]),
        OVER_BLACK,
        1,
    ),
    "grey of 16 bits": ("tif", tiff(GREY.astype(np.uint16) * 257, photometric="minisblack"), GREY_RGB, 0),
    "grey of 16 bits, white is zero": (
        "tif",
        tiff(65535 - GREY.astype(np.uint16) * 257, photometric="miniswhite"),
        GREY_RGB,
        0,
    ),
    "grey, white is zero": ("tif", tiff(255 - GREY, photometric="miniswhite"), GREY_RGB, 0),
    "CMYK": ("tif", tiff(np.dstack([255 - RGB, np.zeros_like(GREY)]), photometric="separated"), RGB, 0),
    "CMYK of 16 bits": (
        "tif",
        tiff(np.dstack([65535 - WIDE, np.zeros_like(WIDE[..., 0])]), photometric="separated"),
        RGB,
        0,
    ),
    "LAB": ("tif", lab, RGB, 30),
    "PNG of 16 bits": ("png", png(WIDE), RGB, 0),
    "PNG of 16 bits and alpha": ("png", png(np.dstack([WIDE, WIDE[..., 0]])), OVER_BLACK, 1),
    "PNG of 12 bits in 16": ("png", png(RGB.astype(np.uint16) * 16 + 7), RGB, 1),
    "grey PNG of 16 bits": ("png", png(GREY.astype(np.uint16) * 257), GREY_RGB, 0),
    "palette": ("png", palette, RGB // 64 * 64, 0),
}


@pytest.mark.parametrize("kind", MODES)
def test_pixels_come_out_as_they_are(tmp_path: Path, kind: str) -> None:
    suffix, write, expected, off = MODES[kind]
    path = tmp_path / f"a.{suffix}"
    write(path)
    read = read_rgb(path)
    assert read.shape == (HEIGHT, WIDTH, 3)
    difference = np.abs(read.astype(float) - expected)
    assert difference.max() <= off and difference.mean() < 2
    info, header = probe_image(path), read_header(path)
    assert (info.width, info.height) == (header.width, header.height) == (WIDTH, HEIGHT)
    copy = copy_upright(path, tmp_path / "out" / f"a.{suffix}")
    with Image.open(copy) as image:
        assert (image.mode, image.size, image.info.get("icc_profile")) == ("RGB", (WIDTH, HEIGHT), None)
        assert (np.asarray(image) == read).all()


@pytest.mark.parametrize(
    ("kind", "clause"),
    [
        ("RGB of 12 bits in 16", "12 bits stored in 16"),
        ("RGB of 16 bits that say 14", "14 bits stored in 16"),
        ("PNG of 12 bits in 16", "12 bits stored in 16"),
        ("RGB in floats", "floating-point, 1 taken for white"),
    ],
)
def test_what_was_supposed_is_said(tmp_path: Path, kind: str, clause: str) -> None:
    suffix, write, _, _ = MODES[kind]
    write(tmp_path / f"a.{suffix}")
    assert probe_image(tmp_path / f"a.{suffix}").pixels == (clause,)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.tif", ("the first of 3 pages",)),
        ("a.webp", ("the first of 3 pictures of an animation",)),
        ("a.png", ("the first of 3 pictures of an animation",)),
    ],
)
def test_of_several_pictures_the_first_is_taken_and_it_is_said(
    tmp_path: Path, name: str, said: tuple[str, ...]
) -> None:
    first, *rest = (Image.fromarray(np.roll(RGB, 9 * k, axis=1)) for k in range(3))
    first.save(tmp_path / name, save_all=True, append_images=rest, **({"lossless": True} if "webp" in name else {}))
    assert probe_image(tmp_path / name).pixels == said
    np.testing.assert_array_equal(read_rgb(tmp_path / name), RGB)


def test_a_smaller_page_is_a_preview_and_a_lone_page_no_news(tmp_path: Path) -> None:
    page = Image.fromarray(RGB)
    page.save(tmp_path / "overview.tif", save_all=True, append_images=[page.resize((WIDTH // 2, HEIGHT // 2))])
    for name in ("one.tif", "one.webp", "one.png"):
        page.save(tmp_path / name)
    assert all(probe_image(path).pixels == () for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (tiff(RGB.astype(np.float32), photometric="rgb"), "floating-point pixels beyond 0..1"),
        (tiff(np.where(GREY > 9, np.nan, 0).astype(np.float32)), "floating-point pixels beyond 0..1"),
        (tiff(GREY.astype(np.uint32) * 16843009), "32 bits"),
        (tiff(GREY.astype(np.int16)), "signed"),
        (tiff(np.dstack([WIDE, WIDE[..., :2]]), photometric="minisblack", planarconfig="contig"), "5 bands"),
    ],
)
def test_pixels_that_are_no_pictures_are_refused_by_name(
    tmp_path: Path, write: Callable[[Path], None], reason: str
) -> None:
    write(tmp_path / "a.tif")
    for read in (read_rgb, probe_image):
        with pytest.raises(UnreadableImageError, match=reason) as caught:
            read(tmp_path / "a.tif")
        assert "damaged" not in caught.value.reason


def test_a_tiff_is_turned_by_its_orientation_at_any_depth(tmp_path: Path) -> None:
    for name, values in (("8", RGB), ("16", WIDE), ("float", RGB.astype(np.float32) / 255)):
        path = tmp_path / f"{name}.tif"
        tifffile.imwrite(path, values, photometric="rgb", extratags=[(274, "H", 1, 6, True)])
        assert (read_rgb(path) == np.rot90(RGB, -1)).all()
        assert (probe_image(path).width, probe_image(path).height) == (HEIGHT, WIDTH)
        assert max(read_rgb(path, max_side_px=48).shape) == 48


def test_what_is_not_zero_in_a_deep_mask_is_used(tmp_path: Path) -> None:
    used = np.zeros((HEIGHT, WIDTH, 3), np.uint16)
    used[10:40, 20:60, 1] = 1
    tifffile.imwrite(tmp_path / "m.tif", used.transpose(2, 0, 1), photometric="rgb", planarconfig="separate")
    assert (read_mask(tmp_path / "m.tif", WIDTH, HEIGHT) == (used[..., 1] > 0)).all()


# Colour


def rgb_profile(primaries: list[tuple[float, float]], gamma: float = 2.2) -> bytes:
    """A matrix profile (ICC v2) of chromaticities and a gamma, D65 white, as Display P3 and Adobe RGB have it."""
    white = np.array([0.3127, 0.3290])
    xyz = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    scale = np.linalg.solve(xyz, [white[0] / white[1], 1, (1 - white.sum()) / white[1]])
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    d65 = bradford @ [white[0] / white[1], 1, (1 - white.sum()) / white[1]]
    to_d50 = np.linalg.inv(bradford) @ np.diag(bradford @ [0.9642, 1, 0.8249] / d65) @ bradford
    columns = (to_d50 @ (xyz * scale)).T

    def number(value: float) -> bytes:
        return round(value * 65536).to_bytes(4, "big", signed=True)

    tags = {b"desc": b"desc" + bytes(4) + (6).to_bytes(4, "big") + b"Wide!\0" + bytes(78), b"cprt": b"text" + bytes(5)}
    tags[b"wtpt"] = b"XYZ " + bytes(4) + number(0.9642) + number(1) + number(0.8249)
    for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True):
        tags[name] = b"XYZ " + bytes(4) + b"".join(number(value) for value in column)
    for name in (b"rTRC", b"gTRC", b"bTRC"):
        tags[name] = b"curv" + bytes(4) + (1).to_bytes(4, "big") + round(gamma * 256).to_bytes(2, "big") + bytes(2)
    table, body = len(tags).to_bytes(4, "big"), b""
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += name + (132 + 12 * len(tags) + len(body)).to_bytes(4, "big") + len(data).to_bytes(4, "big")
        body += data
    head = bytes(4) + b"none" + bytes.fromhex("02100000") + b"mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(28)
    head += number(0.9642) + number(1) + number(0.8249) + bytes(48)
    profile = head + table + body
    return len(profile).to_bytes(4, "big") + profile[4:]


P3 = [(0.680, 0.320), (0.265, 0.690), (0.150, 0.060)]
ADOBE = [(0.640, 0.330), (0.210, 0.710), (0.150, 0.060)]
SRGB = [(0.640, 0.330), (0.300, 0.600), (0.150, 0.060)]


def as_srgb(rgb: np.ndarray, primaries: list[tuple[float, float]], gamma: float = 2.2) -> np.ndarray:
    """The same light in sRGB, by the definition of both."""

    def to_xyz(chromaticities: list[tuple[float, float]]) -> np.ndarray:
        xyz = np.array([[x / y, 1, (1 - x - y) / y] for x, y in chromaticities]).T
        return xyz * np.linalg.solve(xyz, [0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])

    light = (rgb / 255.0) ** gamma @ (np.linalg.inv(to_xyz(SRGB)) @ to_xyz(primaries)).T
    light = light.clip(0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize(("name", "primaries"), [("P3", P3), ("Adobe RGB", ADOBE)])
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_wide_gamuts_become_srgb(tmp_path: Path, name: str, primaries: list[tuple[float, float]], suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    soft = RGB // 2 + 60  # within the gamut of sRGB
    Image.fromarray(soft).save(path, icc_profile=rgb_profile(primaries), quality=98, subsampling=0)
    expected = as_srgb(soft, primaries)
    assert np.abs(expected - soft).max() > 5
    assert np.abs(read_rgb(path) - expected).mean() < (1.5 if suffix == "jpg" else 1)
    assert probe_image(path).pixels == ("Wide!, converted to sRGB",)
    copy = copy_upright(path, tmp_path / "out" / f"a.{suffix}")
    assert np.abs(read_rgb(copy) - expected).mean() < 1.5
    assert probe_image(copy).pixels == ()
    small = read_rgb(path, max_side_px=WIDTH // 2).astype(float)
    assert np.abs(small - expected.reshape(HEIGHT // 2, 2, WIDTH // 2, 2, 3).mean((1, 3))).mean() < 2.5


def test_profiles_that_change_nothing_leave_the_file_as_it_is(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, profile in (("srgb", srgb), ("broken", b"\0" * 200), ("grey", srgb.replace(b"RGB XYZ", b"GRAYXYZ"))):
        path = tmp_path / f"{name}.jpg"
        Image.fromarray(RGB).save(path, icc_profile=profile)
        assert copy_upright(path, tmp_path / "out" / path.name).read_bytes() == path.read_bytes()
        assert probe_image(path).pixels == ()


# EXIF that means harm


def exif_of(*entries: tuple[int, int, int, bytes]) -> bytes:
    """A directory of (tag, type, count, four bytes), whatever they are."""
    packed = b"".join(struct.pack(">HHI", *entry[:3]) + entry[3] for entry in entries)
    return b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", len(entries)) + packed + bytes(4)


@pytest.mark.parametrize("tag", [0x010F, 0x011A, 0x0128, 0x0132, 0x8769, 0x8825])
@pytest.mark.parametrize(
    ("kind", "count", "value"), [(2, 4, b"ab\0\0"), (3, 2, b"\0\1\0\2"), (7, 3, b"xyz\0"), (9, 1, b"\xff" * 4)]
)
def test_exif_of_wrong_types_costs_nothing(tmp_path: Path, tag: int, kind: int, count: int, value: bytes) -> None:
    data = exif_of((tag, kind, count, value), (0x0112, 3, 1, b"\0\6\0\0"))
    Image.fromarray(RGB).save(tmp_path / "a.jpg", exif=data, quality=98)
    assert np.abs(read_rgb(tmp_path / "a.jpg").astype(int) - np.rot90(RGB, -1)).mean() < 3
    info = probe_image(tmp_path / "a.jpg")
    assert (info.width, info.height) == (HEIGHT, WIDTH)
    read_camera_facts(info.exif, info.width, info.height), read_gps(info.exif), read_exposure(info.exif)
    copy = copy_upright(tmp_path / "a.jpg", tmp_path / "out" / "a.jpg")
    assert (probe_image(copy).width, probe_image(copy).height) == (HEIGHT, WIDTH)


@pytest.mark.parametrize("entry", [(2, 2, b"6\0\0\0"), (3, 1, b"\0\0\0\6"), (3, 1, b"\0\x63\0\0"), (7, 1, b"\6\0\0\0")])
def test_an_orientation_that_is_none_turns_nothing(tmp_path: Path, entry: tuple[int, int, bytes]) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.jpg", exif=exif_of((0x0112, *entry)))
    assert read_rgb(tmp_path / "a.jpg").shape == (HEIGHT, WIDTH, 3)
    assert (probe_image(tmp_path / "a.jpg").width, read_rgb(tmp_path / "a.jpg", 48).shape) == (WIDTH, (32, 48, 3))


def test_damaged_exif_is_not_warned_of(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "ACME" * 20, "One" * 20
    exif.get_ifd(0x8769)[0xA434] = "lens" * 20
    data = exif.tobytes()
    for cut in (20, 60, 100, len(data) - 30):
        Image.fromarray(RGB).save(tmp_path / "a.jpg", exif=data[:cut])
        info = probe_image(tmp_path / "a.jpg")
        info.exif.get_ifd(0x8769)
        assert (info.width, read_rgb(tmp_path / "a.jpg").shape) == (WIDTH, (HEIGHT, WIDTH, 3))


# Names


@pytest.mark.parametrize(
    "name", ["a" * 251 + ".jpg", "写" * 83 + ".png", "caf\udce9.jpg", "caf\udce9.tif", "caf\udce9.jxl"]
)
def test_any_name_that_a_file_system_takes(tmp_path: Path, name: str) -> None:
    path, copy = tmp_path / name, tmp_path / "out" / name
    kind = {"jpg": "JPEG", "png": "PNG", "tif": "TIFF", "jxl": "JXL"}[name[-3:]]
    buffer = io.BytesIO()
    if kind == "JXL":
        pytest.importorskip("pillow_jxl")
    if kind == "TIFF":
        tifffile.imwrite(buffer, WIDE, photometric="rgb")
    else:
        Image.fromarray(RGB).save(buffer, kind)
    try:
        path.write_bytes(buffer.getvalue())
    except OSError:
        pytest.skip("this file system does not take the name")
    path.chmod(0o444)
    assert read_rgb(path).shape == (HEIGHT, WIDTH, 3)
    written = copy_upright(path, copy)
    assert [other.name for other in written.parent.iterdir()] == [written.name]
    assert written.stat().st_mode & 0o200, "a copy of a read-only file can be replaced"
    assert probe_image(written).width == WIDTH


# Extras


def test_jpeg_xl_is_read(tmp_path: Path) -> None:
    pytest.importorskip("pillow_jxl")
    Image.fromarray(RGB).save(tmp_path / "a.jxl", lossless=True)
    assert sniff_format(tmp_path / "a.jxl") == "JXL"
    assert (read_rgb(tmp_path / "a.jxl") == RGB).all()
    assert copy_upright(tmp_path / "a.jxl", tmp_path / "out" / "a.jxl").suffix == ".jpg"


def test_avif_is_read(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.avif", quality=95)
    assert np.abs(read_rgb(tmp_path / "a.avif").astype(int) - RGB).mean() < 3


def bayer(path: Path) -> None:
    """A digital negative: RGGB of 14 bits, with a grey left half and a red right half."""
    values = np.full((200, 300), 4000, np.uint16)
    values[:, 150:] = 600
    values[::2, 150::2] = 8000
    rational = (1, 1, 1, 1, 1, 1)
    tifffile.imwrite(
        path,
        values,
        photometric=32803,
        extratags=[
            (33421, "H", 2, (2, 2), True),
            (33422, "B", 4, (0, 1, 1, 2), True),
            (50706, "B", 4, (1, 4, 0, 0), True),
            (50707, "B", 4, (1, 1, 0, 0), True),
            (50708, "s", 0, "ACME One", True),
            (50717, "H", 1, 16383, True),
            (50721, "2i", 9, (10000, 10000, 0, 1, 0, 1, 0, 1, 10000, 10000, 0, 1, 0, 1, 0, 1, 10000, 10000), True),
            (50728, "2I", 3, rational, True),
            (50778, "H", 1, 21, True),
        ],
    )


def test_raw_is_developed(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    bayer(tmp_path / "a.dng")
    assert sniff_format(tmp_path / "a.dng") == "RAW"
    read = read_rgb(tmp_path / "a.dng").astype(int)
    header, info = read_header(tmp_path / "a.dng"), probe_image(tmp_path / "a.dng")
    assert (info.width, info.height) == (header.width, header.height) == read.shape[1::-1]
    grey, red = read[50:150, 50:100].mean((0, 1)), read[50:150, 200:250].mean((0, 1))
    assert np.ptp(grey) < 12 and 60 < grey.mean() < 200
    assert red[0] > red[1] + 60 and red[0] > red[2] + 60
    assert copy_upright(tmp_path / "a.dng", tmp_path / "out" / "a.dng").suffix == ".jpg"


@pytest.mark.parametrize(("module", "name", "extra"), [("rawpy", "a.nef", "raw"), ("pillow_jxl", "a.jxl", "jxl")])
def test_formats_of_extras_name_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, name: str, extra: str
) -> None:
    real = builtins.__import__

    def absent(wanted: str, *arguments: object, **options: object) -> object:
        if wanted == module:
            raise ImportError(wanted)
        return real(wanted, *arguments, **options)

    (tmp_path / name).write_bytes(b"\xff\x0a" + b"x" * 50)
    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(UnreadableImageError, match=rf"pip install 'da3-pipeline\[{extra}\]'"):
        read_rgb(tmp_path / name)


def test_a_raw_file_that_is_none(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    (tmp_path / "a.nef").write_bytes(b"II*\0" + bytes(60))
    with pytest.raises(UnreadableImageError, match="LibRaw cannot develop it"):
        read_rgb(tmp_path / "a.nef")
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, "PNG")
    (tmp_path / "b.dng").write_bytes(buffer.getvalue())
    assert (read_rgb(tmp_path / "b.dng") == RGB).all()
