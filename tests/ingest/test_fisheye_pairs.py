"""Two fisheyes in one picture are used where a file says where they look, and refused by name where it says nothing."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from PIL import Image
from spheres import painted, painted_pair

from da3_pipeline.errors import CaptureError
from da3_pipeline.geometry.equirectangular import Equirectangular, FisheyePair
from da3_pipeline.ingest import IngestConfig, run
from da3_pipeline.ingest.panoramas import FisheyePairFile, read_fisheye_pair
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import Capture

LENS = {"camera_params": [100.0, 101.0, 200.0, 190.0, 0.01, 0.0, 0.0, 0.0], "fov_deg": 200.0}
BEHIND = LENS | {
    "camera_params": [102.0, 103.0, 600.0, 195.0, 0.0, 0.0, 0.0, 0.0],
    "cam_from_rig_rotation": [0.0, 0.0, 1.0, 0.0],
    "cam_from_rig_translation": [0.0, 0.01, -0.03],
}
PAIR: dict[str, Any] = {"width": 800, "height": 400, "lenses": [LENS, BEHIND]}


def written(path: Path, document: object) -> Path:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def read(folder: Path, file: Path | None) -> Capture:
    return run([folder / "in"], IngestConfig(dual_fisheye=file), SilentProgress())


def pictures(folder: Path, **sizes: tuple[int, int]) -> None:
    (folder / "in").mkdir()
    for number, (name, (width, height)) in enumerate(sizes.items()):
        rgb = np.random.default_rng(number).integers(0, 255, (height // 8, width // 8, 3), np.uint8)
        Image.fromarray(rgb).resize((width, height)).save(folder / "in" / f"{name}.png")


@pytest.mark.parametrize("fov_deg", [180.0, 200.0])
def test_a_field_alone_means_what_ffmpeg_makes_of_it(fov_deg: float) -> None:
    """Its v360 filter turns our picture of two lenses into the panorama of the same world."""
    whole = Equirectangular.whole(512, 256)
    pair = FisheyePairFile(Path("pair.json"), fov_deg=fov_deg).at(512, 256)
    assert pair is not None
    graph = av.filter.Graph()
    source = graph.add_buffer(width=512, height=256, format="rgb24", time_base=Fraction(1, 30))
    filtered = graph.add("v360", f"dfisheye:e:ih_fov={fov_deg}:iv_fov={fov_deg}:w=512:h=256:interp=cubic")
    sink = graph.add("buffersink")
    source.link_to(filtered)
    filtered.link_to(sink)
    graph.configure()
    frame = av.VideoFrame.from_ndarray(painted_pair(pair), format="rgb24")
    frame.pts = 0
    graph.push(frame)
    found = graph.pull().to_ndarray(format="rgb24")  # type: ignore[union-attr]
    off = np.abs(found.astype(int) - painted(whole))[4:-4].mean(-1)
    assert np.median(off) < 6 and np.quantile(off, 0.9) < 25


def test_both_lenses_are_read_and_scaled_to_the_picture(tmp_path: Path) -> None:
    file = read_fisheye_pair(written(tmp_path / "pair.json", PAIR))
    pair = file.at(1600, 800)
    assert pair is not None
    ahead, behind = pair.lenses
    assert ahead.params == pytest.approx((200, 202, 400, 380, 0.01, 0, 0, 0)) and ahead.half_deg == 100
    np.testing.assert_allclose(behind.lens_from_rig, np.diag([-1, 1, -1]), atol=1e-12)
    np.testing.assert_allclose(behind.lens_from_rig @ behind.centre, [0, -0.01, 0.03], atol=1e-12)
    assert ahead.centre == (0, 0, 0)
    assert file.at(1600, 801) is not None and file.at(1600, 900) is None


def test_pictures_of_its_shape_are_pairs_and_others_are_not(tmp_path: Path) -> None:
    pictures(tmp_path, a=(800, 400), b=(400, 300))
    capture = read(tmp_path, written(tmp_path / "pair.json", {"fov_deg": 190}))
    areas = {photo.name: photo.panorama for photo in capture.photos}
    assert isinstance(areas["a.png"], FisheyePair) and areas["b.png"] is None
    assert "pair.json" in capture.photos[0].pixels[0] and capture.photos[0].exif_focal_px is None


def test_a_file_that_no_picture_fits_is_refused(tmp_path: Path) -> None:
    pictures(tmp_path, b=(400, 300))
    with pytest.raises(CaptureError, match=r"pair.json: no picture has the shape"):
        read(tmp_path, written(tmp_path / "pair.json", PAIR))


def test_without_a_file_the_option_is_named(tmp_path: Path) -> None:
    pictures(tmp_path, b=(400, 300))
    pair = FisheyePairFile(tmp_path, fov_deg=180.0).at(512, 256)
    assert pair is not None
    lit = cv2.convertScaleAbs(painted_pair(pair), alpha=0.7, beta=70) * (painted_pair(pair) > 0)
    Image.fromarray(lit.astype(np.uint8)).save(tmp_path / "in" / "pair.png")
    (left_out,) = read(tmp_path, None).dropped
    assert left_out.frame == "pair.png" and "--dual-fisheye" in left_out.reason


WRONG: dict[str, tuple[object, str]] = {
    "no JSON": ("{", "no JSON"),
    "a list": ([], "no geometry"),
    "a narrow field": ({"fov_deg": 30}, "fov_deg is 30"),
    "no number": ({"fov_deg": "wide"}, "fov_deg"),
    "one lens": (PAIR | {"lenses": [LENS]}, "two lenses"),
    "no size": ({"lenses": [LENS, BEHIND]}, "width, height"),
    "a word nobody knows": (PAIR | {"baseline": 3}, "'baseline'"),
    "another model": (PAIR | {"lenses": [LENS, LENS | {"camera_model_name": "OPENCV"}]}, "lens 2: camera_model_name"),
    "few parameters": (PAIR | {"lenses": [LENS | {"camera_params": [1, 2]}, BEHIND]}, "lens 1: camera_params"),
    "a negative length": (PAIR | {"lenses": [LENS | {"camera_params": [-1.0] * 8}, BEHIND]}, "positive"),
    "no rotation": (PAIR | {"lenses": [LENS, LENS | {"cam_from_rig_rotation": [1, 1, 0, 0]}]}, "unit quaternion"),
    "no field": (PAIR | {"lenses": [LENS, {"camera_params": LENS["camera_params"]}]}, "lens 2: fov_deg"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_tells_no_pair_is_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    document, words = WRONG[kind]
    with pytest.raises(CaptureError) as refused:
        read_fisheye_pair(written(tmp_path / "pair.json", document))
    line = str(refused.value)
    assert words in line and "pair.json" in line and "\n" not in line


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"nowhere.json: No such file"):
        read_fisheye_pair(tmp_path / "nowhere.json")
