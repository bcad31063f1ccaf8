"""Focal lengths, devices and positions from EXIF, against numbers worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from da3_pipeline.imageio import probe_image
from da3_pipeline.ingest.exif import CameraFacts, focal_px_from_35mm, read_camera_facts, read_exposure, read_gps

MakePhoto = Callable[..., Path]
FOCAL_MM, FOCAL_35MM, WIDTH, HEIGHT, PLANE_X, PLANE_UNIT = 0x920A, 0xA405, 0xA002, 0xA003, 0xA20E, 0xA210


def facts_of(path: Path) -> CameraFacts:
    info = probe_image(path)
    return read_camera_facts(info.exif, info.width, info.height)


def test_focal_length_from_the_pixel_pitch_survives_resizing(tmp_path: Path, photo: MakePhoto) -> None:
    """55 mm on a sensor of 4272 px at 4720.44 px an inch, stored at 1024 px: f = 55 / 25.4 * 4720.44 * 1024 / 4272."""
    exif = {FOCAL_MM: 55.0, PLANE_X: 4720.44, PLANE_UNIT: 2, WIDTH: 4272, HEIGHT: 2848}
    path = photo(tmp_path / "a.jpg", (1024, 683), tags={0x010F: "Canon", 0x0110: "Canon EOS REBEL T3"}, exif=exif)
    facts = facts_of(path)
    assert facts.focal_px == pytest.approx(55 / 25.4 * 4720.44 * 1024 / 4272, rel=1e-3)
    assert facts.device == "Canon EOS REBEL T3"


@pytest.mark.parametrize(("size", "sensor"), [((600, 400), (36, 24)), ((400, 600), (24, 36))])
def test_35_mm_equivalent_on_a_full_frame(size: tuple[int, int], sensor: tuple[float, float]) -> None:
    assert focal_px_from_35mm(50, *size) == pytest.approx(50 * size[0] / sensor[0])


def test_35_mm_equivalent_compares_diagonals_and_knows_wide_crops() -> None:
    assert focal_px_from_35mm(20, 4000, 3000) == pytest.approx(20 * 5000 / math.hypot(36, 24))
    assert focal_px_from_35mm(20, 4000, 2250) == focal_px_from_35mm(20, 4000, 3000)


def test_the_finer_source_wins_where_both_agree(tmp_path: Path, photo: MakePhoto) -> None:
    agreeing = {FOCAL_MM: 50.0, FOCAL_35MM: 50, PLANE_X: 600 / 35.0 * 25.4, PLANE_UNIT: 2}
    assert facts_of(photo(tmp_path / "a.jpg", (600, 400), exif=agreeing)).focal_px == pytest.approx(
        50 * 600 / 35, rel=1e-3
    )
    nonsense = {**agreeing, PLANE_X: 72.0}
    assert facts_of(photo(tmp_path / "b.jpg", (600, 400), exif=nonsense)).focal_px == pytest.approx(
        50 * 600 / 36, rel=1e-3
    )


def test_cropped_and_stitched_pictures_have_no_focal_length(tmp_path: Path, photo: MakePhoto) -> None:
    cropped = {FOCAL_35MM: 28, WIDTH: 4000, HEIGHT: 3000}
    assert facts_of(photo(tmp_path / "a.jpg", (400, 400), exif=cropped)).focal_px is None
    assert facts_of(photo(tmp_path / "b.jpg", (900, 300), exif={FOCAL_35MM: 28})).focal_px is None


def test_broken_values_are_ignored(tmp_path: Path, photo: MakePhoto) -> None:
    from PIL.TiffImagePlugin import IFDRational

    path = photo(tmp_path / "a.jpg", exif={FOCAL_MM: IFDRational(1, 0), FOCAL_35MM: 0, PLANE_X: IFDRational(0, 0)})
    assert facts_of(path) == CameraFacts()


def test_texts_lose_their_padding(tmp_path: Path, photo: MakePhoto) -> None:
    path = photo(tmp_path / "a.jpg", tags={0x010F: "DJI     ", 0x0110: "FC300S\0\0"}, exif={0xA434: "24mm  F2\0"})
    facts = facts_of(path)
    assert (facts.make, facts.model, facts.lens, facts.device) == ("DJI", "FC300S", "24mm F2", "DJI FC300S")


@pytest.mark.parametrize(
    ("refs", "latitude_deg", "longitude_deg"),
    [(("N", "E"), 46.842607, 91.994560), (("S", "W"), -46.842607, -91.994560)],
)
def test_gps(
    tmp_path: Path, photo: MakePhoto, refs: tuple[str, str], latitude_deg: float, longitude_deg: float
) -> None:
    gps = {1: refs[0], 2: (46.0, 50.0, 33.3855), 3: refs[1], 4: (91.0, 59.0, 40.4156), 5: b"\x01", 6: 12.5}
    position = read_gps(probe_image(photo(tmp_path / "a.jpg", gps=gps)).exif)
    assert position is not None
    assert position.latitude_deg == pytest.approx(latitude_deg, abs=1e-6)
    assert position.longitude_deg == pytest.approx(longitude_deg, abs=1e-6)
    assert position.altitude_m == pytest.approx(-12.5)


@pytest.mark.parametrize(
    "gps",
    [
        {},
        {1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)},
        {1: "N", 2: (95.0, 0.0, 0.0), 3: "E", 4: (10.0, 0.0, 0.0)},
        {1: "N", 2: (45.0, 0.0, 0.0)},
    ],
)
def test_no_fix_is_no_position(gps: dict[int, object]) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8825).update(gps)
    assert read_gps(exif) is None


def test_exposure_is_read_as_far_as_it_is_told(tmp_path: Path, photo: MakePhoto) -> None:
    told = probe_image(photo(tmp_path / "a.jpg", exif={0x829A: 0.004, 0x8827: 400, 0x829D: 2.8})).exif
    exposure = read_exposure(told)
    assert exposure is not None
    assert (exposure.time_s, exposure.iso, exposure.f_number) == (pytest.approx(0.004), 400.0, pytest.approx(2.8))
    partly = read_exposure(probe_image(photo(tmp_path / "b.jpg", exif={0x8827: 100})).exif)
    assert partly is not None and (partly.time_s, partly.iso, partly.f_number) == (None, 100.0, None)
    assert read_exposure(probe_image(photo(tmp_path / "c.jpg")).exif) is None


def test_the_poles_and_the_date_line_are_places() -> None:
    for latitude, longitude in ((90.0, 0.5), (0.5, 180.0)):
        exif = Image.Exif()
        exif.get_ifd(0x8825).update({1: "N", 2: (latitude, 0.0, 0.0), 3: "W", 4: (longitude, 0.0, 0.0)})
        position = read_gps(exif)
        assert position is not None
        assert (position.latitude_deg, position.longitude_deg) == (latitude, -longitude)
