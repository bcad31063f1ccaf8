"""`da3-pipeline bench`: measurements in tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..progress import TerminalProgress
from .examples import examples
from .options import Device, Matcher, Model, configuration

__all__ = ["JsonFile", "bench_app"]

JsonFile = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="All figures, as JSON.")]

bench_app = typer.Typer(help="Measurements: tables, never tests.", no_args_is_help=True, epilog=examples("bench"))


@bench_app.command("run", epilog=examples("bench run"))
def bench_run(
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE...")],
    model: Model = "da3-nano",
    device: Device = "auto",
) -> None:
    """Times and peak memory of every stage on a capture, in a fresh process each run."""
    from ..benchmark.pose.stages import measure_stages

    typer.echo(measure_stages(sources, configuration({"infer": {"model": model, "device": device}})))


@bench_app.command("pose", epilog=examples("bench pose"))
def bench_pose(
    scenes: Annotated[list[Path], typer.Argument(metavar="SCENE...", help="Folders with images/ and truth.json.")],
    model: Model = "da3-nano",
    predictions: Annotated[
        Path | None, typer.Option(help="A prior from an .npz, or 'identical' / 'random' poses.")
    ] = None,
    colmap: Annotated[
        bool, typer.Option("--colmap", help="Run COLMAP on the same images beside us, in the mode for their kind.")
    ] = False,
    colmap_mode: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Run COLMAP in this mode; repeatable.")
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="Timed runs of each; the median counts.")] = 1,
    matcher: Matcher = "auto",
    json_file: JsonFile = None,
) -> None:
    """Pose accuracy, time of the whole command and verdict against known truth."""
    from ..benchmark.pose.accuracy import BEST, PoseOptions, measure_poses, poses_json, poses_table

    modes = tuple(colmap_mode or ()) or ((BEST,) if colmap else ())
    rows = measure_poses(scenes, PoseOptions(model, matcher, predictions, modes, runs), TerminalProgress())
    if json_file is not None:
        json_file.write_text(poses_json(rows))
    typer.echo(poses_table(rows))


@bench_app.command("rendering", epilog=examples("bench rendering"))
def bench_rendering(
    scenes: Annotated[list[Path], typer.Argument(metavar="SCENE...", help="Folders of photographs, or with images/.")],
    model: Model = "da3-nano",
    predictions: Annotated[Path | None, typer.Option(help="A prior from an .npz, for one scene.")] = None,
    ab: Annotated[
        bool, typer.Option("--ab", help="Beside ours refined: unrefined, without depth seeds, and COLMAP.")
    ] = False,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each.")] = 3,
    iterations: Annotated[int, typer.Option(min=1, help="Of each training.")] = 300,
    gaussians: Annotated[int, typer.Option(min=2, help="Their number, fixed.")] = 4000,
    width: Annotated[int, typer.Option(min=0, help="Of the pictures in px; 0 leaves their size.")] = 160,
    device: Annotated[str, typer.Option(help="cpu, or cuda with gsplat.")] = "cpu",
    target_db: Annotated[float, typer.Option(help="Time until held-out views reach this PSNR.")] = 30.0,
    json_file: JsonFile = None,
) -> None:
    """Splats trained from our poses and seeds, judged on held-out views; COLMAP's beside them."""
    from ..benchmark.rendering.runs import SOURCES, RenderingOptions, measure_rendering
    from ..benchmark.rendering.splat_trainer import TrainerOptions
    from ..benchmark.rendering.tables import rendering_json, rendering_table

    trainer = TrainerOptions(iterations, gaussians, device=device)
    options = RenderingOptions(SOURCES if ab else SOURCES[1:2], seeds, width, trainer=trainer)
    config = configuration({"infer": {"model": model, "predictions": predictions}})
    runs = measure_rendering(scenes, config, options, TerminalProgress())
    if json_file is not None:
        json_file.write_text(rendering_json(runs))
    typer.echo(rendering_table(runs, target_db))


@bench_app.command("long", epilog=examples("bench long"))
def bench_long(
    lengths: Annotated[
        list[int] | None, typer.Argument(metavar="FRAMES...", help="Default: 200 500 1000 2000.")
    ] = None,
    model: Model = "da3-nano",
    device: Device = "cpu",
    simulated: Annotated[
        bool, typer.Option("--simulated", help="Not a model, but one as good as the best published is simulated.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the rendered district and of the walk through it.")] = 0,
    views: Annotated[int, typer.Option(min=8, help="Views in a pass, the same for every length.")] = 48,
    cache: Annotated[Path, typer.Option(help="Where rendered tours are kept.")] = Path("bench-long"),
) -> None:
    """Memory, time, trajectory and doubled walls of long captures, on a rendered tour that comes back."""
    from ..benchmark.long.runs import LENGTHS, LongOptions, measure_long

    options = LongOptions(cache.absolute(), model, device, seed, simulated, views)
    typer.echo(measure_long(lengths or list(LENGTHS), options, TerminalProgress()))


@bench_app.command("forward", epilog=examples("bench forward"))
def bench_forward(
    variants: Annotated[list[str], typer.Argument(metavar="VARIANT...", help="Names of `da3-pipeline models`.")],
    views: Annotated[list[int], typer.Option(min=1, help="Views in a pass; once for each number.")] = [2, 8, 16],  # noqa: B006
    size: Annotated[str, typer.Option(help="Height x width of the views in px, multiples of 14.")] = "378x504",
    published: Annotated[
        Path | None, typer.Option(metavar="PYTHON", help="Interpreter of an environment with depth-anything-3.")
    ] = None,
    device: Device = "cpu",
    rounds: Annotated[int, typer.Option(min=1, help="Fresh processes of each network, in turn.")] = 3,
    passes: Annotated[int, typer.Option(min=1, help="Timed passes in each process, after one that warms up.")] = 2,
    most_views: Annotated[int, typer.Option(help="On a GPU: also search the most views that fit, up to this.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="The figures as JSON.")] = False,
) -> None:
    """Time, memory and outputs of a network's forward pass, beside the published package on the same weights."""
    from ..benchmark.network.forward import ForwardOptions, forward_cases, forward_json, forward_table, measure_forward

    options = ForwardOptions(published, device, rounds=rounds, passes=passes, most_views=most_views)
    rows = measure_forward(forward_cases(variants, views, size), options)
    typer.echo(forward_json(rows) if as_json else forward_table(rows))


@bench_app.command("memory", epilog=examples("bench memory"))
def bench_memory(
    variants: Annotated[list[str], typer.Argument(metavar="VARIANT...", help="Names of `da3-pipeline models`.")],
    views: Annotated[list[int], typer.Option(min=1, help="Views in a pass; once for each number.")] = [2, 8, 16],  # noqa: B006
    size: Annotated[str, typer.Option(help="Height x width of the views in px, multiples of 14.")] = "378x504",
    device: Device = "cpu",
) -> None:
    """What the planner predicts that a pass takes, beside what it takes in a fresh process."""
    from ..benchmark.network.forward import forward_cases, measure_memory

    typer.echo(measure_memory(forward_cases(variants, views, size), device))


@bench_app.command("robustness", epilog=examples("bench robustness"))
def bench_robustness(
    scenes: Annotated[list[Path], typer.Argument(metavar="SCENE...", help="Folders with images/ and truth.json.")],
    noise: Annotated[
        list[str] | None, typer.Option(help="Degrees:percent:percent of rotation, position, focal length; repeatable.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Priors of each noise on each scene.")] = 5,
    drift: Annotated[bool, typer.Option("--drift", help="Errors change smoothly along the capture.")] = False,
    outliers: Annotated[int, typer.Option(min=0, help="Cameras that are grossly wrong, besides.")] = 0,
    all_candidates: Annotated[
        bool, typer.Option("--all-candidates", help="Judge every start, also those that a run does not need.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Processes at once.")] = 1,
    json_file: JsonFile = None,
) -> None:
    """Refinement from truth with noise, against what perfect poses reach; and whether the score chose rightly."""
    from ..benchmark.refinement.robustness import LEVELS, RobustnessOptions, measure_robustness
    from ..benchmark.refinement.robustness_tables import robustness_json, robustness_table
    from ..benchmark.truth.prior_noise import PriorNoise

    noises = tuple(PriorNoise.parse(text, drift, outliers) for text in noise or LEVELS)
    options = RobustnessOptions(noises, seeds, jobs, "all" if all_candidates else "as run")
    runs = measure_robustness(scenes, options, TerminalProgress())
    if json_file is not None:
        json_file.write_text(robustness_json(runs))
    typer.echo(robustness_table(runs))


@bench_app.command("few-views", epilog=examples("bench few-views"))
def bench_few_views(
    scenes: Annotated[list[Path], typer.Argument(metavar="SCENE...", help="Folders with images/ and truth.json.")],
    views: Annotated[list[int], typer.Option(min=2, help="Evenly picked views; once for each number.")] = [3, 4, 5],  # noqa: B006
    noise: Annotated[str, typer.Option(help="Degrees:percent:percent, as for robustness.")] = "5:10:5",
    seeds: Annotated[int, typer.Option(min=1, help="Priors of each row.")] = 5,
    json_file: JsonFile = None,
) -> None:
    """A few views with little overlap: ours from a rough prior beside COLMAP's incremental and global mapping."""
    from ..benchmark.refinement.few_views import FewViewsOptions, few_views_json, few_views_table, measure_few_views
    from ..benchmark.truth.prior_noise import PriorNoise

    options = FewViewsOptions(PriorNoise.parse(noise), tuple(views), seeds)
    rows = measure_few_views(scenes, options, TerminalProgress())
    if json_file is not None:
        json_file.write_text(few_views_json(rows))
    typer.echo(few_views_table(rows))


@bench_app.command("verdict", epilog=examples("bench verdict"))
def bench_verdict(
    scenes: Annotated[
        list[Path] | None,
        typer.Argument(metavar="SCENE...", help="Folders with images/ and truth.json or COLMAP's colmap.json."),
    ] = None,
    views: Annotated[list[int], typer.Option(min=2, help="Images of a run; once for each number.")] = [2, 3, 4, 5],  # noqa: B006
    subsets: Annotated[int, typer.Option(min=1, help="Choices of each: neighbours, far apart, every second.")] = 2,
    rendered: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Rendered worlds beside them; repeatable. Default: all.")
    ] = None,
    no_rendered: Annotated[bool, typer.Option("--no-rendered", help="The given scenes only.")] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Processes at once.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the choices and of the rendered worlds.")] = 0,
    cache: Annotated[Path, typer.Option(help="Where pictures and finished runs are kept.")] = Path("bench-verdict"),
    json_file: JsonFile = None,
) -> None:
    """The whole pipeline on a few views at a time: is it right, and does the verdict say so?"""
    from ..benchmark.verdict.few_images import RENDERED
    from ..benchmark.verdict.runs import VerdictOptions, measure_verdicts, runs_json, runs_table

    worlds = () if no_rendered else tuple(rendered or RENDERED)
    options = VerdictOptions(cache.absolute(), tuple(views), subsets, worlds, seed, jobs)
    runs = measure_verdicts(scenes or [], options, TerminalProgress())
    if json_file is not None:
        json_file.write_text(runs_json(runs))
    typer.echo(runs_table(runs))


@bench_app.command("doppelgangers", epilog=examples("bench doppelgangers"))
def bench_doppelgangers(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="Worlds; default: all.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes at once.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the worlds and of the ways through them.")] = 0,
    cache: Annotated[Path, typer.Option(help="Where captures and finished runs are kept.")] = Path(
        "bench-doppelgangers"
    ),
    json_file: JsonFile = None,
) -> None:
    """Rendered things and fronts with equal parts, by photographs and by video: does a fold ever pass?"""
    from ..benchmark.kept_results import code_version
    from ..benchmark.verdict.doppelgangers import doppelganger_cases
    from ..benchmark.verdict.runs import measure_cases, runs_json, runs_table

    cache = cache.absolute()
    cases = doppelganger_cases(names or [], seed, cache / "rendered")
    runs = measure_cases(cases, cache / f"runs-{code_version()}", jobs, TerminalProgress())
    if json_file is not None:
        json_file.write_text(runs_json(runs))
    typer.echo(runs_table(runs))


@bench_app.command("spoilt", epilog=examples("bench spoilt"))
def bench_spoilt(
    scenes: Annotated[list[Path], typer.Argument(metavar="SCENE...", help="Folders with images/ and truth.json.")],
    kind: Annotated[list[str] | None, typer.Option(help="Way to spoil them; repeatable. Default: all.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes at once.")] = 1,
    seed: Annotated[int, typer.Option(help="Of what is spoilt by chance.")] = 0,
    cache: Annotated[Path, typer.Option(help="Where finished runs are kept.")] = Path("bench-spoilt"),
    json_file: JsonFile = None,
) -> None:
    """Photographs with grain, borders, crops, a hood, a finger, ...: what is solved, and does what is not ever pass?"""
    from ..benchmark.kept_results import code_version
    from ..benchmark.verdict.runs import measure_cases, runs_json, runs_table
    from ..benchmark.verdict.spoilt import spoilt_cases

    cases = spoilt_cases(scenes, kind or [], seed)
    runs = measure_cases(cases, cache.absolute() / f"runs-{code_version()}", jobs, TerminalProgress())
    if json_file is not None:
        json_file.write_text(runs_json(runs))
    typer.echo(runs_table(runs))


@bench_app.command("adjustment", epilog=examples("bench adjustment"))
def bench_adjustment(
    images: Annotated[list[int] | None, typer.Argument(metavar="IMAGES...", help="Default: 50 200 500.")] = None,
    path: Annotated[str, typer.Option(help="orbit or walk.")] = "orbit",
    cameras: Annotated[int, typer.Option(min=1, help="Distinct cameras of the largest problem.")] = 1,
    tracks: Annotated[int | None, typer.Option(min=1, help="Of the largest problem; default 300 an image.")] = None,
    parts: Annotated[
        bool,
        typer.Option("--parts", help="Time score, cuts, triangulation and the rest one by one, and how they grow."),
    ] = False,
    repeats: Annotated[int, typer.Option(min=1, help="Timings of each part.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of the synthetic problem.")] = 0,
) -> None:
    """Seconds, memory and accuracy of bundle adjustment on large synthetic captures."""
    from ..benchmark.refinement.adjustment_scale import IMAGES, AdjustmentOptions, measure_adjustment, measure_parts

    options, sizes = AdjustmentOptions(path, seed, cameras, tracks), images or IMAGES
    if parts:
        typer.echo(measure_parts(sizes, options, repeats, TerminalProgress()))
    else:
        typer.echo(measure_adjustment(sizes, options, TerminalProgress()))


@bench_app.command("selection", epilog=examples("bench selection"))
def bench_selection(
    walks: Annotated[int, typer.Option(min=0, help="Rendered videos with blurred frames.")] = 3,
    blurred: Annotated[float, typer.Option(min=0, max=0.9, help="Share of their frames that is blurred.")] = 0.3,
    scenes: Annotated[int, typer.Option(min=0, help="Scenes of each kind to compare measures of sharpness on.")] = 6,
    model: Model = "da3-nano",
    cache: Annotated[Path, typer.Option(help="Where rendered videos are kept.")] = Path("bench-selection"),
) -> None:
    """Measures of sharpness on pictures of known blur; the frames taken from blurred video, and their poses."""
    from ..benchmark.selection.runs import SelectionOptions, measure_selection

    options = SelectionOptions(cache.absolute(), walks, blurred, scenes)
    typer.echo(measure_selection(options, configuration({"infer": {"model": model}}), TerminalProgress()))


@bench_app.command("scenarios", epilog=examples("bench scenarios"))
def bench_scenarios(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="Default: all.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Worlds and walks of each.")] = 1,
    colmap: Annotated[bool, typer.Option(help="Run COLMAP on the same images beside us.")] = True,
    cache: Annotated[Path, typer.Option(help="Where rendered captures are kept.")] = Path("bench-scenarios"),
    preset: Annotated[str | None, typer.Option(metavar="NAME", help="Run ours with a preset.")] = None,
    json_file: JsonFile = None,
) -> None:
    """Rendered captures, hard in one way each: ours beside COLMAP, and whether the verdict sees what is wrong."""
    from ..benchmark.scenarios.runs import measure_scenarios, scenarios_json, scenarios_table

    rows = measure_scenarios(names or [], range(seeds), cache.absolute(), colmap, TerminalProgress(), preset)
    if json_file is not None:
        json_file.write_text(scenarios_json(rows))
    typer.echo(scenarios_table(rows))


@bench_app.command("scaling", epilog=examples("bench scaling"))
def bench_scaling(
    images: Annotated[list[int] | None, typer.Argument(metavar="IMAGES...", help="Default: 10 25 50 100 200.")] = None,
    colmap: Annotated[bool, typer.Option(help="Run COLMAP on the same images beside us.")] = True,
    colmap_mode: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Modes of COLMAP; repeatable. Default: video.")
    ] = None,
    colmap_up_to: Annotated[int, typer.Option(help="Images up to which COLMAP runs.")] = 200,
    model: Model = "da3-nano",
    cache: Annotated[Path, typer.Option(help="Where the rendered street is kept.")] = Path("bench-scaling"),
    seed: Annotated[int, typer.Option(help="Of the street.")] = 0,
    json_file: JsonFile = None,
) -> None:
    """Seconds from files to data set as a capture grows, beside COLMAP."""
    from ..benchmark.pose.scaling import SIZES, ScalingOptions, measure_scaling, scaling_json, scaling_table

    modes = tuple(colmap_mode or ("video",)) if colmap else ()
    options = ScalingOptions(cache.absolute(), modes, colmap_up_to, model, seed)
    rows = measure_scaling(images or SIZES, options, TerminalProgress())
    if json_file is not None:
        json_file.write_text(scaling_json(rows))
    typer.echo(scaling_table(rows, options))


@bench_app.command("datasets", epilog=examples("bench datasets"))
def bench_datasets(
    root: Annotated[Path, typer.Argument(metavar="FOLDER", help="With a folder for each data set, by its name.")],
    render: Annotated[bool, typer.Option("--render", help="Render the set that needs no download there.")] = False,
    views: Annotated[int, typer.Option(min=2, help="Of each rendered scene.")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="Of the rendered scenes.")] = 0,
) -> None:
    """Data sets of the visual geometry benchmark: which are there, and where the others are to be had."""
    from ..benchmark.datasets.registry import availability
    from ..benchmark.datasets.rendered import RENDERED, RENDERED_KINDS, render_scene

    for kind in RENDERED_KINDS if render else ():
        render_scene(root / RENDERED.name, kind, seed, views)
    typer.echo(availability(root))
