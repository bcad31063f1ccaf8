"""From options to settings: where each value goes, and which wins where a preset has another."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

__all__ = ["settings_of"]

_PATHS: dict[str, str] = {
    "panorama": "ingest.panorama",
    "dual_fisheye": "ingest.dual_fisheye",
    "intrinsics": "ingest.intrinsics",
    "poses": "ingest.poses",
    "rig": "ingest.rig",
    "max_frames": "select.max_frames",
    "fps": "select.fps",
    "every": "select.every",
    "from_": "select.start_s",
    "to": "select.end_s",
    "mask_people": "mask.people",
    "mask_still": "mask.still",
    "model": "infer.model",
    "predictions": "infer.predictions",
    "gaussians": "infer.gaussians",
    "metric_model": "infer.metric_model",
    "matcher": "refine.matcher",
    "seed": "refine.seed",
    "metric": "georegister.metric",
    "keep_unverified": "export.keep_unverified",
    "undistort": "export.undistort",
    "equirectangular": "export.equirectangular",
    "depths": "export.depths",
}
"""Options that are a setting as they are."""


def settings_of(options: Mapping[str, Any], given: Collection[str]) -> dict[str, Any]:
    """A PipelineConfig's settings, nested, from the values of all options by name.

    given: which of them the user gave. Defaults yield to the preset that `options` names, and that to what was given.
    Raises UsageError where there is no such preset, or where an option is no value of its setting.
    """
    from ..presets import load_preset, nested

    values = {path: value for name in options if name not in given for path, value in _of(name, options[name])}
    if options["preset"] is not None:
        values |= load_preset(options["preset"]).settings
    values |= {path: value for name in options if name in given for path, value in _of(name, options[name])}
    return nested(values)


def _of(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What an option sets: paths and values."""
    if name in _PATHS:
        yield _PATHS[name], value
    elif name != "preset":
        yield from _CONVERTED[name](value)


def _masks(given: Path | None) -> Iterator[tuple[str, Any]]:
    """`none` refuses those that lie beside the photographs, unless there is a file of that name."""
    none = given == Path("none") and not given.exists()
    yield "ingest.masks", None if none else given
    if none:
        yield "ingest.masks_beside", False


def _poses_as(value: str) -> Iterator[tuple[str, Any]]:
    yield "ingest.project_poses", "fixed" if value == "fixed" else "prior"
    yield "refine.solve.poses_as", value


def _device(value: str) -> Iterator[tuple[str, Any]]:
    yield from ((f"{stage}.device", value) for stage in ("mask", "infer", "refine"))


def _downscale(value: str | None) -> Iterator[tuple[str, Any]]:
    """Whole numbers from 2,4,8."""
    from ..errors import UsageError

    try:
        yield "export.downscale", [int(part) for part in value.split(",")] if value else []
    except ValueError as error:
        raise UsageError(f"--downscale {value}: give whole numbers with commas between them, as 2,4,8") from error


_CONVERTED: dict[str, Callable[[Any], Iterator[tuple[str, Any]]]] = {
    "masks": _masks,
    "no_project": lambda value: iter([("ingest.project", not value)]),
    "poses_as": _poses_as,
    "device": _device,
    "no_refine": lambda value: iter([("refine.refine", not value)]),
    "distance": lambda value: iter([("georegister.distance", value or [])]),
    "downscale": _downscale,
}
