"""The terminal progress line."""

from __future__ import annotations

import io

from da3_pipeline.progress import TerminalProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_counts_rate_and_remaining_time() -> None:
    stream = Terminal()
    progress = TerminalProgress(stream, min_interval_s=0.0)
    progress.begin("refine")
    progress.step(1, 4, "pairs")
    progress.step(4, 4, "pairs")
    progress.end("4 pairs")
    text = stream.getvalue()
    assert "refine   1/4 pairs" in text
    assert "s left" in text
    assert text.rstrip().rsplit("\x1b[K", 1)[1].startswith("refine   4 pairs (")


def test_a_log_file_gets_one_line_a_stage() -> None:
    stream = io.StringIO()
    progress = TerminalProgress(stream, min_interval_s=0.0)
    for stage in ("ingest", "select"):
        progress.begin(stage)
        progress.step(1, 2)
        progress.end("done")
    assert [line.split()[0] for line in stream.getvalue().splitlines()] == ["ingest", "select"]
    assert "\x1b" not in stream.getvalue()
