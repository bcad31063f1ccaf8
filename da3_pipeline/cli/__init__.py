"""The `da3-pipeline` command: options in, one pipeline call, one verdict out.

Exit codes are those of `exits`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from .. import __version__
from ..errors import PipelineError
from ..progress import SilentProgress, TerminalProgress
from .bench_grid import bench_app
from .compare import compare
from .conclusion import conclude
from .configured import configured
from .console import open_console, printable, say, say_json
from .convert import convert
from .examples import examples
from .exits import EXIT_BAD_INPUT, EXIT_INTERRUPTED, is_mendable
from .logged import logged, tell_capture
from .models import models, show_licence
from .options import (
    AsJson,
    ExecutorName,
    Jobs,
    Log,
    Model,
    Output,
    Overwrite,
    Quiet,
    RayAddress,
    Retries,
    Seed,
    Split,
    TimeLimit,
    Verify,
    configuration,
)
from .view import view

if TYPE_CHECKING:
    from ..config import PipelineConfig

__all__ = ["app", "main"]

# numpy, not yet imported, would start a thread a core for matrices so small that waiting for them costs ten times more.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich")
train_app = typer.Typer(help="Train networks of the family.", no_args_is_help=True, epilog=examples("train"))
app.add_typer(bench_app, name="bench")
app.add_typer(train_app, name="train")


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"da3-pipeline {__version__}")
        raise typer.Exit


@app.callback(epilog=examples(""))
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version and end.")
    ] = False,
) -> None:
    """From a video or photographs to a data set that a Gaussian-splatting trainer learns from."""


@app.command(epilog=examples("run"))
@configured
def run(
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE...", help="Folders, photographs or videos.")],
    output: Output,
    config: PipelineConfig,
    split: Split = False,
    overwrite: Overwrite = False,
    verify: Verify = False,
    log: Log = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run the pipeline on one capture."""
    show_licence(config)
    with logged(log, "run", output) as events:
        from .. import pipeline

        _take_signals()
        progress = events.listening(SilentProgress() if quiet else TerminalProgress())
        outcome = pipeline.run(sources, output, config, progress, overwrite=overwrite, split=split, verify=verify)
        conclude(outcome, as_json)


@app.command(epilog=examples("demo"))
def demo(
    output: Output = Path("demo"),
    model: Model = "da3-nano",
    frames: Annotated[int, typer.Option(min=10, help="Length of the rendered video.")] = 90,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Render a handheld video of a synthetic room, run the pipeline on it and compare with the truth."""
    from ..demo import run_demo

    config = configuration({"infer": {"model": model}, "refine": {"seed": seed}})
    progress = SilentProgress() if quiet else TerminalProgress()
    report = run_demo(output, config, frames=frames, seed=seed, progress=progress)
    typer.echo(f"pose error against the known truth, {report.posed} of {report.frames} frames:")
    typer.echo(f"  rotation  median {report.rotation_median_deg:.3f} deg, largest {report.rotation_max_deg:.3f} deg")
    typer.echo(f"  position  RMS {report.position_rmse_percent:.3f} % of the camera path")
    typer.echo(f"  AUC@1/3/5 {report.auc_1:.1f} / {report.auc_3:.1f} / {report.auc_5:.1f}")
    typer.echo(f"  focal     {report.focal_error_percent:+.2f} %")
    conclude(report.outcome, as_json=False)


@app.command(epilog=examples("batch"))
@configured
def batch(
    captures: Annotated[
        str, typer.Argument(metavar="DIR", help="A folder of captures: sub-folders and videos; may be a URL (s3://).")
    ],
    output: Annotated[str, typer.Option("--output", "-o", help="Folder of the sessions; may be a URL (s3://, gs://).")],
    config: PipelineConfig,
    split: Split = False,
    overwrite: Overwrite = False,
    verify: Verify = False,
    jobs: Jobs = 1,
    retries: Retries = 1,
    time_limit: TimeLimit = None,
    executor: ExecutorName = "local",
    ray_address: RayAddress = None,
    log: Log = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run the pipeline on every capture of a folder; a second run does only what is missing.

    A folder given to --masks, --intrinsics, --poses, --rig or --predictions may hold one entry for each capture, of
    the capture's name.
    """
    from da3_workflows.batch import run_batch
    from da3_workflows.executors import executor_named

    _take_signals()
    show_licence(config)
    with logged(log, "batch") as events:
        summary = run_batch(
            captures,
            output,
            config,
            executor=executor_named(executor, jobs, _minutes(time_limit), ray_address),
            progress=SilentProgress() if quiet else TerminalProgress(),
            split=split,
            overwrite=overwrite,
            verify=verify,
            retries=retries,
            ended=lambda record: tell_capture(events, asdict(record)),
        )
        if as_json:
            say_json(summary.as_json())
        else:
            say(summary.as_table())
        raise typer.Exit(summary.exit_code)


@app.command(epilog=examples("watch"))
@configured
def watch(
    captures: Annotated[Path, typer.Argument(metavar="DIR", help="The folder in which captures arrive.")],
    output: Output,
    config: PipelineConfig,
    settled: Annotated[
        float, typer.Option(min=1.0, metavar="SECONDS", help="Without any change, until a capture has arrived.")
    ] = 10.0,
    once: Annotated[bool, typer.Option("--once", help="End when all that has arrived is done.")] = False,
    split: Split = False,
    overwrite: Overwrite = False,
    verify: Verify = False,
    jobs: Jobs = 1,
    retries: Retries = 1,
    time_limit: TimeLimit = None,
    executor: ExecutorName = "local",
    ray_address: RayAddress = None,
    log: Log = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run the pipeline on captures as they arrive in a folder, each as soon as its upload has ended.

    Until Ctrl-C; what is done stays done. A capture that changes later is done again.
    """
    from da3_workflows.batch import Batch
    from da3_workflows.executors import executor_named
    from da3_workflows.records import BatchSummary, CaptureRecord
    from da3_workflows.watch import watch as groups_of

    _take_signals()
    show_licence(config)
    progress = SilentProgress() if quiet else TerminalProgress()
    ended: dict[str, CaptureRecord] = {}
    with logged(log, "watch") as events:
        work = Batch(
            output,
            config,
            executor=executor_named(executor, jobs, _minutes(time_limit), ray_address),
            split=split,
            overwrite=overwrite,
            verify=verify,
            retries=retries,
            ended=lambda record: tell_capture(events, asdict(record)),
        )
        for group in groups_of(captures, work, settled_s=settled, once=once, progress=progress):
            for line in group.as_json_lines() if as_json else group.as_lines():
                (say_json if as_json else say)(line)
            ended |= {record.name: record for record in group.records}
        raise typer.Exit(BatchSummary(tuple(ended.values())).exit_code)


def _minutes(limit: float | None) -> float | None:
    """In seconds."""
    return None if limit is None else 60 * limit


app.command(epilog=examples("models"))(models)


@app.command(epilog=examples("doctor"))
def doctor(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="An output folder, to be looked at as well.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find what is wrong on this machine, and say what to do about it; exit code 2 where runs will fail."""
    from ..doctor import examine

    findings = examine(folder)
    if as_json:
        say_json(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            say(finding)
    if any(finding.status == "FAIL" for finding in findings):
        raise typer.Exit(EXIT_BAD_INPUT)


app.command(epilog=examples("view"))(view)
app.command(epilog=examples("convert"))(convert)
app.command(epilog=examples("compare"))(compare)


@train_app.command("student", epilog=examples("train student"))
def train_student(
    folder: Annotated[Path, typer.Option(help="Checkpoint and log go here; a run found here is continued.")],
    preset: Annotated[str, typer.Option(help="nano, small or paper.")] = "nano",
    seed: Annotated[int, typer.Option(help="Seed of weights, scenes and schedule.")] = 0,
) -> None:
    """Train a student on synthetic scenes; the same command again resumes."""
    from ..training.config import preset as settings_of
    from ..training.student import train

    train(settings_of(preset).model_copy(update={"seed": seed}), folder)


class _Interrupted(BaseException):
    """Ctrl-C or SIGTERM. Not a KeyboardInterrupt, which typer would turn into a silent exit."""


def main() -> None:
    """Entry point: every expected failure becomes one line on stderr and its exit code."""
    open_console()
    _take_signals()
    try:
        app(prog_name="da3-pipeline")
    except PipelineError as error:
        _fail(str(error), EXIT_BAD_INPUT)
    except _Interrupted:
        _fail("interrupted; run the same command again to resume", EXIT_INTERRUPTED)
    except OSError as error:
        if not is_mendable(error):
            raise
        _fail(f"{error.filename or 'output'}: {error.strerror}; free space or choose another folder", EXIT_BAD_INPUT)


def _take_signals() -> None:
    """Ctrl-C and SIGTERM leave everything resumable. Importing COLMAP sets its own answer to the latter, a native
    stack: whoever has imported it calls this again."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    raise _Interrupted


def _fail(message: str, code: int) -> None:
    message = printable(message)
    sys.stderr.write(f"\nerror: {message}\n")
    if (
        sys.argv[1:2] in (["run"], ["batch"], ["watch"], ["compare"]) and "--json" in sys.argv
    ):  # who asked for JSON gets no empty answer
        sys.stdout.write(json.dumps({"error": message}) + "\n")
    sys.exit(code)
