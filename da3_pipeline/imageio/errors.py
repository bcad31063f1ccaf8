"""What goes wrong with picture files."""

from __future__ import annotations

from pathlib import Path

__all__ = ["UnreadableImageError", "UnsupportedPixelsError"]


class UnreadableImageError(OSError):
    """A file that cannot be decoded in full. `reason` is one clause without the path."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class UnsupportedPixelsError(ValueError):
    """A whole file of which no picture can be made; says what to do, without the path."""
