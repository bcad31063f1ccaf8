"""Every capture of a folder in turn, each on its own; a second run does only what is missing."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from da3_pipeline.errors import ExportError, UsageError
from da3_pipeline.files.fingerprint import fingerprint
from da3_pipeline.ingest.names import natural_key
from da3_pipeline.pipeline import is_intact
from da3_pipeline.progress import Progress, SilentProgress
from da3_pipeline.storage.store import file_stamps, sources_fingerprint
from da3_pipeline.types import Dropped
from da3_pipeline.versions import STAGE_VERSIONS

from .captures import CaptureSource, find_captures
from .executors import LocalExecutor
from .given_files import settings_of_capture
from .index_page import PAGE, write_index
from .names import session_name
from .records import BatchSummary, CaptureRecord, Journal, write_records
from .remote import RemoteFolder, find_remote_captures, finished_at, is_url, scratch_for
from .tasks import Executor, Report, Task

if TYPE_CHECKING:
    from da3_pipeline.config import PipelineConfig

__all__ = ["Batch", "run_batch"]

_RECORDS = "batch.json"
_LOGS = ".da3-batch"
_JOURNAL = "records.jsonl"
_RESERVED = frozenset({_RECORDS, _LOGS, PAGE, f".{_RECORDS}.new", f".{PAGE}.new"})
_WRITE_EVERY_S = 1.0
_WRITE_SHARE = 50.0
"""Times that writing takes, until it is done again: batch.json and the page hold all captures, and take 0.1 s for 1,000
of them, more on a busy machine."""
_LONGEST_WAIT_S = 30.0


def run_batch(
    captures: Path | str,
    output: Path | str,
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
    ended: Callable[[CaptureRecord], None] | None = None,
) -> BatchSummary:
    """Process every capture of the folder `captures` into a session `output`/NAME, and say how each ended.

    A capture is a sub-folder with photographs or videos, or a video. One that was finished by an earlier batch, with
    the same files, settings and versions of the stages, is not done again; one that failed is. `output`/batch.json is
    brought up to date, so that an interruption (KeyboardInterrupt passes through) loses nothing; logs lie
    in `output`/.da3-batch. `jobs` captures run at once on this machine, or elsewhere by an `executor`. `split`,
    `overwrite` and `verify` are those of `da3_pipeline.run`; with `overwrite` nothing counts as finished. Files that
    `config` names may be each capture's own (`settings_of_capture`). What may be gone when it is tried again (memory,
    a file system far away) is tried `retries` times more, after all others; `limit_s` ends what takes longer.
    Several batches on one output share the captures among them. Either folder may be a URL that fsspec reads, as text:
    then machines work on copies. `ended` is called with the record of each that ends.

    Raises CaptureError where there is no capture, UsageError and ExportError where `output` cannot serve.
    """
    batch = Batch(
        output,
        config,
        jobs=jobs,
        executor=executor,
        split=split,
        overwrite=overwrite,
        verify=verify,
        retries=retries,
        limit_s=limit_s,
        ended=ended,
    )
    return batch.run(*batch.find(captures), progress)


class Batch:
    """Captures of one output, of which each group is run as it is known; settings as those of `run_batch`."""

    def __init__(
        self,
        output: Path | str,
        config: PipelineConfig,
        *,
        jobs: int = 1,
        executor: Executor | None = None,
        split: bool = False,
        overwrite: bool = False,
        verify: bool = False,
        retries: int = 1,
        limit_s: float | None = None,
        ended: Callable[[CaptureRecord], None] | None = None,
    ) -> None:
        self._store = RemoteFolder(str(output)) if is_url(output) else None
        self.output = scratch_for(str(output)) if is_url(output) else Path(output).absolute()
        self._common = config.model_dump(mode="json")
        self._runner = executor or LocalExecutor(jobs, limit_s=limit_s)
        self._flags = {"split": split, "overwrite": overwrite, "verify": verify}
        self._retries = retries
        self._ended = ended
        self._records = _Records(self.output, self._store)

    def check(self, captures: Path | str) -> None:
        """Raises UsageError where the folder of the captures is the output itself."""
        if is_url(captures):
            if self._store is not None and str(captures).rstrip("/") == self._store.url.rstrip("/"):
                raise UsageError(f"{captures}: --output must be another folder than that of the captures")
        elif Path(captures).resolve() == self.output.resolve():
            raise UsageError(f"{self.output}: --output must be another folder than that of the captures")

    def find(self, captures: Path | str) -> tuple[tuple[CaptureSource, ...], tuple[Dropped, ...]]:
        """What there is in a folder, as `find_captures`, and as `check` raises."""
        self.check(captures)
        if is_url(captures):
            return find_remote_captures(str(captures))
        return find_captures(Path(captures).absolute(), exclude=self.output)

    def run(
        self,
        sources: Sequence[CaptureSource],
        left_out: Sequence[Dropped] = (),
        progress: Progress | None = None,
    ) -> BatchSummary:
        """Run a group and say how it went; batch.json tells of all groups, of each capture what was last."""
        _prepare(self.output)
        names = [source.name for source in sources]
        for source in sources:
            settings = settings_of_capture(self._common, source.name)
            self._records.begin(_Job.of(source, self.output, settings, self._flags, self._store))
        self._records.leave_out(left_out)
        tries = dict.fromkeys(names, 0)
        for round_ in count():
            if round_ and all(name in self._records for name in names):
                break
            time.sleep(min(_LONGEST_WAIT_S, 2.0 ** (round_ - 1)) if round_ else 0.0)
            if not self._flags["overwrite"]:
                self._records.keep_finished(self._flags["verify"])  # later: what another batch has done meanwhile
            left = [name for name in names if name not in self._records]
            if not left:
                break
            self._records.write()
            self._round(left, tries, progress or SilentProgress())
        self._records.write()
        self._records.send()
        return self._records.summary(names, left_out)

    def _round(self, names: Sequence[str], tries: dict[str, int], progress: Progress) -> None:
        """Try each once, and keep how those ended that need no other try."""
        jobs = self._records.jobs
        with closing(self._runner.run([jobs[name].task for name in names], progress)) as reports:
            for report in reports:
                name, busy = report.task.name, bool(report.result and report.result.get("busy"))
                tries[name] += not busy
                if not busy and (tries[name] > self._retries or not _may_pass(report)):
                    record = replace(_record(report, jobs[name].key), tries=tries[name])
                    self._records.add(record)
                    if self._ended is not None:
                        self._ended(record)


@dataclass(frozen=True)
class _Job:
    """A capture's task, and what identifies its sources, settings and the versions of stages."""

    task: Task
    key: str

    @classmethod
    def of(
        cls,
        source: CaptureSource,
        output: Path,
        settings: Mapping[str, Any],
        flags: dict[str, bool],
        store: RemoteFolder | None,
    ) -> _Job:
        name = session_name(source.name, _RESERVED)
        session, log = output / name, output / _LOGS / f"{name}.log"
        files = source.stamp or sources_fingerprint([source.path], exclude=session)
        split = ["split"] if flags["split"] else []
        key = fingerprint(STAGE_VERSIONS, settings, file_stamps(settings), files, *split)
        away = {"fetch": source.url, "store": "" if store is None else str(store / name)}
        return cls(Task(source.name, source.path, session, settings, log, flags, key=key, **away), key)


class _Records:
    """The records so far, kept on disk as they come."""

    def __init__(self, output: Path, store: RemoteFolder | None = None) -> None:
        self._store = store
        self._path, self._journal = output / _RECORDS, Journal(output / _LOGS / _JOURNAL)
        self.jobs: dict[str, _Job] = {}
        self._left_out: dict[str, Dropped] = {}
        self._records: dict[str, CaptureRecord] = {}
        self._write_after_s = 0.0

    def __contains__(self, name: str) -> bool:
        return name in self._records

    def begin(self, job: _Job) -> None:
        """A capture that is to be done, or to be done again."""
        self.jobs[job.task.name] = job
        self._records.pop(job.task.name, None)

    def leave_out(self, entries: Sequence[Dropped]) -> None:
        self._left_out |= {entry.frame: entry for entry in entries}

    def keep_finished(self, verify: bool) -> None:
        """Take over what was finished from the same sources with the same settings, and is what it was."""
        if self._store is not None:
            self._keep_sent(verify)
            return
        for name, record in self._journal.read().items():
            job = self.jobs.get(name)
            known = job is not None and name not in self._records and record.finished and record.key == job.key
            if known and job is not None and is_intact(job.task.output, verify=verify):
                self._records[name] = replace(record, reused=True)

    def _keep_sent(self, verify: bool) -> None:
        for name in [name for name in self.jobs if name not in self._records]:
            job = self.jobs[name]
            result = finished_at(RemoteFolder(job.task.store), job.key, verify=verify)
            if result is not None:
                self._records[name] = CaptureRecord(name=name, key=job.key, seconds=0.0, reused=True, **result)

    def add(self, record: CaptureRecord) -> None:
        self._journal.add(record)
        self._records[record.name] = record
        if time.monotonic() >= self._write_after_s:
            self.write()

    def write(self) -> None:
        """For people and programs; what counts is in the journal."""
        began_s = time.monotonic()
        names = sorted(self.jobs, key=natural_key)
        left_out = tuple(self._left_out.values())
        write_records(self._path, self.summary(names, left_out))
        sessions = {name: (self.jobs[name].task.output, self.jobs[name].task.log) for name in names}
        write_index(self._path.parent, sessions, self._records, left_out)
        now_s = time.monotonic()
        self._write_after_s = now_s + max(_WRITE_EVERY_S, _WRITE_SHARE * (now_s - began_s))

    def send(self) -> None:
        """What `write` wrote, to where the sessions are."""
        for path in (self._path, self._path.parent / PAGE) if self._store is not None else ():
            if self._store is not None and path.is_file():
                self._store.write(path.name, path.read_bytes())

    def summary(self, names: Sequence[str], left_out: Sequence[Dropped]) -> BatchSummary:
        ordered = [self._records[name] for name in names if name in self._records]
        return BatchSummary(tuple(ordered), tuple(left_out))


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
