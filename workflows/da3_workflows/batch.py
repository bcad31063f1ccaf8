"""Every capture of a folder in turn, each on its own; a second run does only what is missing."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from da3_pipeline.errors import ExportError, UsageError
from da3_pipeline.fingerprint import fingerprint
from da3_pipeline.pipeline import is_intact
from da3_pipeline.progress import Progress, SilentProgress
from da3_pipeline.store import file_stamps, sources_fingerprint
from da3_pipeline.types import Dropped
from da3_pipeline.versions import STAGE_VERSIONS

from .captures import CaptureSource, find_captures
from .executors import Executor, LocalExecutor, Report, Task
from .given_files import settings_of_capture
from .records import BatchSummary, CaptureRecord, read_records, write_records

if TYPE_CHECKING:
    from da3_pipeline.config import PipelineConfig

__all__ = ["run_batch"]

_RECORDS = "batch.json"
_LOGS = ".da3-batch"


def run_batch(
    captures: Path,
    output: Path,
    config: PipelineConfig,
    *,
    jobs: int = 1,
    progress: Progress | None = None,
    executor: Executor | None = None,
    split: bool = False,
    overwrite: bool = False,
    verify: bool = False,
) -> BatchSummary:
    """Process every capture of the folder `captures` into a session `output`/NAME, and say how each ended.

    A capture is a sub-folder with photographs or videos, or a video. One that was finished by an earlier batch, with
    the same files, settings and versions of the stages, is not done again; one that failed is. `output`/batch.json is
    brought up to date after each, so that an interruption (KeyboardInterrupt passes through) loses nothing; logs lie
    in `output`/.da3-batch. `jobs` captures run at once on this machine, or elsewhere by an `executor`. `split`,
    `overwrite` and `verify` are those of `da3_pipeline.run`; with `overwrite` nothing counts as finished. Files that
    `config` names may be each capture's own (`settings_of_capture`).

    Raises CaptureError where there is no capture, UsageError and ExportError where `output` cannot serve.
    """
    captures, output = captures.absolute(), output.absolute()
    if captures.resolve() == output.resolve():
        raise UsageError(f"{output}: --output must be another folder than that of the captures")
    sources, left_out = find_captures(captures, exclude=output)
    _prepare(output)
    common = config.model_dump(mode="json")
    settings = {source.name: settings_of_capture(common, source.name) for source in sources}
    keys = {source.name: _key(source, output / source.name, settings[source.name], split) for source in sources}
    records = _Records(output / _RECORDS, [source.name for source in sources], left_out)
    if not overwrite:
        records.keep_finished(keys, output, verify)
    flags = {"split": split, "overwrite": overwrite, "verify": verify}
    tasks = [_task(source, output, settings[source.name], flags) for source in sources if source.name not in records]
    runner = executor or LocalExecutor(jobs)
    with closing(runner.run(tasks, progress or SilentProgress())) as reports:
        for report in reports:
            records.add(_record(report, keys[report.task.name]))
    return records.summary()


class _Records:
    """The batch's records so far, kept on disk as they come."""

    def __init__(self, path: Path, names: Sequence[str], left_out: Sequence[Dropped]) -> None:
        self._path = path
        self._names = names
        self._left_out = tuple(left_out)
        self._records: dict[str, CaptureRecord] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._records

    def keep_finished(self, keys: dict[str, str], output: Path, verify: bool) -> None:
        """Take over what an earlier batch finished from the same sources with the same settings, and is what it was."""
        for name, record in read_records(self._path).items():
            known = record.finished and record.key == keys.get(name)
            if known and is_intact(output / name, verify=verify):
                self._records[name] = replace(record, reused=True)

    def add(self, record: CaptureRecord) -> None:
        self._records[record.name] = record
        write_records(self._path, self.summary().records, self._left_out)

    def summary(self) -> BatchSummary:
        ordered = [self._records[name] for name in self._names if name in self._records]
        return BatchSummary(tuple(ordered), self._left_out)


def _prepare(output: Path) -> None:
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output}: is a file; --output must name a folder")
    try:
        (output / _LOGS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"{output}: cannot be written ({error.strerror}); choose another --output") from error


def _key(source: CaptureSource, output: Path, settings: dict[str, Any], split: bool) -> str:
    files = sources_fingerprint([source.path], exclude=output)
    return fingerprint(STAGE_VERSIONS, settings, file_stamps(settings), files, *(["split"] if split else []))


def _task(source: CaptureSource, output: Path, settings: dict[str, Any], flags: dict[str, bool]) -> Task:
    log = output / _LOGS / f"{source.name}.log"
    return Task(source.name, source.path, output / source.name, settings, log, flags)


def _record(report: Report, key: str) -> CaptureRecord:
    name, seconds = report.task.name, round(report.seconds, 1)
    if report.result is None:
        reason = f"its process {_ending(report.exit_status)}; see {report.task.log}"
        return CaptureRecord(name, "crashed", key, reason, seconds)
    record = CaptureRecord(name=name, key=key, seconds=seconds, **report.result)
    return replace(record, reason=f"{record.reason}; see {report.task.log}") if record.status == "crashed" else record


def _ending(exit_status: int) -> str:
    if exit_status == -signal.SIGKILL:
        return "was killed, most often for want of memory"
    if exit_status < 0:
        return f"ended by {signal.Signals(-exit_status).name}"
    return f"ended with status {exit_status} and no result"
