"""The stages in order, each resumed where an earlier run of the same session finished it."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from .config import PipelineConfig
from .fingerprint import fingerprint
from .metering import Meter
from .progress import Progress, SilentProgress
from .store import Session, file_stamps, sources_fingerprint
from .types import Capture, Dropped, ExportResult, FrameSet, Prediction, Scene, StageRecord
from .versions import STAGE_VERSIONS

__all__ = ["Outcome", "reconstruct", "run"]

Artefact = TypeVar("Artefact")


@dataclass(frozen=True)
class Outcome:
    """What a run came to. `stages` holds the cost of each stage in order; `reused` ones come from an earlier run."""

    scene: Scene
    result: ExportResult
    stages: tuple[StageRecord, ...]
    dropped: tuple[Dropped, ...]

    @property
    def passed(self) -> bool:
        return self.scene.verdict.passed


def run(
    sources: Sequence[Path],
    output: Path,
    config: PipelineConfig | None = None,
    progress: Progress | None = None,
    *,
    overwrite: bool = False,
) -> Outcome:
    """From photographs and videos to a data set in `output`; the same call again resumes, or returns at once.

    Raises a PipelineError where nothing usable is left. A scene below its quality gates is exported and returned
    all the same, with `passed` False.
    """
    config = config or PipelineConfig()
    with Session.open(output, overwrite=overwrite) as session:
        stages = _Stages(session, progress or SilentProgress())
        scene, dropped = _solve(stages, sources, config)

        def export() -> ExportResult:
            from . import export

            return export.run(scene, config.export, stages.progress, session.output)

        result = stages.once("export", export, config.export, _describe_export, usable=_is_exported)
        dropped = (*dropped, *result.dropped)
        if not stages.records[-1].reused:
            from .export import write_report

            told, settings = config.model_dump(mode="json"), config.export.report
            write_report(session.output, scene, result, stages.records, told, dropped, settings)
    return Outcome(scene, result, tuple(stages.records), dropped)


def reconstruct(
    source: Path | Sequence[Path], config: PipelineConfig | None = None, progress: Progress | None = None
) -> Scene:
    """Cameras, tracks and verdict of a capture, without a data set; stills of videos live until the call returns."""
    sources = [source] if isinstance(source, Path) else list(source)
    with tempfile.TemporaryDirectory(prefix="da3-pipeline-") as folder, Session.open(Path(folder)) as session:
        scene, _ = _solve(_Stages(session, progress or SilentProgress()), sources, config or PipelineConfig())
    return scene


def _solve(stages: _Stages, sources: Sequence[Path], config: PipelineConfig) -> tuple[Scene, tuple[Dropped, ...]]:
    """The stages before export. One is imported when it runs: finding a finished one needs no torch."""
    session, progress = stages.session, stages.progress
    sources = [source.absolute() for source in sources]
    masks = [config.ingest.masks.absolute()] if config.ingest.masks else []
    stages.key = sources_fingerprint([*sources, *masks], exclude=session.output)

    def ingest() -> Capture:
        from . import ingest

        return ingest.run(sources, config.ingest, progress, exclude=session.output)

    def select() -> FrameSet:
        from . import select

        return select.run(capture, config.select, progress, session.stills)

    def mask() -> FrameSet:
        from . import mask

        return mask.run(chosen, config.mask, progress, session.masks)

    def infer() -> Prediction:
        from . import infer

        return infer.run(frames, config.infer, progress, session.chunks)

    def refine() -> Scene:
        from . import refine

        return refine.run(prediction, config.refine, progress)

    def georegister() -> Scene:
        from . import georegister

        return georegister.run(refined, config.georegister, progress)

    capture = stages.once("ingest", ingest, config.ingest, _describe_capture)
    frames = chosen = stages.once("select", select, config.select, _describe_frames, usable=_stills_exist)
    if config.mask.people or masks:
        describe = partial(_describe_masks, len(chosen.dropped))
        frames = stages.once("mask", mask, config.mask, describe, usable=_masks_exist)
    prediction = stages.once("infer", infer, config.infer, _describe_prediction)
    if not stages.records[-1].reused:
        from .infer import discard_chunks

        discard_chunks(session.chunks)
    refined = stages.once("refine", refine, config.refine, _describe_scene)
    scene = stages.once("georegister", georegister, config.georegister, _describe_georegistration)
    return scene, (*capture.dropped, *frames.dropped, *prediction.dropped, *scene.dropped)


class _Stages:
    """Runs stages, or finds them finished; `key` is the fingerprint of everything done so far."""

    def __init__(self, session: Session, progress: Progress) -> None:
        self.session = session
        self.progress = progress
        self.records: list[StageRecord] = []
        self.key = ""

    def once(
        self,
        name: str,
        compute: Callable[[], Artefact],
        config: BaseModel,
        describe: Callable[[Artefact], str],
        usable: Callable[[Artefact], bool] = lambda artefact: True,
    ) -> Artefact:
        settings = config.model_dump(mode="json")
        self.key = fingerprint(name, STAGE_VERSIONS[name], settings, file_stamps(settings), self.key)
        self.progress.begin(name)
        found = self.session.load(name, self.key)
        if found is not None and usable(found[0]):
            self.records.append(found[1])
            self.progress.end(f"{describe(found[0])}, from an earlier run")
            return found[0]
        meter = Meter()
        artefact = compute()
        record = StageRecord(name, meter.seconds, meter.peak_memory_mb, reused=False)
        self.session.save(name, self.key, artefact, record)
        self.records.append(record)
        self.progress.end(describe(artefact))
        return artefact


def _stills_exist(frames: FrameSet) -> bool:
    return all(frame.path.exists() for frame in frames.frames)


def _masks_exist(frames: FrameSet) -> bool:
    return all(frame.mask.exists() for frame in frames.frames if frame.mask is not None)


def _is_exported(result: ExportResult) -> bool:
    return (result.folder / "transforms.json").exists() and (result.folder / "report.json").exists()


def _left_out(dropped: Sequence[Any]) -> str:
    return f", {len(dropped)} left out" if dropped else ""


def _describe_capture(capture: Capture) -> str:
    parts = [f"{len(capture.photos)} photographs"] if capture.photos else []
    for clip in capture.videos:
        pixels = f" ({'; '.join(clip.pixels)})" if clip.pixels else ""
        parts.append(f"{clip.name}: {len(clip.times_s)} video frames{pixels}")
    return ", ".join(parts) + _left_out(capture.dropped)


def _describe_frames(frames: FrameSet) -> str:
    spare = sum(not frame.training for frame in frames.frames)
    alone = f", {spare} of them for the poses only" if spare else ""
    return f"{len(frames)} frames chosen{alone}{_left_out(frames.dropped)}"


def _describe_masks(earlier: int, frames: FrameSet) -> str:
    masked = sum(frame.mask is not None for frame in frames.frames)
    return f"{masked} of {len(frames)} frames masked{_left_out(frames.dropped[earlier:])}"


def _describe_prediction(prediction: Prediction) -> str:
    return f"{len(prediction.frames)} frames posed by {prediction.source}{_left_out(prediction.dropped)}"


def _describe_scene(scene: Scene) -> str:
    refined = sum(source == "refined" for source in scene.pose_source)
    return f"{refined} of {len(scene.frames)} frames refined on {len(scene.tracks)} tracks"


def _describe_georegistration(scene: Scene) -> str:
    metric, up = scene.metric, f"z up by {scene.up_source}" if scene.up_source else "axes as they were"
    if metric is None:
        return f"no scale known, {up}"
    sigma = f" +-{100 * metric.relative_sigma:.1f} %" if math.isfinite(metric.relative_sigma) else ""
    return f"1 unit = {metric.metres_per_unit:.4g} m{sigma} by {metric.source}, {up}"


def _describe_export(result: ExportResult) -> str:
    return f"{result.images} images, {result.seed_points} seed points in {result.folder}"
