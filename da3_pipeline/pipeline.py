"""The stages in order, each resumed where an earlier run of the same session finished it."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel

from .config import PipelineConfig
from .errors import ExportError
from .files.fingerprint import fingerprint
from .infer.config import AUTO
from .metering import Meter
from .progress import Progress, SilentProgress
from .storage.store import Session, disk_is_full, file_stamps, sources_fingerprint
from .types import Capture, Dropped, ExportResult, Frame, FrameSet, Prediction, Scene, StageRecord
from .versions import STAGE_VERSIONS

__all__ = ["Outcome", "advance", "is_intact", "reconstruct", "run"]

Artefact = TypeVar("Artefact")
Source: TypeAlias = str | Path


@dataclass(frozen=True)
class Outcome:
    """What a run came to. `stages` holds the cost of each stage in order; `reused` ones come from an earlier run.

    others: what the other places of the capture came to, where they were asked for (`split`).
    """

    scene: Scene
    result: ExportResult
    stages: tuple[StageRecord, ...]
    dropped: tuple[Dropped, ...]
    others: tuple[Outcome, ...] = ()

    @property
    def passed(self) -> bool:
        return self.scene.verdict.passed

    def __repr__(self) -> str:
        others = f", {len(self.others)} other places" if self.others else ""
        return f"Outcome({self.scene!r}, {self.result.images} images in {self.result.folder}{others})"


def run(
    sources: Source | Sequence[Source],
    output: Source,
    config: PipelineConfig | None = None,
    progress: Progress | None = None,
    *,
    overwrite: bool = False,
    split: bool = False,
    verify: bool = False,
) -> Outcome:
    """From photographs and videos to a data set in `output`; the same call again resumes, or returns at once.

    What was lost or changed since, of outputs or of what stages keep, is made again; with `verify` all of it is read
    to find that out, else only what differs in size or time.

    sources: one path or several, as text or as Path.
    Raises a PipelineError where nothing usable is left. A scene below its quality gates is exported and returned
    all the same, with `passed` False. With `split` other places of the capture get folders beside `output`.
    """
    config = config or PipelineConfig()
    progress = progress or SilentProgress()
    with Session.open(Path(output), overwrite=overwrite, thorough=verify) as session:
        stages = _Stages(session, progress)
        refined, dropped, config = _refined(stages, _paths(sources), config)
        places = _other_places(stages, refined, config) if split else ()
        refined, apart = _without(stages, refined, places, config)
        outcome = _finished(stages, refined, (*dropped, *apart), config)
        others = []
        for place in places:
            with Session.open(place.folder, overwrite=overwrite, thorough=verify) as beside:
                started = _Stages(beside, progress, [place.record], place.key)
                others.append(_finished(started, place.scene, (), _of_other_place(config)))
    return replace(outcome, others=tuple(others))


def advance(
    sources: Source | Sequence[Source],
    output: Source,
    config: PipelineConfig | None = None,
    progress: Progress | None = None,
    *,
    through: Literal["select", "infer"],
    overwrite: bool = False,
    verify: bool = False,
) -> None:
    """The first stages of a `run`, up to `through` and the masks that belong to it; a later run finds them finished.

    For machines of several kinds that share a session: the network wants a GPU, what comes before and after does not.
    """
    config = config or PipelineConfig()
    with Session.open(Path(output), overwrite=overwrite, thorough=verify) as session:
        stages = _Stages(session, progress or SilentProgress())
        frames, _ = _chosen(stages, _paths(sources), config)
        if through == "infer":
            _predicted(stages, frames, config)


def reconstruct(
    source: Source | Sequence[Source], config: PipelineConfig | None = None, progress: Progress | None = None
) -> Scene:
    """Cameras, tracks and verdict of a capture, without a data set; stills of videos live until the call returns.

    source: a folder, a photograph, a video, or several of them, as text or as Path. In a notebook `scene` alone shows
    what came of it; docs/USAGE.md has an example.
    """
    sources = _paths(source)
    with tempfile.TemporaryDirectory(prefix="da3-pipeline-") as folder, Session.open(Path(folder)) as session:
        stages = _Stages(session, progress or SilentProgress())
        refined, _, config = _refined(stages, sources, config or PipelineConfig())
        return _georegistered(stages, refined, config)


def is_intact(output: Path, *, verify: bool = False) -> bool:
    """Whether the data set and the report of a finished session are what they were; `verify` reads all of them."""
    from .export.staging import damaged_outputs

    return damaged_outputs(output, thorough=verify) == [] and Session(output, thorough=verify).report_is_whole()


def _paths(sources: Source | Sequence[Source]) -> list[Path]:
    return [Path(one) for one in ([sources] if isinstance(sources, (str, Path)) else sources)]


def _refined(
    stages: _Stages, sources: Sequence[Path], config: PipelineConfig
) -> tuple[Scene, tuple[Dropped, ...], PipelineConfig]:
    """The stages up to the refinement, and the configuration with the network in it that `auto` became."""
    frames, left_out = _chosen(stages, sources, config)
    prediction, config = _predicted(stages, frames, config)

    def refine() -> Scene:
        from . import refine

        return refine.run(prediction, config.refine, stages.progress)

    refined = stages.once("refine", refine, config.refine, _describe_scene)
    return refined, (*left_out, *prediction.dropped), config


def _chosen(stages: _Stages, sources: Sequence[Path], config: PipelineConfig) -> tuple[FrameSet, tuple[Dropped, ...]]:
    """The stages up to the frames that are worked on, and what was left out on the way.

    A stage is imported when it runs: finding a finished one needs no torch.
    """
    from .ingest.archives import unpacked

    session, progress = stages.session, stages.progress
    sources = unpacked([source.absolute() for source in sources], session.unpacked, config.ingest.archives, progress)
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

    capture = stages.once("ingest", ingest, config.ingest, _describe_capture)
    stages.photos = capture.photos
    frames = chosen = stages.once("select", select, config.select, _describe_frames, made=_stills(session))
    if config.mask.people or config.mask.still or any(frame.mask is not None for frame in chosen.frames):
        describe = partial(_describe_masks, len(chosen.dropped))
        frames = stages.once("mask", mask, config.mask, describe, made=_masks(session))
    return frames, (*capture.dropped, *frames.dropped)


def _predicted(stages: _Stages, frames: FrameSet, config: PipelineConfig) -> tuple[Prediction, PipelineConfig]:
    """What the network says of the frames, and the configuration as `_refined` returns it."""
    config = _with_network(stages, config)

    def infer() -> Prediction:
        from . import infer

        return infer.run(frames, config.infer, stages.progress, stages.session.chunks)

    prediction = stages.once("infer", infer, config.infer, _describe_prediction)
    if not stages.records[-1].reused:
        from .infer import discard_chunks

        discard_chunks(stages.session.chunks)
    return prediction, config


def _with_network(stages: _Stages, config: PipelineConfig) -> PipelineConfig:
    """With a network in place of `auto`: that of an earlier run of this session, whatever could be had by now.

    The name is part of the stage's fingerprint, so what is done stays done, and no resume changes networks.
    """
    session, infer = stages.session, config.infer
    if infer.model == AUTO and session.network is not None and infer.predictions is None:
        infer = infer.model_copy(update={"model": session.network})
    elif infer.model == AUTO:
        from .infer.automatic import with_network

        infer = with_network(infer, stages.progress)
    if infer.predictions is None:
        session.remember_network(infer.model)
    return config.model_copy(update={"infer": infer})


def _georegistered(stages: _Stages, refined: Scene, config: PipelineConfig) -> Scene:
    def georegister() -> Scene:
        from . import georegister

        return georegister.run(refined, config.georegister, stages.progress)

    return stages.once("georegister", georegister, config.georegister, _describe_georegistration)


def _finished(stages: _Stages, refined: Scene, dropped: Sequence[Dropped], config: PipelineConfig) -> Outcome:
    """The stages after the refinement, and the report."""
    scene, session = _georegistered(stages, refined, config), stages.session

    def export() -> ExportResult:
        from . import export

        return export.run(scene, config.export, stages.progress, session.output)

    result = stages.once("export", export, config.export, _describe_export, usable=partial(_is_exported, session))
    dropped = (*dropped, *scene.dropped, *result.dropped)
    if not stages.records[-1].reused or not session.report_is_whole(stages.key):
        from .export import write_report

        told, settings = config.model_dump(mode="json"), config.export.report
        written = write_report(session.output, scene, result, stages.records, told, dropped, settings, stages.photos)
        session.remember_report(stages.key, written)
    return Outcome(scene, result, tuple(stages.records), dropped)


@dataclass(frozen=True)
class _OtherPlace:
    """The scene of another place in the capture, refined by itself, and the folder that its data set gets."""

    folder: Path
    scene: Scene
    record: StageRecord
    key: str


def _other_places(stages: _Stages, refined: Scene, config: PipelineConfig) -> tuple[_OtherPlace, ...]:
    """The groups of frames left out that hold together when they are refined by themselves."""
    output, places = stages.session.output, []
    for number, names in enumerate(refined.other_places, 2):
        scene = _refined_alone(stages, refined, names, config, f"refine-{number}")
        if sum(source == "refined" for source in scene.pose_source) >= config.refine.quality.place_from:
            folder = output.with_name(f"{output.name}_{number}")
            places.append(_OtherPlace(folder, scene, stages.records[-1], stages.key))
    return tuple(places)


def _without(
    stages: _Stages, refined: Scene, places: Sequence[_OtherPlace], config: PipelineConfig
) -> tuple[Scene, tuple[Dropped, ...]]:
    """The scene without the frames of places that pass the gates by themselves, and these frames.

    It is refined once more, on its own frames, since the gates ask about all of them. Places that do not pass prove
    nothing: their frames count against this one as before.
    """
    proven = {frame.name: place for place in places if place.scene.verdict.passed for frame in place.scene.frames}
    if not proven:
        return refined, ()
    names = [frame.name for frame in refined.frames if frame.name not in proven]
    alone = _refined_alone(stages, refined, names, config, "refine-1")
    return alone, tuple(Dropped(name, f"another place, in {place.folder.name}") for name, place in proven.items())


def _refined_alone(
    stages: _Stages, refined: Scene, names: Sequence[str], config: PipelineConfig, kept_as: str
) -> Scene:
    def refine() -> Scene:
        from . import refine

        alone = refine.restricted(refined.prediction, frozenset(names))
        return refine.run(alone, config.refine, stages.progress)

    return stages.once("refine", refine, config.refine, _describe_scene, kept_as=kept_as)


def _of_other_place(config: PipelineConfig) -> PipelineConfig:
    """Lengths were measured in the first place."""
    metric = "auto" if config.georegister.metric == "distance" else config.georegister.metric
    georegister = config.georegister.model_copy(update={"distance": (), "metric": metric})
    return config.model_copy(update={"georegister": georegister})


class _Stages:
    """Runs stages, or finds them finished; `key` is the fingerprint of everything done so far. photos: of the capture,
    once it is known, for the report."""

    def __init__(
        self, session: Session, progress: Progress, records: Sequence[StageRecord] = (), key: str = ""
    ) -> None:
        self.session = session
        self.progress = progress
        self.records = list(records)
        self.key = key
        self.photos: tuple[Frame, ...] = ()

    def once(
        self,
        name: str,
        compute: Callable[[], Artefact],
        config: BaseModel,
        describe: Callable[[Artefact], str],
        usable: Callable[[Artefact], bool] = lambda artefact: True,
        made: Callable[[Artefact], Iterable[Path]] = lambda artefact: (),
        kept_as: str = "",
    ) -> Artefact:
        """made: files that it wrote into the session, beside what it returns. kept_as: under what name, where the stage
        runs more than once, each time on what follows from the last."""
        settings = config.model_dump(mode="json")
        self.key = fingerprint(kept_as or name, STAGE_VERSIONS[name], settings, file_stamps(settings), self.key)
        name = kept_as or name
        self.progress.begin(name)
        found = self.session.load(name, self.key)
        if found is not None and usable(found[0]):
            self.records.append(found[1])
            self.progress.end(f"{describe(found[0])}, from an earlier run")
            return found[0]
        meter = Meter()
        try:
            artefact = compute()
        except OSError as error:
            if disk_is_full(error):
                raise ExportError(self.session.told_of_disk(name, error)) from error
            raise
        record = StageRecord(name, meter.seconds, meter.peak_memory_mb, False, meter.cpu_seconds)
        self.session.save(name, self.key, artefact, record, made(artefact))
        self.records.append(record)
        self.progress.end(describe(artefact))
        return artefact


def _stills(session: Session) -> Callable[[FrameSet], list[Path]]:
    return lambda frames: [frame.path for frame in frames.frames if session.stills in frame.path.parents]


def _masks(session: Session) -> Callable[[FrameSet], list[Path]]:
    masks = session.masks
    return lambda frames: [one.mask for one in frames.frames if one.mask is not None and masks in one.mask.parents]


def _is_exported(session: Session, result: ExportResult) -> bool:
    from .export.staging import damaged_outputs

    return damaged_outputs(result.folder, thorough=session.thorough) == []


def _left_out(dropped: Sequence[Any]) -> str:
    return f", {len(dropped)} left out" if dropped else ""


def _describe_capture(capture: Capture) -> str:
    parts = [f"{len(capture.photos)} photographs"] if capture.photos else []
    around = Counter(photo.pixels[-1] for photo in capture.photos if photo.panorama is not None)
    parts += [f"{count} of them {seen}" for seen, count in around.items()]
    for clip in capture.videos:
        pixels = f" ({'; '.join(clip.pixels)})" if clip.pixels else ""
        parts.append(f"{clip.name}: {len(clip.times_s)} video frames{pixels}")
    return "; ".join([", ".join(parts) + _left_out(capture.dropped), *capture.told])


def _describe_frames(frames: FrameSet) -> str:
    spare = sum(not frame.training for frame in frames.frames)
    alone = f", {spare} of them for the poses only" if spare else ""
    return f"{len(frames)} frames chosen{alone}{_left_out(frames.dropped)}"


def _describe_masks(earlier: int, frames: FrameSet) -> str:
    masked = sum(frame.mask is not None for frame in frames.frames)
    if not masked and len(frames.dropped) == earlier:
        return "nothing to mask"
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
