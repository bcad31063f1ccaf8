"""Runs the pipeline once: `python -m da3_pipeline.benchmark.pose.process`, JSON request on stdin, answer on stdout."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from ... import PipelineConfig, run
from ...errors import PipelineError

__all__ = ["main"]


def main() -> int:
    """Answer one request; 0 on success, 2 with the message on stderr for input that the pipeline refuses."""
    request = json.loads(sys.stdin.read())
    config = PipelineConfig.model_validate(request["config"])
    try:
        outcome = run([Path(source) for source in request["sources"]], Path(request["output"]), config)
    except PipelineError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    answer = {"stages": [vars(stage) for stage in outcome.stages], "elapsed_s": time.time() - request["started_s"]}
    sys.stdout.write(f"\n{json.dumps(answer)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
