"""Options that several commands share, and the configuration that options become."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..config import PipelineConfig

__all__ = [
    "AsJson",
    "Device",
    "ExecutorName",
    "Jobs",
    "Log",
    "Matcher",
    "Model",
    "Output",
    "Overwrite",
    "Quiet",
    "RayAddress",
    "Retries",
    "Seed",
    "Split",
    "TimeLimit",
    "Verify",
    "capture_options",
    "configuration",
]

_INPUT, _CAMERAS, _NETWORK, _REFINEMENT, _WORLD, _RESULT = (
    "What goes in",
    "Known cameras",
    "Network",
    "Refinement",
    "Metres",
    "What comes out",
)


def _seconds(text: str) -> float:
    """Seconds from seconds, mm:ss or hh:mm:ss, each with a fraction or without."""
    *larger, last = str(text).split(":")  # typer hands over the default, too
    try:
        parts = [*map(int, larger), float(last)]
    except ValueError:
        parts = []
    if not 1 <= len(parts) <= 3 or not all(0 <= part < math.inf for part in parts):
        raise typer.BadParameter(f"{text!r} is no time; give seconds, mm:ss or hh:mm:ss")
    return float(sum(part * 60**power for power, part in enumerate(reversed(parts))))


def _one_of(*names: str) -> Callable[[str], list[str]]:
    """What the shell completes a value with."""

    def beginning_with(incomplete: str) -> list[str]:
        return [name for name in names if name.startswith(incomplete)]

    return beginning_with


def _presets(incomplete: str) -> list[str]:
    from ..presets import preset_names

    return [name for name in preset_names() if name.startswith(incomplete)]


Output = Annotated[Path, typer.Option("--output", "-o", help="Session folder; the same command again resumes it.")]
Model = Annotated[
    str,
    typer.Option(
        help="auto (the best that can be had), a name of `da3-pipeline models`, a .safetensors file or folder.",
        rich_help_panel=_NETWORK,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        help="auto, cpu, cuda or cuda:N.", autocompletion=_one_of("auto", "cpu", "cuda"), rich_help_panel=_NETWORK
    ),
]
Matcher = Annotated[
    str,
    typer.Option(
        help="Of keypoints: auto, sift, aliked, disk or xfeat.",
        autocompletion=_one_of("auto", "sift", "aliked", "disk", "xfeat"),
        rich_help_panel=_REFINEMENT,
    ),
]
Seed = Annotated[int, typer.Option(help="Equal seeds give equal poses.", rich_help_panel=_REFINEMENT)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the verdict as JSON on stdout.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Forget finished stages of the session.")]
Verify = Annotated[
    bool,
    typer.Option(
        "--verify",
        help="Read all of a finished session and make again what is not what it was. Without it, files whose size and "
        "time are as they were are believed.",
    ),
]
Split = Annotated[
    bool,
    typer.Option(
        "--split",
        help="Another place in the capture gets a data set of its own, in OUTPUT_2.",
        rich_help_panel=_RESULT,
    ),
]
Log = Annotated[
    Path | None,
    typer.Option(
        "--log",
        envvar="DA3_PIPELINE_LOG",
        metavar="FILE",
        help="Append a line of JSON for each event: docs/OPERATIONS.md.",
    ),
]
ExecutorName = Annotated[
    str,
    typer.Option(
        "--executor",
        metavar="NAME",
        help="Where captures run: local, or ray (extra ray).",
        autocompletion=_one_of("local", "ray"),
    ),
]
Jobs = Annotated[int, typer.Option(min=1, help="Captures processed at once, on each machine.")]
RayAddress = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Of a cluster: auto on a machine of it, or HOST:PORT. Default: this machine."),
]
Retries = Annotated[int, typer.Option(min=0, help="More tries for what may pass: memory, far file systems.")]
TimeLimit = Annotated[
    float | None, typer.Option(min=0.1, metavar="MINUTES", help="That a capture may take before it is ended.")
]


def configuration(settings: dict[str, dict[str, Any]]) -> PipelineConfig:
    """The options as a validated configuration. Raises UsageError naming the option that is wrong."""
    from pydantic import ValidationError

    from ..config import PipelineConfig
    from ..errors import UsageError

    try:
        return PipelineConfig.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{where}: {first['msg']}") from error


def capture_options(
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Settings for one kind of capture, docs/PRESETS.md; options beside it win.",
            autocompletion=_presets,
            rich_help_panel=_INPUT,
        ),
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(
            help="What to ignore: a mask for every frame or a folder of them; black is ignored. Or none.",
            rich_help_panel=_INPUT,
        ),
    ] = None,
    panorama: Annotated[
        str,
        typer.Option(
            help="Whether pictures show all around, equirectangular: auto (found out), yes or no.",
            autocompletion=_one_of("auto", "yes", "no"),
            rich_help_panel=_INPUT,
        ),
    ] = "auto",
    dual_fisheye: Annotated[
        Path | None,
        typer.Option(
            help="Where two fisheye lenses draw in one picture: a JSON file, docs/CAPTURE.md.", rich_help_panel=_INPUT
        ),
    ] = None,
    mask_people: Annotated[
        bool, typer.Option("--mask-people", help="Find people and ignore them.", rich_help_panel=_INPUT)
    ] = False,
    mask_still: Annotated[
        bool,
        typer.Option(
            "--mask-still/--no-mask-still",
            help="Ignore what stands still in all pictures: the room behind a turntable, a car's hood.",
            rich_help_panel=_INPUT,
        ),
    ] = True,
    max_frames: Annotated[
        int, typer.Option(min=2, help="Budget of frames taken from videos.", rich_help_panel=_INPUT)
    ] = 300,
    fps: Annotated[
        float | None,
        typer.Option(
            help="Take so many frames a second from videos, whatever they show and how many.", rich_help_panel=_INPUT
        ),
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Take every so many frames of videos, whatever they show and how many.",
            rich_help_panel=_INPUT,
        ),
    ] = None,
    from_: Annotated[
        float,
        typer.Option(
            "--from",
            parser=_seconds,
            metavar="TIME",
            help="Where to begin in videos: s, mm:ss, hh:mm:ss.",
            rich_help_panel=_INPUT,
        ),
    ] = 0.0,
    to: Annotated[
        float | None,
        typer.Option(
            "--to",
            parser=_seconds,
            metavar="TIME",
            help="Where to end in videos, likewise.",
            rich_help_panel=_INPUT,
        ),
    ] = None,
    model: Model = "auto",
    predictions: Annotated[
        Path | None,
        typer.Option(help="Depth and cameras from an .npz instead of a network.", rich_help_panel=_NETWORK),
    ] = None,
    intrinsics: Annotated[
        Path | None,
        typer.Option(help="Known cameras: transforms.json or a COLMAP model folder.", rich_help_panel=_CAMERAS),
    ] = None,
    poses: Annotated[
        Path | None,
        typer.Option(help="Known poses: transforms.json or a COLMAP model folder.", rich_help_panel=_CAMERAS),
    ] = None,
    poses_as: Annotated[
        str,
        typer.Option(
            help="Known poses are 'fixed' or a 'prior'; auto: fixed by --poses, priors by a project.",
            autocompletion=_one_of("auto", "fixed", "prior"),
            rich_help_panel=_CAMERAS,
        ),
    ] = "auto",
    no_project: Annotated[
        bool,
        typer.Option(
            "--no-project",
            help="Ignore what other programs' projects in a source know.",
            rich_help_panel=_CAMERAS,
        ),
    ] = False,
    rig: Annotated[
        Path | None,
        typer.Option(help="Cameras that are bolted together: COLMAP's rig_config.json.", rich_help_panel=_CAMERAS),
    ] = None,
    keep_unverified: Annotated[
        bool,
        typer.Option(
            "--keep-unverified", help="Export frames, too, whose pose nothing verified.", rich_help_panel=_RESULT
        ),
    ] = False,
    undistort: Annotated[
        bool,
        typer.Option(
            "--undistort", help="Write images, masks and depth maps of pinhole cameras.", rich_help_panel=_RESULT
        ),
    ] = False,
    equirectangular: Annotated[
        bool,
        typer.Option(
            "--equirectangular",
            help="Also write panoramas with their poses, as nerfstudio reads them.",
            rich_help_panel=_RESULT,
        ),
    ] = False,
    depths: Annotated[bool, typer.Option("--depths", help="Write depth maps, too.", rich_help_panel=_RESULT)] = False,
    downscale: Annotated[
        str | None,
        typer.Option(
            metavar="N,N",
            help="Also write copies reduced by these factors, for trainers: 2,4,8 gives images_2, ...",
            rich_help_panel=_RESULT,
        ),
    ] = None,
    gaussians: Annotated[
        bool,
        typer.Option(
            "--gaussians",
            help="Also write Gaussians: gaussians.ply, .spz, a film (giant, nested).",
            rich_help_panel=_RESULT,
        ),
    ] = False,
    metric_model: Annotated[
        str | None,
        typer.Option(
            help="A metric network beside the model, for metres and sky: da3metric-large.", rich_help_panel=_WORLD
        ),
    ] = None,
    metric: Annotated[
        str,
        typer.Option(
            help="Where metres come from: auto, distance, sensor, gps, poses, network or none.",
            autocompletion=_one_of("auto", "distance", "sensor", "gps", "poses", "network", "none"),
            rich_help_panel=_WORLD,
        ),
    ] = "auto",
    distance: Annotated[
        list[str] | None,
        typer.Option(
            help="A measured length in metres: 'A.jpg,B.jpg=2.5' or 'A.jpg@812,604:A.jpg@1220,610=1.25'.",
            rich_help_panel=_WORLD,
        ),
    ] = None,
    matcher: Matcher = "auto",
    device: Device = "auto",
    seed: Seed = 0,
    no_refine: Annotated[
        bool, typer.Option("--no-refine", help="Keep the prior's poses.", rich_help_panel=_REFINEMENT)
    ] = False,
) -> None:
    """What every command that processes captures can be told: the one place where it stands. `configured` reads it and
    never calls it; `settings_of` says where each value goes."""
