"""python -m da3_pipeline.training student --preset nano --seed 0 --folder runs/nano"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from ..model import any_view, load
from .ablation import QUESTIONS, ablation_table, run_ablation, small_base
from .config import PRESETS, preset, shaped
from .evaluation.depth import DepthFigures, evaluate_depth, load_depth_pictures
from .evaluation.poses import PoseFigures, evaluate_pairs, evaluate_photographs, held_out_views, load_posed_photographs
from .export import averaged_network, export_run
from .monocular.config import METRIC, MONO, metric_preset, mono_preset
from .monocular.metric import train_metric
from .monocular.mono import train_mono
from .run_files import CONFIG, read_config, steps_done
from .sources.mixture import open_source
from .sources.posed import PosedSource
from .sources.shards import write_shards
from .splats.config import GAUSSIANS, gaussian_preset
from .splats.trainer import train_gaussians
from .student import Sitting, fine_tuned, train
from .teacher.config import TEACHERS, teacher_preset
from .teacher.trainer import train_teacher

app = typer.Typer(add_completion=False, no_args_is_help=True)

Folder = Annotated[Path, typer.Option(help="Checkpoint and log go here; a run found here is continued.")]
Run = Annotated[Path, typer.Option("--folder", help="The folder of a run.")]
MaxTime = Annotated[float, typer.Option(help="Save and leave after so many minutes.")]
Captures = Annotated[
    list[Path] | None, typer.Option("--watch", help="Folder with images/ and truth.json to be measured on; repeatable.")
]
Pictures = Annotated[
    list[Path] | None, typer.Option(help="Folder of photographs for textures beside the usual ones; repeatable.")
]
Data = Annotated[
    list[str] | None, typer.Option("--data", help="NAME=FOLDER of a data set, or shards=FOLDER; repeatable.")
]


@app.callback()
def main() -> None:
    """Train networks of the Depth Anything 3 family on synthetic scenes, and measure them."""


@app.command()
def student(
    folder: Folder,
    name: Annotated[str, typer.Option("--preset", help=f"One of {', '.join(sorted(PRESETS))}.")] = "nano",
    seed: Annotated[int, typer.Option(help="Seed of weights, scenes and schedule.")] = 0,
    trunk: Annotated[str | None, typer.Option(help="Where the trunk comes from, instead of the preset's.")] = None,
    processes: Annotated[int | None, typer.Option(help="Instead of the preset's.")] = None,
    accumulate: Annotated[int | None, typer.Option(help="Batches a process takes in each step.", min=1)] = None,
    max_time: MaxTime = float("inf"),
    watch: Captures = None,
    pictures: Pictures = None,
    data: Data = None,
    size: Annotated[str | None, typer.Option(help="nano, small, base, large or giant, from DINOv2's trunk.")] = None,
    start: Annotated[str | None, typer.Option(help="A name, a file or a run to be trained further.")] = None,
    labels: Annotated[str, typer.Option("--teacher", help="Whose aligned depth is learned, late in the run.")] = "",
) -> None:
    """Train a student; run the same command again, or `resume`, to go on."""
    chosen: dict[str, object] = {"seed": seed, "trunk": trunk, "processes": processes, "accumulate": accumulate}
    config = preset(name) if size is None else shaped(preset(name), size)
    config = config if start is None else fine_tuned(config, start)
    chosen |= {"data": tuple(data or ()) or None, "teacher": labels or None}
    config = config.model_copy(update={key: value for key, value in chosen.items() if value is not None})
    sitting = Sitting(max_time, captures=tuple(watch or ()), pictures=tuple(pictures or ()), tensorboard=True)
    train(config, folder, sitting)


@app.command()
def teacher(
    folder: Folder,
    name: Annotated[str, typer.Option("--preset", help=f"One of {', '.join(sorted(TEACHERS))}.")] = "small",
    seed: Annotated[int, typer.Option(help="Seed of weights and scenes.")] = 0,
    trunk: Annotated[str | None, typer.Option(help="Where the trunk comes from, instead of the preset's.")] = None,
    processes: Annotated[int | None, typer.Option(help="Instead of the preset's.")] = None,
    accumulate: Annotated[int | None, typer.Option(help="Batches a process takes in each step.", min=1)] = None,
    max_time: MaxTime = float("inf"),
    pictures: Pictures = None,
) -> None:
    """Train a teacher, which sees one picture at a time; run the same command again to go on."""
    chosen = {"seed": seed, "trunk": trunk, "processes": processes, "accumulate": accumulate}
    config = teacher_preset(name).model_copy(update={key: value for key, value in chosen.items() if value is not None})
    train_teacher(config, folder, Sitting(max_time, pictures=tuple(pictures or ()), tensorboard=True))


@app.command()
def mono(
    folder: Folder,
    labels: Annotated[str, typer.Option("--teacher", help="The folder of a teacher's run, a file or a name.")],
    images: Annotated[list[Path] | None, typer.Option(help="Folder of photographs; repeatable.")] = None,
    name: Annotated[str, typer.Option("--preset", help=f"One of {', '.join(sorted(MONO))}.")] = "small",
    seed: Annotated[int, typer.Option(help="Seed of weights and samples.")] = 0,
    max_time: MaxTime = float("inf"),
    data: Data = None,
) -> None:
    """Train a student of relative depth on a teacher's labels alone; run the same command again to go on."""
    folders = tuple(str(path) for path in images or ())
    chosen = {"seed": seed, "teacher": labels, "images": folders, "data": tuple(data or ())}
    train_mono(mono_preset(name).model_copy(update=chosen), folder, Sitting(max_time, tensorboard=True))


@app.command()
def metric(
    folder: Folder,
    labels: Annotated[str, typer.Option("--teacher", help="Whose depth, aligned, is learned beside the data's.")] = "",
    name: Annotated[str, typer.Option("--preset", help=f"One of {', '.join(sorted(METRIC))}.")] = "small",
    seed: Annotated[int, typer.Option(help="Seed of weights and samples.")] = 0,
    max_time: MaxTime = float("inf"),
    data: Data = None,
) -> None:
    """Train a student of metric depth; run the same command again to go on."""
    chosen = {"seed": seed, "teacher": labels, "data": tuple(data or ())}
    train_metric(metric_preset(name).model_copy(update=chosen), folder, Sitting(max_time, tensorboard=True))


@app.command()
def gaussians(
    folder: Folder,
    source: Annotated[str, typer.Option(help="Whose backbone stays: a name, a file or the folder of a run.")],
    name: Annotated[str, typer.Option("--preset", help=f"One of {', '.join(sorted(GAUSSIANS))}.")] = "small",
    seed: Annotated[int, typer.Option(help="Seed of weights and samples.")] = 0,
    max_time: MaxTime = float("inf"),
    data: Data = None,
) -> None:
    """Train the Gaussian head on a network that stays as it is; run the same command again to go on."""
    chosen = {"seed": seed, "source": source, "data": tuple(data or ())}
    train_gaussians(gaussian_preset(name).model_copy(update=chosen), folder, Sitting(max_time, tensorboard=True))


@app.command()
def resume(folder: Run, max_time: MaxTime = float("inf"), watch: Captures = None) -> None:
    """Go on with a run as its folder describes it."""
    train(read_config(folder), folder, Sitting(max_time, captures=tuple(watch or ()), tensorboard=True))


@app.command()
def finish(
    folder: Run,
    steps: Annotated[int, typer.Option(help="Steps in which the learning rates fall to nothing.", min=1)] = 4000,
) -> None:
    """Give a run an end: from its last checkpoint on its rates fall; `resume` then takes it there."""
    config = read_config(folder)
    ended = config.ending(steps_done(folder), steps)
    (folder / CONFIG).write_text(ended.model_dump_json(indent=1))
    typer.echo(f"{folder} ends at step {ended.steps}: resume it")


@app.command()
def shards(
    data: Annotated[str, typer.Option(help="NAME=FOLDER of a data set.")],
    output: Annotated[Path, typer.Option(help="Folder for the shards.")],
    sets: Annotated[int, typer.Option(help="Sets of views in all.", min=1)] = 10_000,
    views: Annotated[int, typer.Option(help="Views of each.", min=1)] = 8,
    size: Annotated[tuple[int, int], typer.Option(help="Width and height, multiples of 14.")] = (504, 378),
    seed: Annotated[int, typer.Option(help="Seed of the choice of views.")] = 0,
) -> None:
    """Write sets of views of a data set as tar files, to be trained on with --data shards=FOLDER."""
    source = open_source(data)
    if not isinstance(source, PosedSource):
        raise UsageError(f"{data} are shards already: name a data set")
    typer.echo(f"{write_shards(source, output, sets, views, size, seed=seed)} shards in {output}")


@app.command()
def ablate(
    folder: Annotated[Path, typer.Option(help="Runs lie here, a folder each; those that are found go on.")],
    question: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(QUESTIONS)}; all by default.")] = None,
    seeds: Annotated[int, typer.Option(help="Runs of each variant.", min=1)] = 3,
    steps: Annotated[int, typer.Option(help="Steps of each run.", min=2)] = 3000,
    labels: Annotated[str, typer.Option("--teacher", help="For the question of the teacher.")] = "",
    max_time: MaxTime = float("inf"),
) -> None:
    """What each part of the recipe is worth, as the paper's tables 6 and 7: hours; --max-time is for each run."""
    asked = tuple(question or (QUESTIONS if labels else (name for name in QUESTIONS if name != "teacher")))
    rows = run_ablation(folder, asked, range(seeds), small_base(steps), labels, Sitting(max_time))
    typer.echo(ablation_table(rows))


@app.command()
def export(
    folder: Annotated[Path, typer.Option(help="The folder of a run.")],
    output: Annotated[Path, typer.Option(help="The safetensors file to write.")],
) -> None:
    """Write a run's averaged weights in half precision."""
    export_run(folder, output)


@app.command()
def evaluate(
    model: Annotated[str, typer.Option(help="A name, a safetensors file, or the folder of a run.")] = "da3-nano",
    captures: Annotated[list[Path] | None, typer.Argument(help="Folders with images/ and truth.json.")] = None,
    scenes: Annotated[int, typer.Option(help="Held-out synthetic scenes.")] = 128,
    views: Annotated[int, typer.Option(help="Views of each synthetic scene.")] = 2,
    longest_px: Annotated[list[int] | None, typer.Option(help="Longer sides of the network's input.")] = None,
    depths: Annotated[
        list[Path] | None, typer.Option(help="Folder of NAME.jpg with NAME.depth.png in millimetres; repeatable.")
    ] = None,
) -> None:
    """Figures of a network beside constant and random poses and constant depth, on held-out scenes and pictures."""
    net = averaged_network(Path(model)) if Path(model).is_dir() else any_view(load(model))
    for longest in longest_px or [112]:
        if scenes:
            size = (longest // 14 * 14, round(longest * 0.75 / 14) * 14)
            held_out, title = (
                held_out_views(scenes, views, size),
                f"{scenes} held-out scenes, {views} views, {longest} px",
            )
            _show(title, evaluate_pairs(net, held_out))
            _show(title, evaluate_depth(net, held_out))
        for folder in depths or []:
            _show(f"{folder.name}, {longest} px", evaluate_depth(net, load_depth_pictures(folder, longest)))
        for capture in captures or []:
            found = evaluate_photographs(net, load_posed_photographs(capture, longest))
            for kind, figures in found.items():
                _show(f"{capture.name}, {kind}, {longest} px", figures)


def _show(title: str, figures: Mapping[str, PoseFigures | DepthFigures]) -> None:
    for who, values in figures.items():
        line = "  ".join(f"{name} {value:.3g}" for name, value in asdict(values).items())
        typer.echo(f"{title:<48} {who:<9} {line}")


if __name__ == "__main__":
    app()
