"""Types of arrays by what their elements are (shapes and units stand in docstrings); reading a part of a large one."""

from __future__ import annotations

import mmap
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bool", "Bytes", "Float", "Float32", "Int", "read_entry"]

Bool = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
Int = NDArray[np.int64]

_CAN_GIVE_BACK = hasattr(mmap, "MADV_DONTNEED")  # not on Windows

Element = TypeVar("Element", bound=np.generic)


def read_entry(array: NDArray[Element], index: int) -> NDArray[Element]:
    """A copy of entry `index` of (N, ...) numbers, which may be the memory map of a file.

    The pages of a map that were touched count as memory of the process until the kernel takes them back; here they are
    given back at once, so that walking through a long capture's maps takes the memory of one.
    """
    entry = np.array(array[index])
    pages: object = array.base if isinstance(array, np.memmap) and not array.flags.writeable else None
    if isinstance(pages, mmap.mmap) and _CAN_GIVE_BACK:
        pages.madvise(mmap.MADV_DONTNEED)
    return entry
