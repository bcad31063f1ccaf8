"""`da3-pipeline convert`: a finished session in formats that other programs open."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import say

__all__ = ["convert"]


def convert(
    session: Annotated[Path, typer.Argument(metavar="DIR", help="The --output folder of a finished run.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the files; not the session's.")],
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            metavar="NAME",
            help="glb, csv, splats, depth or spz4; repeatable. Default: all there is but spz4.",
        ),
    ] = None,
) -> None:
    """Write a session's cameras, points, Gaussians and depth as glTF, as a table and as pictures."""
    from .. import interchange

    for line in interchange.convert(session, output, formats or ()):
        say(line)
