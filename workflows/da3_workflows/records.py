"""What a batch came to: one record a capture, as a table for people and as JSON for programs."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from da3_pipeline.errors import ExportError
from da3_pipeline.files.strict_json import strict_json
from da3_pipeline.types import Dropped

__all__ = ["BatchSummary", "CaptureRecord", "Journal", "Status", "write_records"]

Status = Literal["done", "below gates", "failed", "crashed"]

_EXIT_CODES: dict[Status, int] = {"crashed": 1, "failed": 2, "below gates": 3, "done": 0}
"""In the order in which they decide the batch's own."""


@dataclass(frozen=True)
class CaptureRecord:
    """How one capture ended.

    done, below gates: the data set is there; failed: an error the user can mend; crashed: anything else.
    `reason` is the verdict's summary, or the error. `key` stands for sources,
    settings and versions of the stages. `reused`: by an earlier one, or by another batch. `tries`: so many were needed.
    """

    name: str
    status: Status
    key: str
    reason: str
    seconds: float
    frames_posed: int = 0
    frames: int = 0
    reused: bool = False
    tries: int = 1

    @property
    def finished(self) -> bool:
        return self.status in ("done", "below gates")


@dataclass(frozen=True)
class BatchSummary:
    """The records in order of the captures' names, and what in the folder was no capture."""

    records: tuple[CaptureRecord, ...]
    left_out: tuple[Dropped, ...] = ()

    @property
    def exit_code(self) -> int:
        """1 if a capture crashed, else 2 if one failed, else 3 if one is below its gates, else 0."""
        present = {record.status for record in self.records}
        return next(code for status, code in _EXIT_CODES.items() if status in present or status == "done")

    def as_json(self) -> str:
        return _document(self.records, self.left_out)

    def as_table(self) -> str:
        """Aligned columns, one line a capture, and a line that counts them."""
        header = ("capture", "status", "frames", "seconds", "")
        return "\n".join([*_aligned([header, *map(_row, self.records)]), *self._lost(), _count(self.records)])

    def as_lines(self) -> list[str]:
        """A line for each capture, and for what was none."""
        return _aligned([_row(record) for record in self.records]) + self._lost()

    def as_json_lines(self) -> list[str]:
        """The same for programs, each a JSON document."""
        items = [asdict(record) for record in self.records] + [asdict(dropped) for dropped in self.left_out]
        return [strict_json(item) for item in items]

    def _lost(self) -> list[str]:
        return [f"left out: {dropped.frame}: {dropped.reason}" for dropped in self.left_out]


class Journal:
    """The records of all batches on one output, a line each as they come; of a capture the last line counts.

    Lines are added whole, so that two batches may write to one journal.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, record: CaptureRecord) -> None:
        """Raises ExportError where it cannot be written."""
        line = (json.dumps(asdict(record)) + "\n").encode("ascii")
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                os.write(file, line)
            finally:
                os.close(file)
        except OSError as error:
            raise ExportError(f"{self._path}: cannot be written ({error.strerror}); free some space") from error

    def read(self) -> dict[str, CaptureRecord]:
        """By capture; lines that are damaged are passed over."""
        try:
            lines = self._path.read_bytes().splitlines()
        except OSError:
            return {}
        found = {}
        for line in lines:
            with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
                record = CaptureRecord(**json.loads(line))
                found[record.name] = record
        return found


def write_records(path: Path, summary: BatchSummary) -> None:
    """Replace the file as a whole. Raises ExportError where it cannot be written.

    Names that are no UTF-8 are escaped as JSON has it, and come back as they were.
    """
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_bytes(summary.as_json().encode("utf-8", "backslashreplace"))
        os.replace(fresh, path)
    except OSError as error:
        raise ExportError(f"{path}: cannot be written ({error.strerror}); choose another --output") from error


def _document(records: Sequence[CaptureRecord], left_out: Sequence[Dropped]) -> str:
    document = {"captures": [asdict(record) for record in records], "left_out": [asdict(item) for item in left_out]}
    return strict_json(document, indent=1)


def _row(record: CaptureRecord) -> tuple[str, str, str, str, str]:
    frames = f"{record.frames_posed}/{record.frames}" if record.finished else "-"
    status = f"{record.status}*" if record.reused else record.status
    return record.name, status, frames, f"{record.seconds:.1f}", record.reason


def _aligned(rows: Sequence[tuple[str, str, str, str, str]]) -> list[str]:
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    lines = []
    for *cells, reason in rows:
        name, status, frames, seconds = (
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        lines.append(f"{name}  {status}  {frames}  {seconds}  {reason}".rstrip())
    return lines


def _count(records: Sequence[CaptureRecord]) -> str:
    counts = [f"{sum(record.status == status for record in records)} {status}" for status in reversed(_EXIT_CODES)]
    shown = ", ".join(count for count in counts if not count.startswith("0 "))
    reused = sum(record.reused for record in records)
    return f"{len(records)} captures: {shown}" + (f" (* {reused} from an earlier batch)" if reused else "")
