"""Where downloaded networks lie: can they be read, and are they whole?"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from .finding import Finding, fault, note, ok
from .machine import disk

__all__ = ["of_caches"]

_STALE_S = 3600.0
"""A download that has not grown for so long is not under way."""


def of_caches() -> Iterator[Finding]:
    """The Hugging Face hub's, and the folder of weights placed by hand."""
    try:
        from ..model.checkpoints.hub import hub_client
        from ..model.checkpoints.sources import weights_folder
    except (ImportError, OSError):
        return  # said of torch above
    hub = Path(hub_client().constants.HF_HUB_CACHE)
    yield _hub(hub)
    yield from _half_downloads(hub)
    yield from _lost_files(hub)
    folder = weights_folder()
    if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK):
        yield fault("weights", f"{folder} cannot be read", f"chmod -R u+rX '{folder}'")
    elif folder.is_dir():
        unreadable = [path.name for path in sorted(folder.glob("*.safetensors")) if not os.access(path, os.R_OK)]
        if unreadable:
            yield fault("weights", f"{unreadable[0]} cannot be read", f"chmod u+r '{folder / unreadable[0]}'")


def _hub(hub: Path) -> Finding:
    there = next(path for path in (hub, *hub.parents) if path.exists())
    if not there.is_dir():
        return note("cache", f"{there} is no folder: no network can be fetched", "set HF_HUB_CACHE to a folder")
    if not os.access(there, os.R_OK | os.X_OK):
        return fault("cache", f"{there} cannot be read", "chmod -R u+rwX it, or set HF_HUB_CACHE to another folder")
    if not os.access(there, os.W_OK):
        detail = f"{hub} cannot be written: networks that are not there already cannot be fetched"
        return note("cache", detail, "make it writable, or set HF_HUB_CACHE to another folder")
    space = disk("cache", hub)
    return space if space.status != "ok" else ok("cache", f"{hub}, {space.detail.partition(' at ')[0]}")


def _half_downloads(hub: Path) -> Iterator[Finding]:
    """What the client keeps of a download that was broken off; the next one of the same file goes on from there."""
    for path in sorted(hub.glob("models--*/blobs/*.incomplete")):
        try:
            status = path.stat()
        except OSError:
            continue
        if time.time() - status.st_mtime > _STALE_S:
            detail = f"half a download of {_repository(path.parent.parent)}, {status.st_size / 2**20:.0f} MB"
            yield note("cache", detail, f"fetch it again, or rm '{path}'")


def _lost_files(hub: Path) -> Iterator[Finding]:
    """Weights whose contents are gone, or may not be read: they count as fetched, and fail when they are loaded."""
    for link in sorted(hub.glob("models--*/snapshots/*/*.safetensors")):
        repository = _repository(link.parents[2])
        if not link.exists():
            yield fault(
                "cache", f"the contents of {repository} are gone", f"rm -r '{link.parents[2]}', and fetch it again"
            )
        elif not os.access(link, os.R_OK):
            yield fault("cache", f"{repository} cannot be read", f"chmod u+r '{link.resolve()}'")


def _repository(folder: Path) -> str:
    return folder.name.removeprefix("models--").replace("--", "/")
