"""Entries of arrays that are files: equal to those of the array, copies, and gone from memory when they are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from da3_pipeline.arrays import read_entry

STATUS = Path("/proc/self/status")


def file_pages_mb() -> float:
    """What the process holds of files that it has mapped."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("RssFile"))
    return int(line.split()[1]) / 1024


def mapped(path: Path, values: np.ndarray, mode: str) -> np.ndarray:
    np.save(path, values)
    return np.asanyarray(np.load(path, mmap_mode=mode))  # type: ignore[call-overload]


@pytest.mark.parametrize("dtype", [np.float32, np.bool_])
@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_an_entry_is_a_copy_of_the_arrays(tmp_path: Path, mode: str, dtype: type) -> None:
    values = np.random.default_rng(0).integers(0, 2, (5, 70, 90)).astype(dtype)
    for array in (values, mapped(tmp_path / "a.npy", values, mode), mapped(tmp_path / "b.npy", values, mode)[1:]):
        for index in range(len(array)):
            entry = read_entry(array, index)
            np.testing.assert_array_equal(entry, values[len(values) - len(array) + index])
            entry[:] = 0
        np.testing.assert_array_equal(array, values[len(values) - len(array) :])


def test_what_was_changed_in_memory_only_is_not_lost(tmp_path: Path) -> None:
    private = mapped(tmp_path / "a.npy", np.ones((3, 4096), np.float32), "c")
    private[2] = 7
    read_entry(private, 0)
    np.testing.assert_array_equal(private[2], 7)


def test_a_file_that_was_deleted_is_still_read(tmp_path: Path) -> None:
    array = mapped(tmp_path / "a.npy", np.arange(6.0).reshape(3, 2), "r")
    (tmp_path / "a.npy").unlink()
    np.testing.assert_array_equal(read_entry(array, 1), [2, 3])


@pytest.mark.skipif(not STATUS.exists(), reason="needs /proc")
def test_walking_through_a_file_holds_one_entry(tmp_path: Path) -> None:
    array = mapped(tmp_path / "a.npy", np.zeros((64, 512, 512), np.float32), "r")  # 64 MB
    before = file_pages_mb()
    assert sum(float(read_entry(array, index).sum()) for index in range(64)) == 0
    assert file_pages_mb() - before < 8
    assert float(array.sum()) == 0
    assert file_pages_mb() - before > 48  # what the plain way holds
