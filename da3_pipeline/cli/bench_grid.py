"""`da3-pipeline bench geometry`, `bench all` and `bench speed`: what runs over data sets and sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..progress import TerminalProgress
from .bench import JsonFile, bench_app
from .examples import examples
from .options import Device

__all__ = ["bench_app"]

_GEOMETRY = "geometry"

Results = Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where results are kept, and the page.")]
Methods = Annotated[
    list[str] | None,
    typer.Option(
        "--method",
        metavar="KIND:WHAT",
        help="raw, ray, refined, long, mono, metric, npz, model, colmap, floor; repeatable.",
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
    sweep: Annotated[bool, typer.Option("--sweep", help="Also 3, 5, 8, 12, 20 and 30 views.")] = False,
    scenes: Annotated[int | None, typer.Option(min=1, help="The first so many of each data set.")] = None,
    jobs: Jobs = 1,
    devices: Devices = None,
) -> None:
    """Poses, depth and surfaces of methods on data sets with truth: tables and a page. The same command goes on."""
    from ..benchmark.geometry.grid import METHODS, VIEWS, GridOptions, grid_cells, measure_grid
    from ..benchmark.geometry.report import about, write_results

    numbers = tuple(sorted({*(views or ()), *(VIEWS if sweep else ())}))
    options = GridOptions(
        output.absolute() / "cells",
        tuple(methods or METHODS),
        (None, *numbers),
        tuple(datasets or ()),
        scenes,
        jobs,
        tuple(devices or ("auto",)),
    )
    results = measure_grid(grid_cells([root.absolute() for root in roots], options), options, TerminalProgress())
    typer.echo(write_results(output, "Visual geometry benchmark", results, about(_typed(), results)))
    typer.echo(f"{output / 'index.html'}")


@bench_app.command("all", epilog=examples("bench all"))
def bench_all(
    output: Results,
    roots: Annotated[
        list[Path] | None, typer.Argument(metavar="FOLDER...", help="Data sets beside the rendered ones.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes: under an hour on two cores.")] = False,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="geometry, or another benchmark; repeatable.")
    ] = None,
    methods: Methods = None,
    views: Annotated[
        list[int] | None, typer.Option(min=2, help="Also so many views; repeatable. Default: none if quick.")
    ] = None,
    jobs: Jobs = 1,
    devices: Devices = None,
) -> None:
    """Every benchmark, on rendered scenes and the given data sets, on one page. The same command goes on."""
    from ..benchmark.geometry.grid import METHODS, VIEWS, GridOptions, grid_cells, measure_grid
    from ..benchmark.geometry.page import Section
    from ..benchmark.geometry.report import about, write_results
    from ..benchmark.together.scenes import rendered_set, scene_with_truth
    from ..benchmark.together.sections import measure_sections, plans_named

    output = output.absolute()
    chosen = plans_named([name for name in only or () if name != _GEOMETRY]) if only != [_GEOMETRY] else ()
    numbers = tuple(views or (() if quick else VIEWS))
    grid = GridOptions(
        output / "cells", tuple(methods or METHODS), (None, *numbers), jobs=jobs, devices=tuple(devices or ("auto",))
    )
    places = [rendered_set(output / "datasets", quick, TerminalProgress()), *(root.absolute() for root in roots or ())]
    cells = grid_cells(places, grid) if not only or _GEOMETRY in only else []
    results = measure_grid(cells, grid, TerminalProgress()) if cells else []
    scene = scene_with_truth(places, quick)
    ran = measure_sections(chosen, scene, output / "cache", output / "sections", quick, TerminalProgress())
    sections = [Section(one.plan.title, one.plan.about, one.command, one.text, one.failure, one.seconds) for one in ran]
    write_results(output, "All benchmarks", results, about(_typed(), results), sections)
    typer.echo(f"{output / 'index.html'}")


@bench_app.command("speed", epilog=examples("bench speed"))
def bench_speed(
    variants: Annotated[
        list[str] | None,
        typer.Argument(metavar="VARIANT...", help="Names of `da3-pipeline models`. Default: da3-nano."),
    ] = None,
    views: Annotated[list[int], typer.Option(min=1, help="Views in a pass; once for each number.")] = [2, 8, 16],  # noqa: B006
    sizes: Annotated[
        list[str] | None,
        typer.Option("--size", help="Height x width of the views in px; repeatable. Default: 378x504."),
    ] = None,
    device: Device = "cpu",
    rounds: Annotated[int, typer.Option(min=1, help="Fresh processes of each network.")] = 3,
    most_views: Annotated[int, typer.Option(help="On a GPU: also search the most views that fit, up to this.")] = 0,
    images: Annotated[
        list[int] | None,
        typer.Option(min=2, help="Sizes of captures for the whole pipeline; repeatable. Default: 10 25 50 100."),
    ] = None,
    colmap_mode: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Modes of COLMAP; repeatable. Default: video.")
    ] = None,
    cache: Annotated[Path, typer.Option(help="Where the rendered street is kept.")] = Path("bench-speed"),
    json_file: JsonFile = None,
) -> None:
    """Views a second and memory of networks; seconds of the pipeline and of COLMAP as captures grow; how they grow."""
    import json

    from ..benchmark.network.forward import ForwardOptions, forward_cases, forward_json, measure_forward
    from ..benchmark.network.throughput import throughput_table
    from ..benchmark.pose.scaling import ScalingOptions, measure_scaling, scaling_json, scaling_table

    asked = [forward_cases(variants or ["da3-nano"], views, size) for size in sizes or ["378x504"]]
    options = ForwardOptions(None, device, rounds=rounds, passes=1, most_views=most_views)
    passes = measure_forward([case for cases in asked for case in cases], options)
    typer.echo(throughput_table(passes, device))
    scaling = ScalingOptions(cache.absolute(), tuple(colmap_mode or ("video",)))
    captures = measure_scaling(images or (10, 25, 50, 100), scaling, TerminalProgress())
    typer.echo(f"\nthe pipeline from files to data set\n{scaling_table(captures, scaling)}")
    if json_file is not None:
        document = {"passes": json.loads(forward_json(passes)), "captures": json.loads(scaling_json(captures))}
        json_file.write_text(json.dumps(document, indent=1))


def _typed() -> str:
    """The command as it was given."""
    import shlex
    import sys

    return shlex.join(["da3-pipeline", *sys.argv[1:]])
