"""The compressed file: what it loses, its bytes against another writer's, and files that are none.

data/witness.ply: 24 Gaussians; witness.spz and witness_4.spz: what the format's own implementation makes of them as
versions 3 and 4 (@adobe/spz 0.2.3 on npm, from right, down, front; five bits for the first band, four for the others).
"""

from __future__ import annotations

import gzip
import struct
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from da3_pipeline.errors import CaptureError, MissingExtraError
from da3_pipeline.gaussians import read_gaussians_ply, read_spz, render, subset, write_spz
from da3_pipeline.geometry import Camera
from da3_pipeline.types import GaussianCloud

CloudFactory = Callable[..., GaussianCloud]

DATA = Path(__file__).parent / "data"


def angles_deg(first: GaussianCloud, second: GaussianCloud) -> np.ndarray:
    a, b = (Rotation.from_quat(np.roll(cloud.rotations, -1, axis=1)) for cloud in (first, second))
    return np.asarray(np.degrees((a * b.inv()).magnitude()))


def assert_close(read: GaussianCloud, cloud: GaussianCloud) -> None:
    """Equal to what the module says is lost."""
    step = max(2.0**-21, 1.25e-7 * np.abs(cloud.means).max())
    np.testing.assert_allclose(read.means, cloud.means, rtol=1e-7, atol=step)
    np.testing.assert_allclose(np.log(read.scales), np.log(cloud.scales), atol=0.0313)
    np.testing.assert_allclose(read.opacities, cloud.opacities, atol=0.00197)
    assert angles_deg(read, cloud).max() < 0.25
    np.testing.assert_allclose(read.harmonics[:, :, 0], cloud.harmonics[:, :, 0], atol=0.01308)
    np.testing.assert_allclose(read.harmonics[:, :, 1:], cloud.harmonics[:, :, 1:], atol=0.00391)


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("bands", [1, 4, 9, 16])
@pytest.mark.parametrize("extent", [1e-3, 1.0, 1e4])
def test_round_trip_loses_what_is_said(
    cloud_of: CloudFactory, tmp_path: Path, bands: int, extent: float, version: Literal[3, 4]
) -> None:
    cloud = cloud_of(800, bands=bands)
    cloud = replace(cloud, means=cloud.means * np.float32(extent), harmonics=np.clip(cloud.harmonics, -0.99, 0.99))
    write_spz(tmp_path / "a.spz", cloud, version)
    assert_close(read_spz(tmp_path / "a.spz"), cloud)


@given(st.integers(0, 2**32 - 1))
def test_any_rotation_survives(cloud_of: CloudFactory, tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rotations = np.eye(4)[rng.integers(0, 4, 50)] + rng.choice([0, 1e-3, 0.5, 1], 50)[:, None] * rng.normal(
        size=(50, 4)
    )
    rotations *= rng.choice([-1, 1], 50)[:, None] / np.linalg.norm(rotations, axis=1, keepdims=True)
    cloud = replace(cloud_of(50), rotations=rotations.astype(np.float32))
    path = tmp_path_factory.mktemp("spz") / "a.spz"
    write_spz(path, cloud)
    assert angles_deg(read_spz(path), cloud).max() < 0.25


@pytest.mark.parametrize("name", ["witness.spz", "witness_4.spz"])
def test_another_writers_file_is_read(name: str) -> None:
    cloud, read = read_gaussians_ply(DATA / "witness.ply"), read_spz(DATA / name)
    np.testing.assert_allclose(read.means, cloud.means, atol=2**-13)  # 12 fractional bits there
    assert angles_deg(read, cloud).max() < 0.25
    np.testing.assert_allclose(read.harmonics[:, :, 1:4], np.clip(cloud.harmonics[:, :, 1:4], -1, 1), atol=0.04)
    np.testing.assert_allclose(np.log(read.scales), np.log(cloud.scales), atol=0.0313)


def test_our_bytes_are_another_writers_where_it_rounds_alike(tmp_path: Path) -> None:
    """All but positions, which have more bits here, and higher harmonics, which it rounds to five and four bits."""
    write_spz(tmp_path / "a.spz", read_gaussians_ply(DATA / "witness.ply"))
    mine, theirs = (gzip.decompress(path.read_bytes()) for path in (tmp_path / "a.spz", DATA / "witness.spz"))
    assert len(mine) == len(theirs)
    assert mine[:13] == theirs[:13] and mine[13] == 20
    columns = slice(16 + 24 * 9, 16 + 24 * (9 + 1 + 3 + 3 + 4))
    assert mine[columns] == theirs[columns]


def test_version_four_is_version_three_in_frames(tmp_path: Path) -> None:
    """The header as its specification has it, and in the frames the bytes of version 3, as another writer's are."""
    cloud = read_gaussians_ply(DATA / "witness.ply")
    write_spz(tmp_path / "3.spz", cloud)
    write_spz(tmp_path / "4.spz", cloud, 4)
    mine, theirs = (path.read_bytes() for path in (tmp_path / "4.spz", DATA / "witness_4.spz"))
    assert struct.unpack("<4sIIBBBBI12s", mine[:32]) == (b"NGSP", 4, 24, 3, 20, 0, 6, 32, bytes(12))
    assert theirs[:13] + theirs[14:32] == mine[:13] + mine[14:32]
    assert b"".join(frames(mine)) == gzip.decompress((tmp_path / "3.spz").read_bytes())[16:]
    assert frames(mine)[1:5] == frames(theirs)[1:5]  # the others it rounds to fewer bits


def frames(data: bytes) -> list[bytes]:
    """What the frames of a file of version 4 hold."""
    zstandard = pytest.importorskip("zstandard")
    count, table = data[15], int.from_bytes(data[16:20], "little")
    sizes = struct.unpack(f"<{2 * count}Q", data[table : table + 16 * count])
    start, held = table + 16 * count, []
    for packed, plain in zip(sizes[::2], sizes[1::2], strict=True):
        held.append(zstandard.ZstdDecompressor().decompress(data[start : start + packed]))
        assert len(held[-1]) == plain
        start += packed
    assert start == len(data)
    return held


def with_records(data: bytes, *records: tuple[int, bytes]) -> bytes:
    """A file of version 4 with these records, (type, content), before its table."""
    packed = b"".join(struct.pack("<II", kind, len(content)) + content for kind, content in records)
    table = (32 + len(packed)).to_bytes(4, "little")
    return data[:14] + bytes([data[14] | 2]) + data[15:16] + table + data[20:32] + packed + data[32:]


def test_records_before_the_table_are_heeded_or_passed_over(tmp_path: Path) -> None:
    data, plain = (DATA / "witness_4.spz").read_bytes(), read_spz(DATA / "witness_4.spz")
    axes = ((0xADBE0003, value.to_bytes(4, "little")) for value in (4, 6, 7))
    right_up_back, right_down_front, left = (with_records(data, (0x12345678, b"other"), record) for record in axes)
    (tmp_path / "a.spz").write_bytes(right_up_back)
    read = read_spz(tmp_path / "a.spz")
    assert all(np.array_equal(getattr(read, name), getattr(plain, name)) for name in vars(plain))
    (tmp_path / "a.spz").write_bytes(right_down_front)
    read = read_spz(tmp_path / "a.spz")
    np.testing.assert_array_equal(read.means, plain.means * [1, -1, -1])
    np.testing.assert_allclose(covariances(read), np.diag([1, -1, -1]) @ covariances(plain) @ np.diag([1, -1, -1]))
    np.testing.assert_array_equal(read.harmonics[:, :, 1:4], plain.harmonics[:, :, 1:4] * [-1, -1, 1])  # y, z, x
    (tmp_path / "a.spz").write_bytes(left)
    with pytest.raises(CaptureError, match="system 7"):
        read_spz(tmp_path / "a.spz")


def covariances(cloud: GaussianCloud) -> np.ndarray:
    turns = Rotation.from_quat(np.roll(cloud.rotations, -1, axis=1)).as_matrix()
    return np.asarray((turns * cloud.scales[:, None] ** 2) @ turns.transpose(0, 2, 1))


@pytest.mark.parametrize("damage", ["cut off", "another count", "a longer column", "other bytes"])
def test_damaged_files_of_version_four_are_refused(tmp_path: Path, damage: str) -> None:
    data = bytearray((DATA / "witness_4.spz").read_bytes())
    if damage == "cut off":
        data = data[:-5]
    elif damage == "another count":
        data[8] += 1
    elif damage == "a longer column":
        data[32 + 7] = 1
    else:
        data[130:150] = bytes(20)
    (tmp_path / "a.spz").write_bytes(data)
    with pytest.raises(CaptureError, match=r"a\.spz: .*again"):
        read_spz(tmp_path / "a.spz")


def test_without_zstandard_version_four_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(MissingExtraError, match="spz4"):
        read_spz(DATA / "witness_4.spz")
    with pytest.raises(MissingExtraError, match="spz4"):
        write_spz(tmp_path / "a.spz", read_spz(DATA / "witness.spz"), 4)


def test_version_two_is_read(cloud_of: CloudFactory, tmp_path: Path) -> None:
    """The same columns, with rotations as x, y, z in a byte each."""
    cloud = cloud_of(40, bands=4)
    write_spz(tmp_path / "a.spz", cloud)
    data = gzip.decompress((tmp_path / "a.spz").read_bytes())
    sign = np.where(cloud.rotations[:, :1] < 0, -1, 1)
    xyz = sign * cloud.rotations[:, 1:] * [1, -1, -1]
    old = np.clip(np.round(xyz * 127.5 + 127.5), 0, 255).astype(np.uint8).tobytes()
    start = 16 + 40 * 16
    header = data[:4] + struct.pack("<I", 2) + data[8:16]
    (tmp_path / "b.spz").write_bytes(gzip.compress(header + data[16:start] + old + data[start + 160 :]))
    read = read_spz(tmp_path / "b.spz")
    assert np.median(angles_deg(read, cloud)) < 1
    np.testing.assert_allclose(read.harmonics[:, :, 1:], np.clip(cloud.harmonics[:, :, 1:], -1, 1), atol=0.008)


def test_the_picture_stays(cloud_of: CloudFactory, tmp_path: Path) -> None:
    cloud, camera = cloud_of(300, scale=0.1), Camera.pinhole(64, 48, 50.0)
    write_spz(tmp_path / "a.spz", cloud)
    before, after = (render(c, camera, np.eye(3, 4), backend="torch") for c in (cloud, read_spz(tmp_path / "a.spz")))
    assert np.abs(after.image - before.image).mean() < 4e-3


def test_degenerate_values(cloud_of: CloudFactory, tmp_path: Path) -> None:
    cloud = cloud_of(8)
    opacities, scales, harmonics, means = (
        a.copy() for a in (cloud.opacities, cloud.scales, cloud.harmonics, cloud.means)
    )
    opacities[:2] = [0, 1]
    scales[2:4] = [[0], [1e9]]
    harmonics[4] = 1e6
    means[5] = 1e12
    means[6] = np.nan
    write_spz(tmp_path / "a.spz", GaussianCloud(means, scales, cloud.rotations, harmonics, opacities, cloud.view))
    read = read_spz(tmp_path / "a.spz")
    assert len(read) == 7
    np.testing.assert_array_equal(read.opacities[:2], [0, 1])
    np.testing.assert_allclose(read.scales[2:4, 0], np.exp([-10, 255 / 16 - 10]), rtol=1e-5)
    assert all(np.isfinite(values).all() for values in vars(read).values())


def test_the_same_cloud_gives_the_same_bytes(cloud_of: CloudFactory, tmp_path: Path) -> None:
    write_spz(tmp_path / "a.spz", cloud_of(50))
    write_spz(tmp_path / "b.spz", cloud_of(50))
    assert (tmp_path / "a.spz").read_bytes() == (tmp_path / "b.spz").read_bytes()
    for version in (3, 4):
        write_spz(tmp_path / "c.spz", subset(cloud_of(3), np.zeros(3, bool)), version)
        assert len(read_spz(tmp_path / "c.spz")) == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not gzip",
        gzip.compress(b""),
        gzip.compress(b"something else, long enough"),
        gzip.compress(struct.pack("<IIIBBBB", 0x5053474E, 4, 0, 0, 12, 0, 0)),
        gzip.compress(struct.pack("<IIIBBBB", 0x5053474E, 3, 5, 0, 12, 0, 0)),
        gzip.compress(struct.pack("<IIIBBBB", 0x5053474E, 3, 5, 0, 12, 0, 0))[:-4],
    ],
    ids=["empty", "other", "nothing inside", "other inside", "version 4", "too short", "cut off"],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.spz").write_bytes(content)
    with pytest.raises(CaptureError, match=r"a\.spz: .*again"):
        read_spz(tmp_path / "a.spz")
