"""The one thing that a matcher must be."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ....arrays import Bool, Bytes
from ..features import Features
from ..guided import Near

__all__ = ["Matcher", "Size"]

Size = tuple[int, int]
"""Width and height of an image, original pixels."""


class Matcher(Protocol):
    """Finds keypoints in single images and pairs those of two. Called from several threads at once.

    What it returns is the same for the same input, whichever thread or order it is asked in.
    """

    def detect(self, rgb: Bytes, used: Bool | None) -> Features:
        """Keypoints of a (H, W, 3) image, none where `used` (H, W) is False."""
        ...

    def match(
        self, first: Features, second: Features, sizes: tuple[Size, Size], near: Near | None = None
    ) -> NDArray[np.int32]:
        """(M, 2) indices of pairs, one to one; with `near` only such as it allows."""
        ...
