"""The PLY file reads back, and its header is the one that readers expect."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from da3_pipeline.export.ply import offset_comments, read_ply, write_ply


def test_round_trip(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    points, colours = rng.normal(size=(1000, 3)), rng.integers(0, 256, (1000, 3), dtype=np.uint8)
    write_ply(tmp_path / "a.ply", points, colours)
    read, tints = read_ply(tmp_path / "a.ply")
    np.testing.assert_allclose(read, points, rtol=1e-6)
    np.testing.assert_array_equal(tints, colours)
    assert (tmp_path / "a.ply").stat().st_size == 1000 * 15 + (tmp_path / "a.ply").read_bytes().index(
        b"end_header"
    ) + 11


def test_header_and_emptiness(tmp_path: Path) -> None:
    write_ply(tmp_path / "a.ply", np.zeros((0, 3)), np.zeros((0, 3), np.uint8))
    lines = (tmp_path / "a.ply").read_bytes().decode("ascii").splitlines()
    assert lines[:3] == ["ply", "format binary_little_endian 1.0", "element vertex 0"]
    assert lines[3:] == [
        *(f"property float {axis}" for axis in "xyz"),
        *(f"property uchar {channel}" for channel in ("red", "green", "blue")),
        "end_header",
    ]
    assert len(read_ply(tmp_path / "a.ply")[0]) == 0


def test_an_offset_along_any_axis_is_told() -> None:
    assert offset_comments(np.zeros(3), "point") == []
    assert offset_comments(np.array([0.0, 0.0, 2.5]), "point")[0] == "offset 0.0 0.0 2.5"


def test_comments_stand_in_the_header_and_do_not_disturb(tmp_path: Path) -> None:
    write_ply(tmp_path / "a.ply", np.ones((2, 3)), np.zeros((2, 3), np.uint8), ["offset 1.0 0.0 0.0", "second"])
    lines = (tmp_path / "a.ply").read_bytes().split(b"\n")
    assert lines[2:4] == [b"comment offset 1.0 0.0 0.0", b"comment second"]
    assert (read_ply(tmp_path / "a.ply")[0] == 1).all()
