"""Focal lengths, devices and positions from EXIF, against numbers worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from da3_pipeline.imageio import probe_image
from da3_pipeline.ingest.exif import CameraFacts, focal_px_from_35mm, read_camera_facts, read_exposure, read_gps
from da3_pipeline.types import GpsPosition

MakePhoto = Callable[..., Path]
FOCAL_MM, FOCAL_35MM, WIDTH, HEIGHT, PLANE_X, PLANE_UNIT = 0x920A, 0xA405, 0xA002, 0xA003, 0xA20E, 0xA210
DIGITAL_ZOOM = 0xA404


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


@pytest.mark.parametrize("said", [65535, 1, 2, 9000])
def test_an_equivalent_that_no_lens_has_is_none(tmp_path: Path, photo: MakePhoto, said: int) -> None:
    facts = facts_of(photo(tmp_path / "a.jpg", (600, 400), exif={FOCAL_35MM: said, FOCAL_MM: 4.2}))
    assert (facts.focal_px, facts.focal_35mm, facts.focal_mm) == (None, None, 4.2)
    by_pitch = {FOCAL_35MM: said, FOCAL_MM: 50.0, PLANE_X: 600 / 35.0 * 25.4, PLANE_UNIT: 2}
    facts = facts_of(photo(tmp_path / "b.jpg", (600, 400), exif=by_pitch))
    assert facts.focal_px == pytest.approx(50 * 600 / 35, rel=1e-3)


@pytest.mark.parametrize("said", [8, 13, 24, 800])
def test_real_lenses_are_heard(tmp_path: Path, photo: MakePhoto, said: int) -> None:
    facts = facts_of(photo(tmp_path / "a.jpg", (600, 400), exif={FOCAL_35MM: said}))
    assert facts.focal_px == pytest.approx(said * 600 / 36, rel=1e-3)


def test_pitch_and_zoom_that_give_an_absurd_focal_length_are_ignored(tmp_path: Path, photo: MakePhoto) -> None:
    for name, exif in (
        ("wide", {FOCAL_MM: 50.0, PLANE_X: 2.0}),
        ("long", {FOCAL_MM: 50.0, PLANE_X: 72000.0}),
        ("zoom", {FOCAL_MM: 50.0, PLANE_X: 435.4, DIGITAL_ZOOM: 1e4}),
    ):
        assert facts_of(photo(tmp_path / f"{name}.jpg", (600, 400), exif=exif)).focal_px is None


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


def focal_px(path: Path) -> float | None:
    return facts_of(path).focal_px


@pytest.mark.parametrize(("unit", "per_unit"), [(2, 2540.0), (3, 1000.0), (4, 100.0), (5, 0.1), (None, 2540.0)])
def test_the_pixel_pitch_is_told_in_any_unit(
    tmp_path: Path, photo: MakePhoto, unit: int | None, per_unit: float
) -> None:
    """A hundred pixels a millimetre: per inch, centimetre, millimetre, micrometre; inches where nothing is said."""
    exif = {FOCAL_MM: 5.0, PLANE_X: per_unit} | ({} if unit is None else {PLANE_UNIT: unit})
    assert focal_px(photo(tmp_path / "a.jpg", (600, 400), exif=exif)) == pytest.approx(500, rel=1e-3)
    unknown = photo(tmp_path / "b.jpg", (600, 400), exif={FOCAL_MM: 5.0, PLANE_X: per_unit, PLANE_UNIT: 1})
    assert focal_px(unknown) is None


def test_digital_zoom_lengthens_and_never_shortens(tmp_path: Path, photo: MakePhoto) -> None:
    for zoom, expected in ((2.0, 1000), (1.0, 500), (0.5, 500), (0.0, 500)):
        exif = {FOCAL_MM: 5.0, PLANE_X: 2540.0, DIGITAL_ZOOM: zoom}
        assert focal_px(photo(tmp_path / "a.jpg", (600, 400), exif=exif)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("share", "believed"), [(0.18, False), (0.22, True), (45.0, True), (55.0, False)])
def test_a_pixel_pitch_alone_must_make_a_lens(tmp_path: Path, photo: MakePhoto, share: float, believed: bool) -> None:
    exif = {FOCAL_MM: 10.0, PLANE_X: 60 * share, PLANE_UNIT: 4}
    found = focal_px(photo(tmp_path / "a.jpg", (600, 400), exif=exif))
    assert found == (pytest.approx(600 * share, rel=1e-3) if believed else None)


@pytest.mark.parametrize(("off", "finer"), [(0.86, True), (0.84, False), (1.14, True), (1.16, False)])
def test_both_sources_agree_within_fifteen_percent(tmp_path: Path, photo: MakePhoto, off: float, finer: bool) -> None:
    exif = {FOCAL_MM: 50.0, FOCAL_35MM: 54, PLANE_X: 18.0 * off, PLANE_UNIT: 4}
    found = focal_px(photo(tmp_path / "a.jpg", (600, 400), exif=exif))
    assert found == pytest.approx(900 * off if finer else 900, rel=1e-3)


@pytest.mark.parametrize(("size", "told"), [((660, 300), True), ((666, 300), False), ((300, 660), True)])
def test_wider_than_any_single_exposure_is_stitched(
    tmp_path: Path, photo: MakePhoto, size: tuple[int, int], told: bool
) -> None:
    assert (focal_px(photo(tmp_path / "a.jpg", size, exif={FOCAL_35MM: 28})) is not None) is told


@pytest.mark.parametrize(
    ("taken", "told"),
    [
        ({WIDTH: 4000, HEIGHT: 2000}, True),
        ({WIDTH: 2000, HEIGHT: 4000}, True),  # as the sensor has it, before the picture was set upright
        ({WIDTH: 4060, HEIGHT: 2000}, True),
        ({WIDTH: 4100, HEIGHT: 2000}, False),
        ({WIDTH: 3900, HEIGHT: 2000}, False),
        ({WIDTH: 600}, True),
        ({HEIGHT: 300}, True),
        ({WIDTH: 4000}, False),
    ],
)
def test_a_picture_in_another_proportion_than_it_was_taken_in_is_cropped(
    tmp_path: Path, photo: MakePhoto, taken: dict[int, int], told: bool
) -> None:
    path = photo(tmp_path / "a.jpg", (600, 300), exif={FOCAL_35MM: 28, **taken})
    assert (focal_px(path) is not None) is told


def test_the_widest_picture_that_keeps_its_diagonal() -> None:
    assert focal_px_from_35mm(20, 1540, 1000) == pytest.approx(20 * math.hypot(1540, 1000) / math.hypot(36, 24))
    assert focal_px_from_35mm(20, 1560, 1000) == pytest.approx(20 * math.hypot(1560, 1170) / math.hypot(36, 24))


def test_everything_that_is_told_of_the_camera(tmp_path: Path, photo: MakePhoto) -> None:
    tags = {0x010F: "Apple", 0x0110: "iPhone 15"}
    exif = {FOCAL_MM: 6.5, FOCAL_35MM: 26, 0xA431: b"A12\0", 0xA433: "Apple", 0xA434: "main"}
    facts = facts_of(photo(tmp_path / "a.jpg", tags=tags, exif=exif))
    assert (facts.focal_mm, facts.focal_35mm) == (6.5, 26.0)
    assert (facts.serial, facts.lens, facts.device) == ("A12", "Apple main", "Apple iPhone 15")
    assert CameraFacts(make="SONY", model="Sony A7").device == "Sony A7"


def position_of(gps: dict[int, object]) -> object:
    exif = Image.Exif()
    exif.get_ifd(0x8825).update(gps)
    return read_gps(exif)


def at(latitude: object, longitude: object, **more: object) -> dict[int, object]:
    return {1: "N", 2: latitude, 3: "E", 4: longitude} | {int(key[1:]): value for key, value in more.items()}


def test_positions_as_far_as_they_are_told() -> None:
    degrees = (46.0, 30.0, 0.0), (7.0, 0.0, 36.0)
    plain = GpsPosition(46.5, 7.01)
    assert position_of(at(*degrees)) == plain
    assert position_of(at((46.0, 30.0, math.nan), degrees[1])) == plain
    assert position_of(at((46.5, None, None), degrees[1])) == plain
    assert position_of(at(*degrees, _1=b"S\0")) == GpsPosition(-46.5, 7.01)
    assert position_of(at(*degrees, _3="w ")) == GpsPosition(46.5, -7.01)
    assert position_of(at((0.0, 0.0, 0.0), degrees[1])) == GpsPosition(0.0, 7.01)
    assert position_of(at(degrees[0], (0.0, 0.0, 0.0))) == GpsPosition(46.5, 0.0)
    for wrong in ((None, 30.0, 0.0), (46.0, 30.0), 46.5):
        assert position_of(at(wrong, degrees[1])) is None
        assert position_of(at(degrees[0], wrong)) is None
    assert position_of(at(degrees[0], (181.0, 0.0, 0.0))) is None


def test_altitudes_and_what_the_receiver_says_of_its_error() -> None:
    place = (46.0, 0.0, 0.0), (7.0, 0.0, 0.0)
    for reference, altitude in ((b"\x00", 12.0), (0, 12.0), (1, -12.0), (b"\x01", -12.0)):
        assert position_of(at(*place, _5=reference, _6=12.0)) == GpsPosition(46.0, 7.0, altitude)
    assert position_of(at(*place, _5=1)) == GpsPosition(46.0, 7.0)
    for said, error_m in ((4.5, 4.5), (0.0, None), (-1.0, None), ((3.0,), 3.0), ((3.0, 1.0), None)):
        assert position_of(at(*place, _31=said)) == GpsPosition(46.0, 7.0, None, error_m)
