"""Any name on any console."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from da3_pipeline.cli.console import open_console, printable, say, say_json
from da3_pipeline.export.staging import write_atomically
from da3_pipeline.progress import TerminalProgress


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_no_name_is_too_much_for_a_console(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    open_console()
    print("写 ± caf\udce9 ok", file=sys.stdout)
    logging.getLogger("da3_pipeline.test").warning("%s is odd", "caf\udce9\x1b[2J 写\nx")
    out.flush(), err.flush()
    assert out.buffer.getvalue().rstrip().endswith(b"ok")  # type: ignore[attr-defined]
    (line,) = err.buffer.getvalue().splitlines()  # type: ignore[attr-defined]
    assert line.startswith(b"WARNING da3_pipeline.test: caf??[2J") and line.endswith(b"x is odd")


def test_printable_keeps_text_and_nothing_else() -> None:
    assert printable("été 写 — ½") == "été 写 — ½"
    assert printable("a\nb\tc\x1b[31m\udce9\x9b") == "a b c?[31m??"


def test_reports_take_paths_that_are_no_text(tmp_path) -> None:
    write_atomically(tmp_path / "report.json", '{"folder": "caf\udce9 写"}')
    assert (tmp_path / "report.json").read_text(encoding="utf-8") == '{"folder": "caf? 写"}'


EVIL = "a\x1b[2J\x1b]0;owned\x07\x9b31m\u202egpj.exe"
"""Clears the screen, names the window, turns red, and reads backwards."""


def commands(text: str) -> list[str]:
    return [c for c in text if not c.isprintable() and c != "\n"]


def test_lines_for_people_keep_their_columns_and_lose_commands(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"  {EVIL}   2\n\tnext")
    say(EVIL, err=True)
    told = capsys.readouterr()
    assert told.out == "  a?[2J?]0;owned??31m?gpj.exe   2\n        next\n"
    assert not commands(told.out + told.err)


def test_documents_for_programs_keep_every_name(capsys: pytest.CaptureFixture[str]) -> None:
    say_json(json.dumps({"folder": EVIL}, ensure_ascii=False))
    told = capsys.readouterr().out
    assert not commands(told) and json.loads(told) == {"folder": EVIL}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_progress_shows_names_without_their_commands(
    stream: type[io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    shown = stream()
    progress = TerminalProgress(shown, min_interval_s=0)
    progress.begin("ingest")
    progress.step(1, 2, EVIL)
    progress.end(f"2 photographs, {EVIL}")
    assert "gpj.exe" in shown.getvalue()
    for command in ("\x1b[2J", "\x1b]0;", "\x07", "\x9b", "\u202e"):
        assert command not in shown.getvalue()


def test_names_of_files_reach_the_terminal_without_their_commands(
    tmp_path: Path, cli: Callable[..., tuple[int, str, str]]
) -> None:
    folder = tmp_path / EVIL
    folder.mkdir()
    for name in ("1", "2"):
        (folder / f"{name}{EVIL}.jpg").write_bytes(b"no picture")
    code, out, err = cli("run", folder, "--output", tmp_path / "out")
    assert code == 2 and "gpj.exe" in err
    assert not commands(out + err)
