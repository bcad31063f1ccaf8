"""NumPy files read and written a view at a time, by plain input and output.

A memory map would do the same in fewer lines, but the pages that it touches count as memory of the process until the
kernel takes them back; these do not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["ArrayFile", "ArrayWriter"]


class ArrayFile:
    """An .npy file of (N, ...) numbers whose entries are read as they are asked for."""

    def __init__(self, path: Path) -> None:
        """Raises OSError or ValueError where the file is missing, cut short or no .npy file in C order."""
        self.path = path
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            self.shape, fortran, self.dtype = read(file)
            self._start = file.tell()
        self._entry = int(np.prod(self.shape[1:]))
        expected = self._start + self.shape[0] * self._entry * self.dtype.itemsize
        if fortran or path.stat().st_size != expected:
            raise ValueError(f"{path}: is not a whole array file")

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, index: int) -> NDArray[Any]:
        """Entry `index` of 0..N-1, a fresh array."""
        if not 0 <= index < len(self):
            raise IndexError(f"{self.path.name}: no entry {index} among {len(self)}")
        offset = self._start + index * self._entry * self.dtype.itemsize
        return np.fromfile(self.path, self.dtype, self._entry, offset=offset).reshape(self.shape[1:])

    def mapped(self) -> NDArray[Any]:
        """All entries as one read-only memory map (an np.memmap, by which the session folder knows the file)."""
        mapped: NDArray[Any] = np.load(self.path, mmap_mode="r")
        return mapped


class ArrayWriter:
    """An .npy file of the given shape (N, ...) that takes its N entries one after the other.

    It takes its place when it is finished; a file that was there before stays whole for whoever has it mapped or
    linked.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self._path = path
        self._fresh = path.with_name(f"{path.name}.new")
        self._dtype = np.dtype(dtype)
        self._file = self._fresh.open("wb")
        header = {"descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)

    def write(self, entry: NDArray[Any]) -> None:
        """Append the next entry."""
        np.ascontiguousarray(entry, self._dtype).tofile(self._file)

    def finish(self) -> None:
        """All entries are written."""
        self._file.close()
        self._fresh.replace(self._path)

    def abandon(self) -> None:
        """Leave nothing behind; does nothing after `finish`."""
        self._file.close()
        self._fresh.unlink(missing_ok=True)
