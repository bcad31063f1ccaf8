"""Which captures lie at a URL: what is directly below it, judged by names, since nothing is fetched yet."""

from __future__ import annotations

from da3_pipeline.errors import CaptureError
from da3_pipeline.files.fingerprint import fingerprint
from da3_pipeline.ingest.archives import ARCHIVES_READ
from da3_pipeline.ingest.names import natural_key
from da3_pipeline.ingest.scan import claims_pixels, claims_video
from da3_pipeline.types import Dropped

from ..captures import CaptureSource
from .folder import RemoteFile, RemoteFolder
from .scratch import scratch_for

__all__ = ["find_remote_captures"]


def find_remote_captures(url: str) -> tuple[tuple[CaptureSource, ...], tuple[Dropped, ...]]:
    """As `find_captures`; a source's path is where it will lie on the machine that fetches it.

    Raises CaptureError where there is none.
    """
    root, scratch = RemoteFolder(url), scratch_for(url)
    below: dict[str, list[RemoteFile]] = {}
    for file in root.files():
        name, _, rest = file.name.partition("/")
        if not name.startswith("."):
            below.setdefault(name, []).append(RemoteFile(rest, file.size, file.version, file.modified_ns))
    found, left_out = [], []
    for name in sorted(below, key=natural_key):
        why = _no_capture(name, below[name])
        if why:
            left_out.append(Dropped(name, why))
            continue
        stamp = fingerprint([[file.name, file.size, file.version] for file in below[name]])
        found.append(CaptureSource(name, scratch / name, str(root / name), stamp))
    if not found:
        raise CaptureError(f"{url}: holds no folder with photographs or videos, and no video; check the URL")
    return tuple(found), tuple(left_out)


def _no_capture(name: str, files: list[RemoteFile]) -> str:
    if files[0].name == "":
        alone = claims_video(name) or name.lower().endswith(ARCHIVES_READ)
        return "" if alone else "lies beside the captures"
    if any(file.name.startswith(".da3/") for file in files):
        return "is the output of a session"
    return "" if any(claims_pixels(file.name) for file in files) else "holds no photographs or videos"
