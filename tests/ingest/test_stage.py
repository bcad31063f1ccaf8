"""The whole stage on mixed, broken and missing input."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from da3_pipeline import ingest
from da3_pipeline.errors import CaptureError
from da3_pipeline.imageio import read_rgb
from da3_pipeline.ingest import IngestConfig
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import Capture

MakePhoto = Callable[..., Path]
MakeVideo = Callable[..., Path]
SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def run(*sources: Path, **settings: object) -> Capture:
    return ingest.run(sources, IngestConfig(**settings), SilentProgress())


def test_a_mixed_capture(tmp_path: Path, photo: MakePhoto, video: MakeVideo, numbered: list[np.ndarray]) -> None:
    photo(tmp_path / "10.jpg", tags={0x0112: 6})
    photo(tmp_path / "9.png", seed=1)
    video(tmp_path / "walk.mp4", numbered, rotation_deg=90)
    capture = run(tmp_path)
    assert [frame.name for frame in capture.photos] == ["9.png", "10.jpg"]
    turned = capture.photos[1]
    assert (turned.width, turned.height) == (64, 96) == read_rgb(turned.path).shape[1::-1]
    (clip,) = capture.videos
    assert (clip.name, clip.width, clip.height, clip.rotation_deg, len(clip.times_s)) == ("walk.mp4", 96, 128, 90, 30)
    assert capture.dropped == ()


def test_up_is_read_from_the_gimbal_of_upright_pictures(tmp_path: Path) -> None:
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description drone-dji:GimbalRollDegree="+0.00" '
        b'drone-dji:GimbalPitchDegree="-90.00"/></x:xmpmeta>'
    )
    for name, turned in (("a.jpg", 1), ("b.jpg", 6)):
        exif = Image.Exif()
        exif[0x0112] = turned
        pixels = np.random.default_rng(turned).integers(0, 255, (64, 96, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / name, exif=exif, xmp=xmp)
    upright, turned_photo = run(tmp_path).photos
    assert upright.up_in_camera == pytest.approx((0, 0, -1))
    assert turned_photo.up_in_camera is None


def test_one_camera_per_device_lens_focal_length_and_size(tmp_path: Path, photo: MakePhoto) -> None:
    def shot(name: str, model: str, focal_mm: float, serial: str = "", size: tuple[int, int] = (96, 64)) -> None:
        tags, exif = {0x010F: "ACME", 0x0110: model}, {0x920A: focal_mm, 0xA431: serial}
        photo(tmp_path / name, size, seed=int(name[0]), tags=tags, exif=exif)

    shot("1.jpg", "One", 24.0)
    shot("2.jpg", "One", 24.0)
    shot("3.jpg", "One", 70.0)
    shot("4.jpg", "One", 24.0, size=(64, 96))
    shot("5.jpg", "Two", 24.0, serial="7")
    shot("6.jpg", "Two", 24.0, serial="8")
    ids = [frame.camera_id for frame in run(tmp_path).photos]
    assert ids == [
        "ACME_One_24mm_96x64",
        "ACME_One_24mm_96x64",
        "ACME_One_70mm_96x64",
        "ACME_One_24mm_64x96",
        "ACME_Two_24mm_96x64",
        "ACME_Two_24mm_96x64-2",
    ]


def test_without_exif_one_camera_per_source_and_size(tmp_path: Path, photo: MakePhoto) -> None:
    for name in ("a/1.jpg", "a/sub/2.jpg", "b/1.jpg"):
        photo(tmp_path / name)
    photo(tmp_path / "a/3.jpg", (128, 96))
    ids = {frame.name: frame.camera_id for frame in run(tmp_path / "a", tmp_path / "b").photos}
    assert ids == {
        "a/1.jpg": "unknown_96x64",
        "a/sub/2.jpg": "unknown_96x64",
        "a/3.jpg": "unknown_128x96",
        "b/1.jpg": "unknown_96x64-2",
    }


def test_clips_share_a_camera_only_where_the_lens_is_told(
    tmp_path: Path, video: MakeVideo, numbered: list[np.ndarray]
) -> None:
    keys = {
        "make": "Apple",
        "model": "iPhone",
        "camera.lens_model": "back camera 5.7mm",
        "location.ISO6709": "+46.5-091.25+12.0/",
    }
    metadata = {f"com.apple.quicktime.{key}": value for key, value in keys.items()}
    told = {"metadata": metadata, "options": {"movflags": "use_metadata_tags"}}
    for name in ("1.mov", "2.mov"):
        video(tmp_path / name, numbered, **told)
    for name in ("3.mp4", "4.mp4"):
        video(tmp_path / name, numbered)
    clips = run(tmp_path).videos
    ids = [clip.camera_id for clip in clips]
    assert ids[0] == ids[1] == "Apple_iPhone_128x96"
    assert ids[2:] == ["3_128x96", "4_128x96"]
    assert clips[0].gps is not None
    assert (clips[0].gps.latitude_deg, clips[0].gps.longitude_deg, clips[0].gps.altitude_m) == (46.5, -91.25, 12.0)


def test_live_photos_are_photographs(
    tmp_path: Path, photo: MakePhoto, video: MakeVideo, numbered: list[np.ndarray]
) -> None:
    photo(tmp_path / "IMG_1.jpg")
    video(tmp_path / "IMG_1.MOV", numbered)
    video(tmp_path / "IMG_2.MOV", numbered)
    video(tmp_path / "sub" / "IMG_1.MOV", numbered)
    capture = run(tmp_path)
    assert [clip.name for clip in capture.videos] == ["IMG_2.MOV", "sub/IMG_1.MOV"]
    assert [(entry.frame, entry.reason) for entry in capture.dropped] == [
        ("IMG_1.MOV", "the moving half of the live photo IMG_1.jpg")
    ]


def test_bad_files_among_good_ones_are_named(
    tmp_path: Path, photo: MakePhoto, video: MakeVideo, numbered: list[np.ndarray]
) -> None:
    good = photo(tmp_path / "good.jpg", (200, 150))
    photo(tmp_path / 'it\'s "good" too, née.jpg', seed=1)
    (tmp_path / "cut.jpg").write_bytes(good.read_bytes()[:-300])
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("hello")
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    photo(tmp_path / "thin.png", (500, 63))
    (tmp_path / "dead.heic").write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 50)
    (tmp_path / "dead.mp4").write_bytes(video(tmp_path / "walk.mp4", numbered).read_bytes()[:400])
    capture = run(tmp_path)
    assert {frame.name for frame in capture.photos} == {"good.jpg", 'it\'s "good" too, née.jpg'}
    assert [clip.name for clip in capture.videos] == ["walk.mp4"]
    reasons = {dropped.frame: dropped.reason for dropped in capture.dropped}
    assert set(reasons) == {
        "cut.jpg", "empty.jpg", "text.jpg", "dot.png", "thin.png", "dead.heic", "dead.mp4"
    }  # fmt: skip
    assert "truncated" in reasons["cut.jpg"]
    assert "empty" in reasons["empty.jpg"]
    assert "not an image" in reasons["text.jpg"]
    assert "1 x 1 px" in reasons["dot.png"]
    assert "500 x 63 px" in reasons["thin.png"]
    assert "damaged" in reasons["dead.heic"]
    assert "not a readable video" in reasons["dead.mp4"]


def nothing_there(folder: Path) -> Path:
    return folder / "none"


def nothing_inside(folder: Path) -> Path:
    (folder / "notes.txt").write_text("x")
    return folder


def finished_splat(folder: Path) -> Path:
    (folder / "scan.spz").write_bytes(b"x")
    (folder / "scan.usdz").write_bytes(b"x")
    return folder


def archive_inside(folder: Path) -> Path:
    (folder / "photos.zip").write_bytes(b"PK")
    return folder


def cloud_alone(folder: Path) -> Path:
    (folder / "scan.ply").write_bytes(b"ply")
    return folder / "scan.ply"


def text_file(folder: Path) -> Path:
    (folder / "a.jpg").write_text("x")
    return folder / "a.jpg"


def only_bad_ones(folder: Path) -> Path:
    for number in range(5):
        (folder / f"{number}.jpg").touch()
    return folder


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (nothing_there, "no such file or folder"),
        (nothing_inside, "no photographs or videos found"),
        (finished_splat, r"a finished model or splat \(scan.spz\) without its photographs; give these"),
        (archive_inside, "photos.zip: an archive in a folder is not looked into; give it itself, or unpack it"),
        (cloud_alone, r"a finished model or splat \(scan.ply\)"),
        (text_file, "a.jpg: not an image"),
        (only_bad_ones, "none of 5 files can be used: 0.jpg: the file is empty; .* and 2 more"),
    ],
)
def test_nothing_usable_is_one_line(tmp_path: Path, make: Callable[[Path], Path], line: str) -> None:
    source = make(tmp_path)
    with pytest.raises(CaptureError, match=line) as caught:
        run(source)
    assert str(source) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_odd_file_names_stay_on_one_line(tmp_path: Path, photo: MakePhoto) -> None:
    photo(tmp_path / "two\nlines.jpg")
    photo(tmp_path / "two_lines.jpg", seed=1)
    photo(tmp_path / "b" / "two_lines.jpg", seed=2)
    names = [frame.name for frame in run(tmp_path).photos]
    assert len(set(names)) == 3
    assert not any("\n" in name for name in names)


def test_fingerprints_tell_content_not_names(tmp_path: Path, photo: MakePhoto) -> None:
    shutil.copy(photo(tmp_path / "a.jpg"), tmp_path / "b.jpg")
    photo(tmp_path / "c.jpg", seed=1)
    first, second, third = (frame.fingerprint for frame in run(tmp_path).photos)
    assert first == second != third


@pytest.mark.skipif(not SHARED.exists(), reason="the development captures are not here")
def test_real_captures() -> None:
    beach = run(SHARED / "brighton_beach")
    assert len(beach.photos) == 18
    assert {frame.camera_id for frame in beach.photos} == {"DJI_FC300S_3.61mm_1024x576"}
    assert all(frame.gps is not None and 45 < frame.gps.latitude_deg < 48 for frame in beach.photos)
    skull = run(SHARED / "skull")
    assert [frame.exif_focal_px for frame in skull.photos] == pytest.approx([2450] * 66, abs=1)
    assert len(run(SHARED / "video").videos[0].times_s) == 174


def test_one_lens_whatever_the_size_and_the_way_it_is_held(tmp_path: Path, photo: MakePhoto) -> None:
    def shot(name: str, focal_mm: float, size: tuple[int, int] = (96, 64), turned: int = 1, zoom: float = 1.0) -> None:
        tags = {0x010F: "ACME", 0x0110: "One", 0x0112: turned}
        photo(tmp_path / name, size, seed=int(name[0]), tags=tags, exif={0x920A: focal_mm, 0xA404: zoom})

    shot("1.jpg", 24.0)
    shot("2.jpg", 24.0, turned=6)
    shot("3.jpg", 24.0, turned=8, size=(192, 128))
    shot("4.jpg", 70.0)
    shot("5.jpg", 24.0, zoom=2.0)
    photo(tmp_path / "6.jpg", seed=6)
    photo(tmp_path / "7.jpg", (64, 96), seed=7)
    frames = run(tmp_path).photos
    lenses = [frame.lens for frame in frames]
    assert len({*lenses[:3]}) == 1 and len({*lenses[3:6]}) == 3 and lenses[0] not in lenses[3:]
    assert lenses[5] == lenses[6], "as far as one can know"
    assert [frame.quarter_turns for frame in frames] == [0, 1, 3, 0, 0, None, None]
    assert frames[0].camera_id != frames[4].camera_id, "a digital zoom is another focal length"
    assert frames[0].camera_id != frames[1].camera_id
    other = run(tmp_path / "6.jpg", tmp_path / "7.jpg").photos
    assert other[0].lens != other[1].lens, "two sources, two people"
