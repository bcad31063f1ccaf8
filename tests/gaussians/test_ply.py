"""The PLY file: standard to other readers, exact to our own, defined for degenerate Gaussians."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from da3_pipeline.errors import CaptureError
from da3_pipeline.gaussians import read_gaussians_ply, subset, with_bands, write_gaussians_ply
from da3_pipeline.types import GaussianCloud

CloudFactory = Callable[..., GaussianCloud]


@pytest.mark.parametrize("bands", [1, 4, 9, 16])
def test_round_trip(cloud_of: CloudFactory, tmp_path: Path, bands: int) -> None:
    cloud = cloud_of(500, bands=bands)
    path = tmp_path / "a.ply"
    write_gaussians_ply(path, cloud)
    read = read_gaussians_ply(path)
    np.testing.assert_array_equal(read.means, cloud.means)
    np.testing.assert_array_equal(read.harmonics, with_bands(cloud, 16).harmonics)
    np.testing.assert_allclose(read.scales, cloud.scales, rtol=2e-6)
    np.testing.assert_allclose(read.rotations, cloud.rotations, atol=2e-7)
    np.testing.assert_allclose(read.opacities, cloud.opacities, atol=1e-6)
    assert path.stat().st_size == 500 * 62 * 4 + path.read_bytes().index(b"end_header\n") + 11


@pytest.mark.parametrize(("degree", "properties"), [(0, 17), (1, 26), (2, 41), (3, 62)])
def test_other_degrees(cloud_of: CloudFactory, tmp_path: Path, degree: int, properties: int) -> None:
    cloud = cloud_of(20, bands=9)
    write_gaussians_ply(tmp_path / "a.ply", cloud, degree=degree)
    assert (tmp_path / "a.ply").read_bytes().count(b"property float") == properties
    read = read_gaussians_ply(tmp_path / "a.ply")
    np.testing.assert_array_equal(read.harmonics, with_bands(cloud, (degree + 1) ** 2).harmonics)


def test_an_independent_reader_finds_the_fields_of_3dgs(cloud_of: CloudFactory, tmp_path: Path) -> None:
    """What INRIA's loader does, property by property, with the package it uses."""
    plyfile = pytest.importorskip("plyfile")
    cloud = cloud_of(300, bands=16)
    write_gaussians_ply(tmp_path / "a.ply", cloud)
    document = plyfile.PlyData.read(str(tmp_path / "a.ply"))
    assert not document.text and document.byte_order == "<"
    vertices = document["vertex"]
    assert [p.name for p in vertices.properties][:6] == ["x", "y", "z", "nx", "ny", "nz"]
    assert {p.val_dtype for p in vertices.properties} == {"f4"}
    np.testing.assert_array_equal(np.stack([vertices[a] for a in "xyz"], 1), cloud.means)
    np.testing.assert_array_equal(np.stack([vertices[f"f_dc_{c}"] for c in range(3)], 1), cloud.harmonics[:, :, 0])
    rest = np.stack([vertices[f"f_rest_{k}"] for k in range(45)], 1).reshape(-1, 3, 15)
    np.testing.assert_array_equal(rest, cloud.harmonics[:, :, 1:])
    np.testing.assert_allclose(1 / (1 + np.exp(-vertices["opacity"])), cloud.opacities, atol=1e-6)
    scales = np.stack([vertices[f"scale_{k}"] for k in range(3)], 1)
    np.testing.assert_allclose(np.exp(scales), cloud.scales, rtol=2e-6)
    np.testing.assert_allclose(np.stack([vertices[f"rot_{k}"] for k in range(4)], 1), cloud.rotations, atol=2e-7)


def test_a_file_of_another_writer_is_read(cloud_of: CloudFactory, tmp_path: Path) -> None:
    """Doubles, another order, no normals, a property and an element that we do not know."""
    plyfile = pytest.importorskip("plyfile")
    cloud = cloud_of(10, bands=1)
    columns = {
        **{f"rot_{k}": 3 * cloud.rotations[:, k] for k in range(4)},
        **{f"scale_{k}": np.log(cloud.scales[:, k]) for k in range(3)},
        "opacity": np.log(cloud.opacities / (1 - cloud.opacities)),
        "segment": np.arange(10),
        **{f"f_dc_{c}": cloud.harmonics[:, c, 0] for c in range(3)},
        **{axis: cloud.means[:, k] for k, axis in enumerate("xyz")},
    }
    rows = np.zeros(10, [(name, "i4" if name == "segment" else "f8") for name in columns])
    for name, values in columns.items():
        rows[name] = values
    faces = np.zeros(1, [("a", "i4")])
    elements = [plyfile.PlyElement.describe(rows, "vertex"), plyfile.PlyElement.describe(faces, "other")]
    plyfile.PlyData(elements, byte_order="<").write(str(tmp_path / "a.ply"))
    read = read_gaussians_ply(tmp_path / "a.ply")
    np.testing.assert_allclose(read.means, cloud.means)
    np.testing.assert_allclose(read.rotations, cloud.rotations, atol=1e-6)
    np.testing.assert_allclose(read.scales, cloud.scales, rtol=1e-6)


def test_degenerate_values_are_finite_in_the_file(cloud_of: CloudFactory, tmp_path: Path) -> None:
    cloud = cloud_of(9, bands=4)
    opacities, scales, rotations, means = (
        array.copy() for array in (cloud.opacities, cloud.scales, cloud.rotations, cloud.means)
    )
    opacities[:4] = [0, 1, 1.00001, -1e-9]
    scales[4] = 0
    rotations[5] *= 100
    rotations[6] = 0  # no rotation at all: left out
    means[7, 1] = np.inf  # left out
    scales[8, 0] = np.nan  # left out
    path = tmp_path / "a.ply"
    write_gaussians_ply(path, replace(cloud, opacities=opacities, scales=scales, rotations=rotations, means=means))
    raw = np.frombuffer(path.read_bytes().partition(b"end_header\n")[2], "<f4")
    assert np.isfinite(raw).all()
    read = read_gaussians_ply(path)
    assert len(read) == 6
    np.testing.assert_allclose(read.opacities[:4], [0, 1, 1, 0], atol=1e-8)
    np.testing.assert_allclose(read.scales[4], 1e-12, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(read.rotations, axis=1), 1, atol=1e-6)


def test_no_gaussian_at_all(cloud_of: CloudFactory, tmp_path: Path) -> None:
    write_gaussians_ply(tmp_path / "a.ply", subset(cloud_of(3), np.zeros(3, bool)))
    assert len(read_gaussians_ply(tmp_path / "a.ply")) == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a binary little-endian PLY"),
        (b"ply\nformat ascii 1.0\nelement vertex 0\nend_header\n", "not a binary little-endian PLY"),
        (b"ply\nformat binary_little_endian 1.0\nelement face 0\nend_header\n", "first element"),
        (b"ply\nformat binary_little_endian 1.0\nelement vertex 0\nproperty float x\nend_header\n", "lacks y"),
        (
            b"ply\nformat binary_little_endian 1.0\nelement vertex 0\nproperty list uchar int a\nend_header\n",
            "hold lists",
        ),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.ply").write_bytes(content)
    with pytest.raises(CaptureError, match=message):
        read_gaussians_ply(tmp_path / "a.ply")


def test_a_truncated_file_is_refused(cloud_of: CloudFactory, tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    write_gaussians_ply(path, cloud_of(10))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CaptureError, match="shorter than the 10 Gaussians"):
        read_gaussians_ply(path)
