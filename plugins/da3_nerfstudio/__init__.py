"""nerfstudio reads finished sessions: `ns-train METHOD --data SESSION da3-data`.

Importing this package loads neither nerfstudio nor torch; using one of its names does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .dataparser import DA3_DATAPARSER, Da3DataParser, Da3DataParserConfig

__all__ = ["DA3_DATAPARSER", "Da3DataParser", "Da3DataParserConfig"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(".dataparser", __name__), name)
