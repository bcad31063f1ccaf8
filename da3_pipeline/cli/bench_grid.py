"""`da3-pipeline bench geometry`, `bench all` and `bench speed`: what runs over data sets and sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..progress import TerminalProgress
from .bench import bench_app
from .examples import examples

__all__ = ["bench_app"]

Results = Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where results are kept, and the page.")]
Methods = Annotated[
    list[str] | None,
    typer.Option(
        "--method", metavar="KIND:WHAT", help="raw, ray, refined, long, npz, model, colmap, floor; repeatable."
    ),
]
Jobs = Annotated[int, typer.Option(min=1, help="Scenes at once, each in a process of its own.")]
Devices = Annotated[
    list[str] | None,
    typer.Option("--device", help="Of our networks; repeatable: jobs take them in turn. Default: auto."),
]


@bench_app.command("geometry", epilog=examples("bench geometry"))
def bench_geometry(
    roots: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="With a folder for each data set.")],
    output: Results,
    methods: Methods = None,
    datasets: Annotated[
        list[str] | None, typer.Option("--dataset", metavar="NAME", help="These alone; repeatable. Default: all there.")
    ] = None,
    views: Annotated[
        list[int] | None, typer.Option(min=2, help="So many evenly picked views; repeatable. Default: all.")
    ] = None,
    scenes: Annotated[int | None, typer.Option(min=1, help="The first so many of each data set.")] = None,
    jobs: Jobs = 1,
    devices: Devices = None,
) -> None:
    """Poses, depth and surfaces of methods on data sets with truth: tables and a page. The same command goes on."""
    from ..benchmark.geometry.grid import METHODS, GridOptions, grid_cells, measure_grid
    from ..benchmark.geometry.report import about, write_results

    options = GridOptions(
        output.absolute() / "cells",
        tuple(methods or METHODS),
        (None, *views) if views else (None,),
        tuple(datasets or ()),
        scenes,
        jobs,
        tuple(devices or ("auto",)),
    )
    results = measure_grid(grid_cells([root.absolute() for root in roots], options), options, TerminalProgress())
    typer.echo(write_results(output, "Visual geometry benchmark", results, about(_typed())))
    typer.echo(f"{output / 'index.html'}")


def _typed() -> str:
    """The command as it was given."""
    import shlex
    import sys

    return shlex.join(["da3-pipeline", *sys.argv[1:]])
