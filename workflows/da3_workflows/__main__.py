"""A process that works on captures: tasks as lines of JSON on stdin; progress and results as JSON lines on stdout."""

from __future__ import annotations

import os
import sys

from .worker import serve

if __name__ == "__main__":
    # Native libraries print to file descriptor 1 as they like: that goes to the log, the answers keep the pipe.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    sys.exit(serve(sys.stdin, answers))
