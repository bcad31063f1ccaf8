"""`da3-pipeline view`: a finished session in the browser."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from .console import say

__all__ = ["view"]


def view(
    session: Annotated[Path, typer.Argument(metavar="DIR", help="The --output folder of a finished run.")],
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 lets the whole network in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen at.")] = 8080,
) -> None:
    """Show a finished session in the browser: cameras, points, tracks, depth, poses before and after refinement."""
    from ..viewer import serve

    viewer = serve(session, host, port)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    say(f"{session}: {viewer.scene.summary}\n{viewer.url} (Ctrl-C ends)")
    stop.wait()
    viewer.stop()
