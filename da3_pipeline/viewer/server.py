"""The viewer's server: a session is loaded, drawn, and waits for browsers."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .panel import Panel
from .placement import Placement, place
from .session import SessionScene, load_session
from .viser_api import start_server

__all__ = ["Viewer", "serve"]


@dataclass(frozen=True)
class Viewer:
    """A running viewer. `server` is viser's, `thumbnails` the thread that loads them."""

    url: str
    scene: SessionScene
    placement: Placement
    server: Any
    panel: Panel
    thumbnails: threading.Thread

    def stop(self) -> None:
        """Close the connections and let the threads end."""
        self.panel.drawing.stop()
        self.thumbnails.join(timeout=10)
        self.server.stop()


def serve(folder: Path, host: str = "127.0.0.1", port: int = 8080) -> Viewer:
    """Show the session in `folder` at http://host:port until `stop`; returns at once.

    Raises CaptureError for a folder that holds no finished session, UsageError where the port is taken, and
    MissingExtraError without viser.
    """
    scene = load_session(folder)
    placement = place(scene)
    server = start_server(host, port, label=folder.resolve().name)
    panel = Panel(server, scene, placement)
    server.on_client_connect(panel.overview)
    thumbnails = threading.Thread(target=panel.drawing.load_thumbnails, name="thumbnails", daemon=True)
    thumbnails.start()
    return Viewer(f"http://{host}:{port}", scene, placement, server, panel, thumbnails)
