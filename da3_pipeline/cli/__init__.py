"""The `da3-pipeline` command: options in, one pipeline call, one verdict out.

Exit codes: 0 done; 2 bad input or usage; 3 finished below the quality gates; 130 interrupted, resumable.
"""

from __future__ import annotations

import errno
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import PipelineError
from ..progress import SilentProgress, TerminalProgress
from .bench import bench_app
from .console import open_console, printable
from .options import (
    AsJson,
    Device,
    Equirectangular,
    Every,
    Fps,
    From,
    Matcher,
    Model,
    Output,
    Panorama,
    Quiet,
    Seed,
    To,
    configuration,
)
from .view import view

if TYPE_CHECKING:
    from ..pipeline import Outcome

__all__ = ["app", "main"]

EXIT_BAD_INPUT, EXIT_BELOW_GATES, EXIT_INTERRUPTED = 2, 3, 130
_MOST_TOLD = 2  # failed gates beside the one in the summary
_MENDABLE = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT)

app = typer.Typer(
    help="From a video or photographs to a data set that a Gaussian-splatting trainer learns from.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
train_app = typer.Typer(help="Train networks of the family.", no_args_is_help=True)
app.add_typer(bench_app, name="bench")
app.add_typer(train_app, name="train")
app.command()(view)


@app.command()
def run(
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE...", help="Folders, photographs or videos.")],
    output: Output,
    model: Model = "da3-nano",
    predictions: Annotated[
        Path | None, typer.Option(help="Depth and cameras from an .npz instead of a network.")
    ] = None,
    intrinsics: Annotated[
        Path | None, typer.Option(help="Known cameras: transforms.json or a COLMAP model folder.")
    ] = None,
    poses: Annotated[Path | None, typer.Option(help="Known poses: transforms.json or a COLMAP model folder.")] = None,
    poses_as: Annotated[
        str, typer.Option(help="Known poses are 'fixed' or a 'prior'; auto: fixed by --poses, priors by a project.")
    ] = "auto",
    no_project: Annotated[
        bool, typer.Option("--no-project", help="Ignore what other programs' projects in a source know.")
    ] = False,
    rig: Annotated[
        Path | None, typer.Option(help="Cameras that are bolted together: COLMAP's rig_config.json.")
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(help="What to ignore: a mask for every frame or a folder of them; black is ignored. Or none."),
    ] = None,
    panorama: Panorama = "auto",
    mask_people: Annotated[bool, typer.Option("--mask-people", help="Find people and ignore them.")] = False,
    max_frames: Annotated[int, typer.Option(min=2, help="Budget of frames taken from videos.")] = 300,
    fps: Fps = None,
    every: Every = None,
    from_: From = 0.0,
    to: To = None,
    keep_unverified: Annotated[
        bool, typer.Option("--keep-unverified", help="Export frames, too, whose pose nothing verified.")
    ] = False,
    split: Annotated[
        bool, typer.Option("--split", help="Another place in the capture gets a data set of its own, in OUTPUT_2.")
    ] = False,
    undistort: Annotated[
        bool, typer.Option("--undistort", help="Write images, masks and depth maps of pinhole cameras.")
    ] = False,
    equirectangular: Equirectangular = False,
    depths: Annotated[bool, typer.Option("--depths", help="Write depth maps, too.")] = False,
    gaussians: Annotated[
        bool, typer.Option("--gaussians", help="Also write Gaussians: gaussians.ply, .spz, a film (giant, nested).")
    ] = False,
    metric_model: Annotated[
        str | None, typer.Option(help="A metric network beside the model, for metres and sky: da3metric-large.")
    ] = None,
    metric: Annotated[
        str, typer.Option(help="Where metres come from: auto, distance, sensor, gps, poses, network or none.")
    ] = "auto",
    distance: Annotated[
        list[str] | None,
        typer.Option(help="A measured length in metres: 'A.jpg,B.jpg=2.5' or 'A.jpg@812,604:A.jpg@1220,610=1.25'."),
    ] = None,
    matcher: Matcher = "auto",
    device: Device = "auto",
    seed: Seed = 0,
    no_refine: Annotated[bool, typer.Option("--no-refine", help="Keep the prior's poses.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Forget finished stages of the session.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run the pipeline on one capture."""
    config = configuration(
        {
            "ingest": {
                "intrinsics": intrinsics,
                "poses": poses,
                "rig": rig,
                "panorama": panorama,
                "project": not no_project,
                "project_poses": "fixed" if poses_as == "fixed" else "prior",
                **_masks(masks),
            },
            "select": {"max_frames": max_frames, "fps": fps, "every": every, "start_s": from_, "end_s": to},
            "mask": {"people": mask_people, "device": device},
            "infer": {
                "model": model,
                "predictions": predictions,
                "device": device,
                "gaussians": gaussians,
                "metric_model": metric_model,
            },
            "refine": {
                "seed": seed,
                "refine": not no_refine,
                "matcher": matcher,
                "device": device,
                "solve": {"poses_as": poses_as},
            },
            "georegister": {"metric": metric, "distance": distance or []},
            "export": {
                "undistort": undistort,
                "depths": depths,
                "keep_unverified": keep_unverified,
                "equirectangular": equirectangular,
            },
        }
    )
    if predictions is None:
        _show_licence(model)
    from .. import pipeline

    progress = SilentProgress() if quiet else TerminalProgress()
    outcome = pipeline.run(sources, output, config, progress, overwrite=overwrite, split=split)
    _conclude(outcome, as_json)


@app.command()
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
    _conclude(report.outcome, as_json=False)


@app.command()
def batch(
    captures: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of captures: sub-folders and videos.")],
    output: Output,
    model: Model = "da3-nano",
    max_frames: Annotated[int, typer.Option(min=2, help="Budget of frames taken from each video.")] = 300,
    device: Device = "auto",
    seed: Seed = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Captures processed at once.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Run the pipeline on every capture of a folder; a second run does only what is missing."""
    from da3_workflows.batch import run_batch

    config = configuration(
        {
            "select": {"max_frames": max_frames},
            "infer": {"model": model, "device": device},
            "refine": {"seed": seed},
        }
    )
    _show_licence(model)
    summary = run_batch(captures, output, config, jobs=jobs, progress=TerminalProgress())
    typer.echo(summary.as_json() if as_json else summary.as_table())
    raise typer.Exit(summary.exit_code)


@app.command()
def models() -> None:
    """List the networks: size, licence, where a checkpoint comes from."""
    import torch

    from ..model import VARIANTS, build

    typer.echo(f"{'name':<28}{'parameters':>12}  {'licence':<14}{'commercial use':<16}weights")
    for name, entry in VARIANTS.items():
        with torch.device("meta"):
            size = f"{sum(weight.numel() for weight in build(entry.config).parameters()) / 1e6:.1f} M"
        where = f"https://huggingface.co/{entry.hub_repo}" if entry.hub_repo else "built in"
        typer.echo(f"{name:<28}{size:>12}  {entry.licence:<14}{'yes' if entry.commercial else 'no':<16}{where}")


@app.command()
def doctor() -> None:
    """Say what this machine and installation can do, and what is missing."""
    from ..doctor import examine

    findings = examine()
    for finding in findings:
        typer.echo(f"{finding.status:<5} {finding.subject:<14} {finding.detail}")
    if any(finding.status == "FAIL" for finding in findings):
        raise typer.Exit(EXIT_BAD_INPUT)


@train_app.command("student")
def train_student(
    folder: Annotated[Path, typer.Option(help="Checkpoint and log go here; a run found here is continued.")],
    preset: Annotated[str, typer.Option(help="nano or paper.")] = "nano",
    seed: Annotated[int, typer.Option(help="Seed of weights, scenes and schedule.")] = 0,
) -> None:
    """Train a student on synthetic scenes; the same command again resumes."""
    from ..training.config import preset as settings_of
    from ..training.student import train

    train(settings_of(preset).model_copy(update={"seed": seed}), folder)


def _masks(masks: Path | None) -> dict[str, Any]:
    """`none` refuses those that lie beside the photographs, unless there is a file of that name."""
    if masks == Path("none") and not masks.exists():
        return {"masks": None, "masks_beside": False}
    return {"masks": masks}


def _show_licence(model: str) -> None:
    """Weights that are fetched come with terms; the user reads them before the first byte arrives."""
    from ..model import VARIANTS, licence_notice

    if model in VARIANTS and VARIANTS[model].hub_repo:
        typer.echo(licence_notice(model), err=True)


def _conclude(outcome: Outcome, as_json: bool) -> None:
    outcomes = (outcome, *outcome.others)
    if as_json:
        from ..export.report.document import finite

        document = _document(outcome) | {"others": [_document(other) for other in outcome.others]}
        typer.echo(json.dumps(finite(document), indent=2, allow_nan=False))
    else:
        for number, one in enumerate(outcomes, 1):
            _tell(one, f"place {number}: " if len(outcomes) > 1 else "")
    if not all(one.passed for one in outcomes):
        raise typer.Exit(EXIT_BELOW_GATES)


def _document(outcome: Outcome) -> dict[str, Any]:
    verdict = outcome.scene.verdict
    return {
        "passed": verdict.passed,
        "unverified": verdict.unverified,
        "summary": verdict.summary,
        "folder": str(outcome.result.folder),
        "gates": [asdict(gate) for gate in verdict.gates],
        "not_measured": [vars(gate) for gate in verdict.not_measured],
        "figures": outcome.scene.figures,
    }


def _tell(outcome: Outcome, which: str) -> None:
    verdict = outcome.scene.verdict
    typer.echo(f"{which}{verdict.summary}")
    others = [gate for gate in verdict.gates if not gate.passed and gate.remedy not in verdict.summary]
    for gate in others[:_MOST_TOLD]:
        typer.echo(f"  {gate.name}: {gate.finding}; {gate.remedy}")
    if len(others) > _MOST_TOLD:
        typer.echo(f"  and {len(others) - _MOST_TOLD} more in the report")
    typer.echo(f"report: {printable(str(outcome.result.folder / 'report.html'))}")


class _Interrupted(BaseException):
    """Ctrl-C. Not a KeyboardInterrupt, which typer would turn into a silent exit."""


def main() -> None:
    """Entry point: every expected failure becomes one line on stderr and its exit code."""
    open_console()
    signal.signal(signal.SIGINT, _interrupt)
    try:
        app()
    except PipelineError as error:
        _fail(str(error), EXIT_BAD_INPUT)
    except _Interrupted:
        _fail("interrupted; run the same command again to resume", EXIT_INTERRUPTED)
    except OSError as error:
        if error.errno not in _MENDABLE:
            raise
        _fail(f"{error.filename or 'output'}: {error.strerror}; free space or choose another folder", EXIT_BAD_INPUT)


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    raise _Interrupted


def _fail(message: str, code: int) -> None:
    sys.stderr.write(f"\nerror: {printable(message)}\n")
    sys.exit(code)
