"""Runs the pipeline once, as `python -m`: JSON request on stdin, answer on stdout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ... import PipelineConfig, run
from ..fresh_process import answer_request

__all__ = ["main"]


def main() -> int:
    """Answer one request: sources, output and config."""
    return answer_request(_ran)


def _ran(request: dict[str, Any]) -> dict[str, Any]:
    config = PipelineConfig.model_validate(request["config"])
    outcome = run([Path(source) for source in request["sources"]], Path(request["output"]), config)
    return {"passed": outcome.passed}


if __name__ == "__main__":
    raise SystemExit(main())
