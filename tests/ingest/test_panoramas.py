"""What shows all around is found out: by what the file says, else by its edges; and what does not is left flat."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from spheres import painted, with_boxes

from da3_pipeline.geometry.equirectangular import Equirectangular
from da3_pipeline.ingest import IngestConfig, run
from da3_pipeline.ingest.config import PanoramaSignsConfig
from da3_pipeline.ingest.panoramas.recognised import Recognised, _told_by_container, goes_round, shows_two_circles
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import Capture
from da3_pipeline.videoio.spherical import Spherical

WHOLE = Equirectangular.whole(512, 256)
NAMESPACE = 'xmlns:GPano="http://ns.google.com/photos/1.0/panorama/"'


def xmp(**fields: object) -> bytes:
    told = " ".join(f'GPano:{name}="{value}"' for name, value in fields.items())
    return f"<x:xmpmeta><rdf:Description {NAMESPACE} {told}/></x:xmpmeta>".encode()


def read(folder: Path, panorama: str = "auto") -> Capture:
    return run([folder], IngestConfig.model_validate({"panorama": panorama}), SilentProgress())


def saved(path: Path, picture: np.ndarray, told: bytes = b"", quality: int = 90) -> Path:
    Image.fromarray(picture).save(path, quality=quality, **({"xmp": told} if told else {}))
    return path


def noise(width: int, height: int, seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 255, (height // 16, width // 16, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("quality", [95, 40])
def test_edges_that_meet_tell(tmp_path: Path, quality: int) -> None:
    for seed in range(3):
        saved(tmp_path / f"{seed}.jpg", painted(WHOLE, seed), quality=quality)
    for photo in read(tmp_path).photos:
        assert photo.panorama == WHOLE
        assert "how its edges meet" in photo.pixels[0]
    assert all(photo.panorama is None for photo in read(tmp_path, "no").photos)


def sea(width: int, height: int) -> np.ndarray:
    """A gradient of sky, a horizon, waves: both edges alike but for the waves, the first row of one colour."""
    rng = np.random.default_rng(1)
    picture = np.repeat(np.linspace(230, 160, height)[:, None], width, 1)
    waves = cv2.resize(rng.normal(0, 25, (height // 4, width // 8)), (width, height))
    picture[height // 2 :] = 80 + waves[height // 2 :]
    picture[-1] = 80
    return np.repeat(np.clip(picture, 0, 255).astype(np.uint8)[..., None], 3, 2)


def backdrop(width: int, height: int) -> np.ndarray:
    """A thing before a backdrop that darkens downwards: edges, first and last rows are alike."""
    picture = np.repeat(np.linspace(240, 200, height).astype(np.uint8)[:, None, None], width, 1).repeat(3, 2)
    picture[height // 5 : -height // 5, width // 6 : -width // 6] = noise(width, height)[
        height // 5 : -height // 5, width // 6 : -width // 6
    ]
    return picture


def half_cylinder(width: int, height: int) -> np.ndarray:
    """The middle of a panorama, as a phone sweeps it and a user crops it."""
    area = Equirectangular.whole(2 * width, width)
    return painted(area)[width // 4 : width // 4 + height, width // 2 : width // 2 + width]


FLAT: dict[str, Callable[[int, int], np.ndarray]] = {
    "noise": noise,
    "sea": sea,
    "backdrop": backdrop,
    "half a cylinder": half_cylinder,
    "grey": lambda width, height: np.full((height, width, 3), 128, np.uint8),
}


@pytest.mark.parametrize("kind", FLAT)
def test_other_pictures_of_that_shape_are_flat(kind: str) -> None:
    grey = cv2.cvtColor(FLAT[kind](512, 256), cv2.COLOR_RGB2GRAY)
    assert not goes_round(grey, PanoramaSignsConfig())


def test_either_half_of_the_evidence_is_not_enough() -> None:
    picture = cv2.cvtColor(painted(WHOLE), cv2.COLOR_RGB2GRAY)
    assert goes_round(picture, PanoramaSignsConfig())
    shifted = picture.copy()
    shifted[:, 256:] = np.roll(picture[:, 256:], 40, axis=0)
    assert not goes_round(shifted, PanoramaSignsConfig()), "edges do not meet"
    assert not goes_round(picture[64:192], PanoramaSignsConfig()), "the ends are no poles"


@pytest.mark.parametrize(("strength", "round_"), [(0.2, False), (0.6, True)])
def test_edges_much_fainter_than_the_rest_say_nothing(strength: float, round_: bool) -> None:
    """As those of a backdrop: they meet, and have some detail."""
    picture = cv2.cvtColor(painted(WHOLE), cv2.COLOR_RGB2GRAY).astype(float)
    from_edge = np.minimum(np.arange(512), 511 - np.arange(512))
    fade = np.where(from_edge < 64, strength, 1.0)
    faded = (128 + fade * (picture - 128)).astype(np.uint8)
    assert goes_round(faded, PanoramaSignsConfig()) is round_
    assert goes_round((128 + 0.02 * (picture - 128)).astype(np.uint8), PanoramaSignsConfig()) is False


@pytest.mark.parametrize(
    ("inside", "outside", "circles"),
    [(120, 3, True), (120, 0, True), (120, 16, True), (120, 30, False), (25, 3, False), (0, 0, False)],
)
def test_two_circles_are_bright_discs_on_black(inside: int, outside: int, circles: bool) -> None:
    rows, columns = np.mgrid[0:128, 0:256] + 0.5
    away = np.hypot(rows - 64, columns % 128 - 64) / 64
    picture = np.where(away < 1, inside, outside).astype(np.uint8)
    assert shows_two_circles(picture, PanoramaSignsConfig()) is circles
    shifted = np.roll(picture, 64, axis=1)
    assert not shows_two_circles(shifted, PanoramaSignsConfig()), "elsewhere"
    assert not shows_two_circles(np.full((128, 256), inside, np.uint8), PanoramaSignsConfig())


@pytest.mark.parametrize("number", ["inf", "many", ""])
def test_gpano_numbers_that_are_none_are_missing(tmp_path: Path, number: str) -> None:
    told = xmp(ProjectionType="Equirectangular", FullPanoWidthPixels=number, FullPanoHeightPixels=number)
    saved(tmp_path / "a.jpg", noise(512, 256), told)
    (photo,) = read(tmp_path).photos
    assert photo.panorama == WHOLE


def test_gpano_that_names_the_whole_alone_is_of_all_of_it(tmp_path: Path) -> None:
    told = xmp(ProjectionType="equirectangular", FullPanoWidthPixels=1024, FullPanoHeightPixels=512)
    saved(tmp_path / "a.jpg", noise(512, 256), told)
    assert read(tmp_path).photos[0].panorama == WHOLE


@pytest.mark.parametrize(("width", "whole"), [(504, True), (512, True), (500, False), (516, False)])
def test_sizes_may_be_rounded(tmp_path: Path, width: int, whole: bool) -> None:
    """Of 508 x 254 pixels."""
    saved(tmp_path / "whole.jpg", noise(512, 256))
    saved(tmp_path / "a.jpg", noise(width, 254, 1))
    photos = {photo.name: photo.panorama for photo in read(tmp_path, "yes").photos}
    assert ("a.jpg" in photos) is whole


def told_by_container(**told: object) -> Recognised:
    return _told_by_container(Spherical(**told), (400, 100), PanoramaSignsConfig())  # type: ignore[arg-type]


def test_bounds_lack_what_they_say_on_each_side() -> None:
    some = told_by_container(projection="equirectangular", left=0.125, right=0.375, top=0.5, bottom=0.25)
    assert some.area == Equirectangular(400, 100, 800.0, 400.0, 100.0, 200.0)
    nothing = told_by_container(projection="equirectangular", left=0.5, right=0.5)
    assert nothing.area is None and "nothing of the sphere" in nothing.refused
    flat = told_by_container(projection="equirectangular")
    assert flat.area is None and "a sphere of 400 x 100 px is not twice as wide as high" in flat.refused


def test_gpano_tells_also_of_a_resized_part(tmp_path: Path) -> None:
    told = xmp(
        ProjectionType="equirectangular",
        FullPanoWidthPixels=8000,
        FullPanoHeightPixels=4000,
        CroppedAreaImageWidthPixels=4000,
        CroppedAreaImageHeightPixels=2000,
        CroppedAreaLeftPixels=2000,
        CroppedAreaTopPixels=800,
        PosePitchDegrees=30,
        PoseRollDegrees=0,
    )
    saved(tmp_path / "a.jpg", noise(400, 200), told)
    (photo,) = read(tmp_path).photos
    assert photo.panorama == Equirectangular(400, 200, 800.0, 400.0, 200.0, 80.0)
    assert "GPano" in photo.pixels[0] and photo.exif_focal_px is None
    assert photo.up_in_camera == pytest.approx((0, -np.cos(np.pi / 6), 0.5))


REFUSED = {
    "cylindrical": (xmp(ProjectionType="cylindrical"), (400, 200)),
    "not twice as wide": (xmp(ProjectionType="equirectangular"), (300, 200)),
    "is not twice as wide": (
        xmp(ProjectionType="equirectangular", FullPanoWidthPixels=400, FullPanoHeightPixels=400),
        (400, 400),
    ),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_gpano_says_and_we_cannot_use_is_named(words: str, tmp_path: Path) -> None:
    told, size = REFUSED[words]
    saved(tmp_path / "flat.jpg", noise(300, 200, 1))
    saved(tmp_path / "told.jpg", noise(*size), told)
    capture = read(tmp_path)
    assert [photo.name for photo in capture.photos] == ["flat.jpg"]
    (left_out,) = capture.dropped
    assert left_out.frame == "told.jpg" and words.split()[-1] in left_out.reason and "GPano" in left_out.reason


def test_two_fisheye_circles_are_named_with_the_remedy(tmp_path: Path) -> None:
    rows, columns = np.mgrid[0:256, 0:512] + 0.5
    picture = noise(512, 256) // 2 + 60
    picture[np.hypot(rows - 128, columns % 256 - 128) > 126] = 3
    saved(tmp_path / "flat.jpg", noise(300, 200, 1))
    saved(tmp_path / "twice.jpg", picture)
    (left_out,) = read(tmp_path).dropped
    assert "two fisheye" in left_out.reason and "stitch" in left_out.reason
    assert not read(tmp_path, "no").dropped


def test_all_are_if_asked_and_those_of_another_shape_named(tmp_path: Path) -> None:
    saved(tmp_path / "a.jpg", noise(512, 256))
    saved(tmp_path / "b.jpg", noise(300, 200))
    capture = read(tmp_path, "yes")
    assert [photo.panorama for photo in capture.photos] == [WHOLE]
    assert "300 x 200" in capture.dropped[0].reason


def film(video: Callable[..., Path], path: Path, black: int = 0) -> Path:
    return video(path, [np.zeros((256, 512, 3), np.uint8)] * black + [painted(WHOLE)] * 3)


def test_video_is_told_by_its_boxes(video: Callable[..., Path], tmp_path: Path) -> None:
    with_boxes(video(tmp_path / "a.mp4", [noise(512, 256)] * 3))
    (clip,) = read(tmp_path).videos
    assert clip.panorama == WHOLE and "by its metadata" in clip.pixels[0]


def test_bounds_of_video_are_a_part_of_the_sphere(video: Callable[..., Path], tmp_path: Path) -> None:
    with_boxes(video(tmp_path / "a.mp4", [noise(512, 256)] * 3), bounds=(2**30, 2**30, 2**30, 2**30))
    (clip,) = read(tmp_path).videos
    assert clip.panorama == Equirectangular(512, 256, 1024.0, 512.0, 256.0, 128.0)


CUBE = b"\0\0\0\x14cbmp" + bytes(12)


@pytest.mark.parametrize(
    ("box", "words"), [({"stereo": 1}, "one eye"), ({"projection": CUBE}, "cube map")], ids=["stereo", "cube"]
)
def test_other_video_of_360_degrees_is_named(
    box: dict[str, object], words: str, video: Callable[..., Path], tmp_path: Path
) -> None:
    with_boxes(video(tmp_path / "a.mp4", [noise(512, 256)] * 3), **box)  # type: ignore[arg-type]
    saved(tmp_path / "flat.jpg", noise(300, 200))
    (left_out,) = read(tmp_path).dropped
    assert words in left_out.reason


def test_video_is_told_by_its_edges_even_after_black(video: Callable[..., Path], tmp_path: Path) -> None:
    film(video, tmp_path / "a.mp4", black=5)
    assert read(tmp_path).videos[0].panorama == WHOLE
    assert read(tmp_path, "no").videos[0].panorama is None


def test_a_video_is_looked_at_until_one_tells_and_not_to_its_end(video: Callable[..., Path], tmp_path: Path) -> None:
    film(video, tmp_path / "a.mp4", black=5)
    few = IngestConfig.model_validate({"panoramas": {"frames_looked_at": 3}})
    assert run([tmp_path], few, SilentProgress()).videos[0].panorama is None
