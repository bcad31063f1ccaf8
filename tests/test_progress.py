"""The terminal progress line."""

from __future__ import annotations

import io
import re

import pytest

from da3_pipeline.progress import TerminalProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_counts_rate_and_remaining_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    stream = Terminal()
    progress = TerminalProgress(stream, min_interval_s=0.0)
    progress.begin("refine")
    progress.step(1, 4, "pairs")
    progress.step(4, 4, "pairs")
    progress.end("4 pairs")
    text = stream.getvalue()
    drawn = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in text.split("\r\x1b[K")]
    assert re.fullmatch(r"refine +━+╺?━+ 1/4 pairs \(.*s left\) *", drawn[1]), drawn[1]
    assert re.fullmatch(r"refine +4 pairs \([0-9.]+ s\)\n", drawn[3])


def test_a_line_never_wraps_and_words_in_brackets_are_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    stream = Terminal()
    progress = TerminalProgress(stream, min_interval_s=0.0)
    progress.begin("ingest")
    progress.step(1, 2, "[bold]" + "long name " * 20)
    line = re.sub(r"\x1b\[[0-9;]*[mK]", "", stream.getvalue()).strip("\r")
    assert len(line) <= 60 and "\n" not in line
    assert "1/2 [bold]long" in line


def test_a_terminal_that_cannot_draw_over_lines_gets_plain_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    progress = TerminalProgress(stream, min_interval_s=0.0)
    progress.begin("ingest")
    progress.step(1, 2)
    progress.end("2 photographs")
    assert re.fullmatch(r"ingest +2 photographs \([0-9.]+ s\)\n", stream.getvalue())


def test_a_log_file_gets_one_line_a_stage() -> None:
    stream = io.StringIO()
    progress = TerminalProgress(stream, min_interval_s=0.0)
    for stage in ("ingest", "select"):
        progress.begin(stage)
        progress.step(1, 2)
        progress.end("done")
    assert [line.split()[0] for line in stream.getvalue().splitlines()] == ["ingest", "select"]
    assert "\x1b" not in stream.getvalue()
