"""A finished session in the browser: cameras, points, pictures; drawn by viser, an optional dependency."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .server import Viewer, serve
    from .session import SessionScene, load_session

__all__ = ["SessionScene", "Viewer", "load_session", "serve"]

__getattr__ = lazy_names(
    __name__, {"SessionScene": "session", "Viewer": "server", "load_session": "session", "serve": "server"}
)
