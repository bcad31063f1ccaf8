"""`da3-pipeline compare`: two solutions of the same pictures side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import say, say_json

__all__ = ["compare"]

_WHAT = "A session, a COLMAP model, a transforms.json, another program's project, or a truth.json."


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help=_WHAT)],
    second: Annotated[Path, typer.Argument(metavar="B", help="As A; errors are A's beside it.")],
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw both trajectories into it, a .svg or .png.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures, and each frame's, as JSON.")] = False,
) -> None:
    """Say how far two solutions of the same pictures are apart: poses, focal lengths, frames, points, seconds."""
    from ..comparison import compare as compared
    from ..comparison.plot import checked_plot_path, write_plot
    from ..comparison.telling import as_document, as_table
    from ..files.strict_json import strict_json

    if plot is not None:
        checked_plot_path(plot)
    found = compared(first, second)
    if plot is not None:
        write_plot(plot, found)
    if as_json:
        say_json(strict_json(as_document(found), indent=1))
    else:
        say(as_table(found))
