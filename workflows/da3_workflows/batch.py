"""Every capture of a folder in turn, each on its own; a second run does only what is missing."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
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
from .executors import LocalExecutor
from .given_files import settings_of_capture
from .names import session_name
from .records import BatchSummary, CaptureRecord, Journal, write_records
from .tasks import Executor, Report, Task

if TYPE_CHECKING:
    from da3_pipeline.config import PipelineConfig

__all__ = ["run_batch"]

_RECORDS = "batch.json"
_LOGS = ".da3-batch"
_JOURNAL = "records.jsonl"
_RESERVED = frozenset({_RECORDS, _LOGS, f".{_RECORDS}.new"})
_WRITE_EVERY_S = 1.0
_LONGEST_WAIT_S = 30.0


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
    retries: int = 1,
    limit_s: float | None = None,
) -> BatchSummary:
    """Process every capture of the folder `captures` into a session `output`/NAME, and say how each ended.

    A capture is a sub-folder with photographs or videos, or a video. One that was finished by an earlier batch, with
    the same files, settings and versions of the stages, is not done again; one that failed is. `output`/batch.json is
    brought up to date, so that an interruption (KeyboardInterrupt passes through) loses nothing; logs lie
    in `output`/.da3-batch. `jobs` captures run at once on this machine, or elsewhere by an `executor`. `split`,
    `overwrite` and `verify` are those of `da3_pipeline.run`; with `overwrite` nothing counts as finished. Files that
    `config` names may be each capture's own (`settings_of_capture`). What may be gone when it is tried again (memory,
    a file system far away) is tried `retries` times more, after all others; `limit_s` ends what takes longer.
    Several batches on one output share the captures among them.

    Raises CaptureError where there is no capture, UsageError and ExportError where `output` cannot serve.
    """
    captures, output = captures.absolute(), output.absolute()
    if captures.resolve() == output.resolve():
        raise UsageError(f"{output}: --output must be another folder than that of the captures")
    sources, left_out = find_captures(captures, exclude=output)
    _prepare(output)
    common = config.model_dump(mode="json")
    flags = {"split": split, "overwrite": overwrite, "verify": verify}
    jobs_of = {
        source.name: _Job.of(source, output, settings_of_capture(common, source.name), flags) for source in sources
    }
    records = _Records(output, jobs_of, left_out)
    if not overwrite:
        records.keep_finished(verify)
    runner = executor or LocalExecutor(jobs, limit_s=limit_s)
    tries = dict.fromkeys(jobs_of, 0)
    for round_ in count():
        left = [job for name, job in jobs_of.items() if name not in records]
        if not left:
            break
        time.sleep(min(_LONGEST_WAIT_S, 2.0 ** (round_ - 1)) if round_ else 0.0)
        if round_ and not overwrite:
            records.keep_finished(verify)  # what another batch has done meanwhile
            left = [job for job in left if job.task.name not in records]
        with closing(runner.run([job.task for job in left], progress or SilentProgress())) as reports:
            for report in reports:
                name, busy = report.task.name, bool(report.result and report.result.get("busy"))
                tries[name] += not busy
                if not busy and (tries[name] > retries or not _may_pass(report)):
                    records.add(replace(_record(report, jobs_of[name].key), tries=tries[name]))
    records.write()
    return records.summary()


@dataclass(frozen=True)
class _Job:
    """A capture's task, and what identifies its sources, settings and the versions of stages."""

    task: Task
    key: str

    @classmethod
    def of(cls, source: CaptureSource, output: Path, settings: dict[str, Any], flags: dict[str, bool]) -> _Job:
        name = session_name(source.name, _RESERVED)
        session, log = output / name, output / _LOGS / f"{name}.log"
        files = sources_fingerprint([source.path], exclude=session)
        split = ["split"] if flags["split"] else []
        key = fingerprint(STAGE_VERSIONS, settings, file_stamps(settings), files, *split)
        return cls(Task(source.name, source.path, session, settings, log, flags), key)


class _Records:
    """The batch's records so far, kept on disk as they come."""

    def __init__(self, output: Path, jobs: Mapping[str, _Job], left_out: Sequence[Dropped]) -> None:
        self._path, self._journal = output / _RECORDS, Journal(output / _LOGS / _JOURNAL)
        self._jobs, self._left_out = jobs, tuple(left_out)
        self._records: dict[str, CaptureRecord] = {}
        self._written_s = 0.0

    def __contains__(self, name: str) -> bool:
        return name in self._records

    def keep_finished(self, verify: bool) -> None:
        """Take over what was finished from the same sources with the same settings, and is what it was."""
        for name, record in self._journal.read().items():
            job = self._jobs.get(name)
            known = job is not None and name not in self._records and record.finished and record.key == job.key
            if known and job is not None and is_intact(job.task.output, verify=verify):
                self._records[name] = replace(record, reused=True)

    def add(self, record: CaptureRecord) -> None:
        self._journal.add(record)
        self._records[record.name] = record
        if time.monotonic() - self._written_s > _WRITE_EVERY_S:
            self.write()

    def write(self) -> None:
        """For people and programs; what counts is in the journal."""
        write_records(self._path, self.summary())
        self._written_s = time.monotonic()

    def summary(self) -> BatchSummary:
        ordered = [self._records[name] for name in self._jobs if name in self._records]
        return BatchSummary(tuple(ordered), self._left_out)


def _prepare(output: Path) -> None:
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output}: is a file; --output must name a folder")
    try:
        (output / _LOGS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"{output}: cannot be written ({error.strerror}); choose another --output") from error


def _may_pass(report: Report) -> bool:
    """Whether it may go better when it is tried again: killed, as for want of memory, or told to be so."""
    if report.result is None:
        return report.exit_status == -signal.SIGKILL and not report.why
    return bool(report.result.get("passing"))


def _record(report: Report, key: str) -> CaptureRecord:
    name, seconds = report.task.name, round(report.seconds, 1)
    if report.result is None:
        reason = f"its process {report.why or _ending(report.exit_status)}; see {report.task.log}"
        return CaptureRecord(name, "crashed", key, reason, seconds)
    told = {name: value for name, value in report.result.items() if name not in ("busy", "passing")}
    record = CaptureRecord(name=name, key=key, seconds=seconds, **told)
    return replace(record, reason=f"{record.reason}; see {report.task.log}") if record.status == "crashed" else record


def _ending(exit_status: int) -> str:
    if exit_status == -signal.SIGKILL:
        return "was killed, most often for want of memory"
    if exit_status < 0:
        known = -exit_status in set(signal.Signals)
        return f"ended by {signal.Signals(-exit_status).name if known else f'signal {-exit_status}'}"
    return f"ended with status {exit_status} and no result"
