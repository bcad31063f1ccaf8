"""index.html of a batch: one offline page that links the reports of all sessions, to sort and to filter."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import quote

from da3_pipeline.export.report.looks import page_template
from da3_pipeline.guard.printable import printable
from da3_pipeline.types import Dropped

from .records import CaptureRecord, Status

__all__ = ["PAGE", "write_index"]

PAGE = "index.html"
_MARK = b'<meta name="generator" content="da3-pipeline batch">'
_HEAD_BYTES = 1024
_WAITING = "waiting"
_LOOKS: dict[Status | str, str] = {
    "done": "good",
    "below gates": "fair",
    "failed": "poor",
    "crashed": "poor",
    _WAITING: "none",
}
"""How a status is drawn, in the order in which they are offered."""


@dataclass(frozen=True)
class _Row:
    """One capture as the page shows it; href: of its report, or of the log of what went wrong, relative to the page."""

    name: str
    status: str
    look: str
    href: str
    link: str
    frames_posed: int
    frames: int
    seconds: float
    reason: str
    note: str


def write_index(
    output: Path,
    sessions: Mapping[str, tuple[Path, Path]],
    records: Mapping[str, CaptureRecord],
    left_out: Sequence[Dropped],
) -> None:
    """Replace `output`/index.html as a whole.

    sessions: by capture, in the order of the page, the folder of its session and its log, both below `output`. Captures
    without a record wait. A page that is not ours stays, and one that cannot be written is left out: batch.json and the
    journal are what counts, and say so themselves.
    """
    page = output / PAGE
    fresh = page.with_name(f".{PAGE}.new")
    with contextlib.suppress(OSError):
        if not _is_ours(page):
            return
        rows = [_row(name, *places, output, records.get(name)) for name, places in sessions.items()]
        fresh.write_text(_rendered(output.name, rows, left_out), encoding="utf-8", errors="replace")
        os.replace(fresh, page)


def _is_ours(page: Path) -> bool:
    try:
        with page.open("rb") as file:
            return _MARK in file.read(_HEAD_BYTES)
    except FileNotFoundError:
        return True


def _row(name: str, session: Path, log: Path, output: Path, record: CaptureRecord | None) -> _Row:
    if record is None:
        return _Row(name, _WAITING, _LOOKS[_WAITING], "", "", 0, 0, 0.0, "", "")
    target, link = (session / "report.html", "report") if record.finished else (log, "log")
    href = _relative(target, output) if record.finished or log.exists() else ""
    notes = ["from an earlier run"] if record.reused else []
    notes += [f"{record.tries} tries"] if record.tries > 1 else []
    return _Row(
        name,
        record.status,
        _LOOKS[record.status],
        href,
        link,
        record.frames_posed,
        record.frames,
        record.seconds,
        record.reason,
        ", ".join(notes),
    )


def _relative(target: Path, output: Path) -> str:
    """A reference that can be nothing but a file below the page's folder, whatever bytes are in its name."""
    return "./" + quote(os.fsencode(target.relative_to(output)))


def _rendered(title: str, rows: Sequence[_Row], left_out: Sequence[Dropped]) -> str:
    counts = Counter(row.status for row in rows)
    return page_template("index.html.j2", "da3_workflows").render(
        title=printable(title),
        as_of=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC"),
        rows=rows,
        statuses=[(status, look, counts[status]) for status, look in _LOOKS.items() if counts[status]],
        left_out=left_out,
        seconds=sum(row.seconds for row in rows),
    )
