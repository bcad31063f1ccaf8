"""`--data` may be photographs or a video: processed once, beside the data, and found again afterwards."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from da3_pipeline.errors import CaptureError

__all__ = ["is_raw", "process_once", "session_beside"]

_SESSION_MARKS = ("transforms.json", "report.json", ".da3")
_MEDIA = {".avi", ".avif", ".bmp", ".heic", ".heif", ".jpeg", ".jpg", ".mkv", ".mov", ".mp4", ".png", ".tif", ".tiff"}
_MEDIA |= {".webm", ".webp"}


def is_raw(data: Path) -> bool:
    """Whether this is a video, or a folder that holds pictures or videos and neither is a session nor part of one."""
    if data.is_file():
        return data.suffix.lower() in _MEDIA
    folders = (data, data.resolve().parent)
    if not data.is_dir() or any((folder / mark).exists() for folder in folders for mark in _SESSION_MARKS):
        return False
    return any(path.suffix.lower() in _MEDIA for path in data.rglob("*"))


def session_beside(data: Path) -> Path:
    """Where the session of raw data goes: NAME-da3 beside it, or, where that cannot be written, the user's cache."""
    data = data.resolve()
    beside = data.with_name(f"{data.stem if data.is_file() else data.name}-da3")
    if beside.exists() or os.access(data.parent, os.W_OK):
        return beside
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.blake2b(str(data).encode(), digest_size=4).hexdigest()
    return cache / "da3-pipeline" / "sessions" / f"{beside.name}-{digest}"


def process_once(data: Path, settings: dict[str, Any]) -> Path:
    """The session of raw data, made or finished if need be; the pipeline itself keeps what is done and still valid.

    settings: of PipelineConfig, by stage. Raises CaptureError where nothing can be placed in a scene.
    """
    from da3_pipeline.config import PipelineConfig
    from da3_pipeline.pipeline import run
    from da3_pipeline.progress import TerminalProgress

    output = session_beside(data)
    run([data], output, PipelineConfig.model_validate(settings), TerminalProgress())
    if not (output / "transforms.json").is_file():
        raise CaptureError(f"{output}: no data set came out of {data}; see {output / 'report.html'}")
    return output
