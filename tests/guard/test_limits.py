"""Files of a stranger's that ask for too much: refused at once, in one line that names the file and what to do."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from PIL import Image

from da3_pipeline.errors import CaptureError, InferenceError, PipelineError
from da3_pipeline.files.colmap_model import read_colmap_model
from da3_pipeline.files.depthio import UnreadableDepthError, read_depth
from da3_pipeline.gaussians import read_spz
from da3_pipeline.guard.bounded import read_json, read_npy, read_npz
from da3_pipeline.guard.foreign import OverLimitError, foreign, reading
from da3_pipeline.guard.limits import LIMITS
from da3_pipeline.imageio import UnreadableImageError, read_rgb
from da3_pipeline.imageio.scans import has_more_scans
from da3_pipeline.infer.prediction_file import read_predictions
from da3_pipeline.ingest.projects.registry import find_project, read_views
from da3_pipeline.ingest.rigs import read_rigs
from da3_pipeline.ingest.scan import scan
from da3_pipeline.types import SensorDepth

MEGABYTE = 1 << 20


def bomb(path: Path, megabytes: int, shape: tuple[int, ...]) -> Path:
    """An npz whose depth map is `megabytes` of zeros, a thousandth of that on the disk."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("depth.npy", "w") as file:
        file.write(header.getvalue())
        for _ in range(megabytes):
            file.write(bytes(MEGABYTE))
    return path


def test_a_small_npz_that_grows_to_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "da3_pipeline.guard.bounded.LIMITS", LIMITS.model_copy(update={"free_to_grow_bytes": 20 * MEGABYTE})
    )
    path = bomb(tmp_path / "few.npz", 40, (10, 1024, 1024))
    with pytest.raises(InferenceError, match=r"grow from 0\.0 MB to") as told:
        read_predictions(path)
    assert str(path) in str(told.value)
    with pytest.raises(UnreadableDepthError, match="as no measurements do"):
        read_depth(SensorDepth(path, 1.0))


def test_arrays_that_announce_more_than_there_is(tmp_path: Path) -> None:
    path = bomb(tmp_path / "few.npz", 1, (1 << 20, 1 << 20))
    with pytest.raises(OverLimitError, match="announces"):
        read_npz(path)
    plain = tmp_path / "few.npy"
    with zipfile.ZipFile(path) as archive:
        plain.write_bytes(archive.read("depth.npy"))
    with pytest.raises(OverLimitError, match="announces"):
        read_npy(plain)


def test_arrays_are_read_as_numpy_reads_them(tmp_path: Path) -> None:
    arrays = {"a": np.arange(12.0).reshape(3, 4), "b": np.asfortranarray(np.eye(5, dtype=np.float32)), "c": np.int64(3)}
    np.savez_compressed(tmp_path / "all.npz", **arrays)
    np.save(tmp_path / "a.npy", arrays["a"])
    for key, found in read_npz(tmp_path / "all.npz").items():
        np.testing.assert_array_equal(found, arrays[key])
    assert list(read_npz(tmp_path / "all.npz", ("b", "z"))) == ["b"]
    np.testing.assert_array_equal(read_npy(tmp_path / "a.npy"), arrays["a"])


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" * 5_000 + "]" * 5_000])
def test_documents_that_are_nested_without_end(tmp_path: Path, text: str) -> None:
    (tmp_path / "transforms.json").write_text(text)
    with pytest.raises(CaptureError, match=r"transforms\.json"):
        read_views(tmp_path / "transforms.json")
    with pytest.raises(CaptureError, match=r"transforms\.json"):
        find_project(tmp_path)


def test_documents_that_are_longer_than_documents_are(tmp_path: Path) -> None:
    path = tmp_path / "rigs.json"
    with path.open("wb") as file:
        file.truncate(LIMITS.document_bytes + 1)
    with pytest.raises(OverLimitError, match="more than the 200"):
        read_json(path)
    with pytest.raises(CaptureError, match="more than the 200"):
        read_rigs(path)


def test_a_rig_of_thirty_thousand_cameras(tmp_path: Path) -> None:
    path = tmp_path / "rigs.json"
    cameras = [{"image_prefix": f"c{number}/", "ref_sensor": number == 0} for number in range(30_000)]
    path.write_text(json.dumps([{"cameras": cameras}]))
    with pytest.raises(CaptureError, match="30,000 cameras, more than the 1,000"):
        read_rigs(path)


def progressive(scans: int) -> bytes:
    """A JPEG whose last scan is there so often, as small as scans of nothing are."""
    made = io.BytesIO()
    Image.new("RGB", (64, 48), (90, 20, 200)).save(made, "JPEG", progressive=True)
    data = made.getvalue()
    last = data.rfind(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + data[-2:]


def test_a_jpeg_of_three_thousand_scans(tmp_path: Path) -> None:
    path = tmp_path / "slow.jpg"
    path.write_bytes(progressive(3_000))
    with pytest.raises(UnreadableImageError, match="more than 100 scans"):
        read_rgb(path)


def test_scans_are_those_of_the_picture_and_not_of_what_is_appended(tmp_path: Path) -> None:
    """Phones append a film to a picture, and the mark of a scan is in it by chance."""
    path = tmp_path / "live.jpg"
    path.write_bytes(progressive(1) + bytes(100_000) + b"\xff\xda" * 3_000)
    assert not has_more_scans(path, 100) and has_more_scans(path, 3)
    assert read_rgb(path).shape == (48, 64, 3)
    Image.new("RGB", (64, 48)).save(path, "JPEG")
    assert not has_more_scans(path, 1) and has_more_scans(path, 0)


def test_pictures_beyond_all_panoramas(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", 0))
    with pytest.raises(UnreadableImageError, match="400 megapixels"):
        read_rgb(path)
    with pytest.raises(UnreadableDepthError, match="cannot be read"):
        read_depth(SensorDepth(path, 1.0))


def test_folders_within_folders(tmp_path: Path) -> None:
    deepest = tmp_path
    for _ in range(400):
        deepest = deepest / "a"
        deepest.mkdir()
    Image.new("RGB", (64, 64)).save(deepest / "lost.png")
    Image.new("RGB", (64, 64)).save(tmp_path / "kept.png")
    listing = scan([tmp_path])
    assert [file.name for file in listing.files] == ["kept.png"]
    assert [dropped.reason for dropped in listing.dropped] == ["more than 100 folders deep; move it up"]


def test_masks_behind_links_to_themselves(tmp_path: Path) -> None:
    """Two links to their own folder are 2^40 paths to who follows both as far as the system lets him."""
    from da3_pipeline.ingest.masks import _listed

    Image.new("L", (8, 8)).save(tmp_path / "1.png")
    (tmp_path / "a").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(tmp_path)
    assert list(_listed(tmp_path)) == ["1.png"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Of two rigs of three cameras, 24 images, 30 points."""
    options = pycolmap.SyntheticDatasetOptions(num_rigs=2, num_cameras_per_rig=3, num_frames_per_rig=4, num_points3D=30)
    pycolmap.set_random_seed(0)
    pycolmap.synthesize_dataset(options).write(str(tmp_path))
    return tmp_path


def test_a_whole_model_is_read(model: Path) -> None:
    assert read_colmap_model(model).num_images() == 24


@pytest.mark.parametrize("name", ["cameras.bin", "rigs.bin", "frames.bin", "images.bin", "points3D.bin"])
@pytest.mark.parametrize(
    "spoil", [lambda data: b"\xff" * 8 + data[8:], lambda data: data[:-1], lambda data: data + b"\0"]
)
def test_a_model_whose_file_is_not_as_long_as_it_says(model: Path, name: str, spoil: Callable[[bytes], bytes]) -> None:
    (model / name).write_bytes(spoil((model / name).read_bytes()))
    with pytest.raises(CaptureError, match=f"{name} is not as long as it says"):
        read_views(model)


def test_frames_that_announce_data_without_end(model: Path) -> None:
    """pycolmap reads on at the end of the file, for as long as this number says."""
    data = bytearray((model / "frames.bin").read_bytes())
    data[72:76] = b"\xff\xff\xff\x7f"
    (model / "frames.bin").write_bytes(data)
    with pytest.raises(CaptureError, match=r"frames\.bin"):
        read_views(model)


def test_splats_that_grow_without_end(tmp_path: Path) -> None:
    path = tmp_path / "few.spz"
    packed = zlib.compressobj(wbits=31)
    header = struct.pack("<IIIBBBB", 0x5053474E, 3, 4_000_000_000, 0, 12, 0, 0)
    path.write_bytes(packed.compress(header + bytes(10 * MEGABYTE)) + packed.flush())
    with pytest.raises(CaptureError, match="4,000,000,000 Gaussians"):
        read_spz(path)


@pytest.mark.parametrize(
    "fault", [RecursionError(), OverflowError("x"), ZeroDivisionError(), MemoryError(), zlib.error("y"), KeyError("k"),
              UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"), struct.error("z"), OSError(5, "broken")],
)  # fmt: skip
def test_whatever_a_parser_raises_is_one_line_of_ours(tmp_path: Path, fault: Exception) -> None:
    @reading(CaptureError, "take another")
    def read(path: Path, more: int) -> None:
        raise fault

    with pytest.raises(CaptureError) as told:
        read(tmp_path / "it.bin", 3)
    assert str(told.value).startswith(f"{tmp_path / 'it.bin'}: cannot be read (")
    assert str(told.value).endswith("; take another") and "\n" not in str(told.value)


@pytest.mark.parametrize("fault", [PipelineError("ours"), ImportError("no package"), NameError("a bug"), SystemExit(1)])
def test_what_is_no_fault_of_a_file_is_not_laid_on_it(fault: BaseException) -> None:
    with pytest.raises(type(fault)) as told, foreign(InferenceError, "it.bin", "take another"):
        raise fault
    assert told.value is fault
