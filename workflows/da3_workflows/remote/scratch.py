"""Where a machine keeps what it has fetched: the same path on all, since sessions know files by their paths."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from da3_pipeline.errors import UsageError
from da3_pipeline.files.fingerprint import fingerprint

__all__ = ["SCRATCH_VARIABLE", "scratch_for"]

SCRATCH_VARIABLE = "DA3_PIPELINE_SCRATCH"


def scratch_for(url: str) -> Path:
    """The folder for what lies at a URL. Raises UsageError where it cannot be had, or is somebody else's."""
    root = Path(os.environ.get(SCRATCH_VARIABLE) or Path(tempfile.gettempdir()) / f"da3-pipeline-{os.getuid()}")
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = root.lstat()
    except OSError as error:
        raise UsageError(f"{root}: cannot be made ({error.strerror}); set {SCRATCH_VARIABLE}") from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise UsageError(f"{root}: is not a folder of yours; set {SCRATCH_VARIABLE} to one")
    return root.absolute() / fingerprint(url.rstrip("/"))[:12]
