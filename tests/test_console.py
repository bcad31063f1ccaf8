"""Any name on any console."""

from __future__ import annotations

import io
import logging
import sys

import pytest

from da3_pipeline.cli.console import open_console, printable
from da3_pipeline.export.staging import write_atomically


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
