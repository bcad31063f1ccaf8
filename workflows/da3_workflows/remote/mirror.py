"""A session at a URL and its copy on this machine. The manifest there, written last, says what is whole."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from da3_pipeline.errors import ExportError
from da3_pipeline.files.integrity import damaged, stamps_of

from .folder import RemoteFolder

__all__ = ["fetch", "finished_at", "pull", "push"]

_MANIFEST = ".da3/manifest.json"
_NOT_SENT = ("unpacked", "chunks")
"""Of a session: what can be made again from its sources, and what an unfinished stage keeps for itself."""
_DAMAGED = (ValueError, KeyError, TypeError, RecursionError)


def fetch(source: RemoteFolder, to: Path) -> None:
    """Bring a capture to `to`, each file once: those that are there already are known by size, time and version.

    Files get the times that they have there, so that they are the same on every machine.
    """
    notes = to.with_name(f".{to.name}.fetched.json")
    had = _noted(notes)
    files = source.files()
    have: dict[str, str] = {}
    for file in files:
        path = to / file.name if file.name else to
        with contextlib.suppress(OSError):
            status = path.stat()
            if had.get(file.name) == file.version and (status.st_size, status.st_mtime_ns) == (
                file.size,
                file.modified_ns,
            ):
                have[file.name] = file.version
    try:
        for file in files:
            if file.name not in have:
                path = to / file.name if file.name else to
                source.download(file.name, path)
                os.utime(path, ns=(file.modified_ns, file.modified_ns))
                have[file.name] = file.version
    finally:
        notes.parent.mkdir(parents=True, exist_ok=True)
        notes.write_text(json.dumps(have), encoding="utf-8")
    for path in sorted(to.rglob("*")) if to.is_dir() else []:
        if path.is_file() and path.relative_to(to).as_posix() not in have:
            path.unlink()  # it is there no more


def pull(session: RemoteFolder, to: Path) -> list[str]:
    """Bring what is finished of a session, where that is something else than what this machine last knew of it.

    A file that is gone, or not what the manifest says, is left out, so that its stage is done again: these are named.
    """
    content = session.read(_MANIFEST)
    if content is None or content == _known(to):
        return []
    stamps = _stamps(content)
    there = {file.name for file in session.files()}
    for name in damaged(to, stamps, thorough=True):
        if name in there:
            session.download(name, to / name)
    lost = damaged(to, stamps, thorough=True)
    for name in lost:
        (to / name).unlink(missing_ok=True)
    _know(to, content)
    return lost


def push(
    folder: Path, session: RemoteFolder, key: str, result: Mapping[str, Any] | None, lost: Sequence[str] = ()
) -> None:
    """Send what differs from what lies there, and the manifest last, with the result of a capture that is finished.

    key: of sources, settings and versions, as the records have it. lost: what `pull` found damaged there. While files
    of a finished session are replaced its manifest has no result. Raises ExportError.
    """
    before = session.read(_MANIFEST)
    old = {} if before is None else _stamps(before)
    try:
        new = stamps_of(folder, sorted(path for path in folder.rglob("*") if _is_sent(path, folder)))
    except OSError as error:
        raise ExportError(f"{folder}: cannot be read ({error.strerror}); run the same command again") from error
    changed = [name for name, stamp in new.items() if tuple(old.get(name, ()))[::2] != stamp[::2] or name in lost]
    if changed and before is not None:
        kept = {name: stamp for name, stamp in old.items() if name in new and name not in changed}
        session.write(_MANIFEST, _manifest(kept, key, None))
    for name in changed:
        session.upload(folder / name, name)
    content = _manifest(new, key, result)
    session.write(_MANIFEST, content)
    _know(folder, content)
    for name in old.keys() - new.keys():
        session.delete(name)


def finished_at(session: RemoteFolder, key: str, *, verify: bool = False) -> dict[str, Any] | None:
    """The result of a session that was finished with this key and is whole; `verify` reads all of it."""
    content = session.read(_MANIFEST)
    try:
        told = json.loads(content or b"{}")
        if told["key"] != key or not isinstance(told["result"], dict):
            return None
        stamps = {str(name): tuple(stamp) for name, stamp in told["files"].items()}
        sizes = {file.name: file.size for file in session.files()}
        if any(sizes.get(name) != stamp[0] for name, stamp in stamps.items()):
            return None
        result = dict(told["result"])
    except _DAMAGED:
        return None
    return result if not verify or _is_whole(session, stamps) else None


def _is_whole(session: RemoteFolder, stamps: Mapping[str, Any]) -> bool:
    from hashlib import blake2b

    contents = ((session.read(name), stamp) for name, stamp in stamps.items())
    return all(have is not None and blake2b(have, digest_size=16).hexdigest() == stamp[2] for have, stamp in contents)


def _is_sent(path: Path, folder: Path) -> bool:
    parts = path.relative_to(folder).parts
    if parts[0] != ".da3":
        return path.is_file() and parts[0] != ".da3-staging"
    own = len(parts) > 1 and (parts[1] in ("lock", *_NOT_SENT) or parts[1].endswith(".new"))
    return path.is_file() and not own and "/".join(parts) != _MANIFEST


def _manifest(stamps: Mapping[str, Any], key: str, result: Mapping[str, Any] | None) -> bytes:
    told = {"files": dict(stamps), "key": key, "result": None if result is None else dict(result)}
    return json.dumps(told, indent=0, sort_keys=True).encode()


def _stamps(content: bytes) -> dict[str, Any]:
    """Of a manifest; none of one that is damaged."""
    try:
        return {str(name): tuple(stamp) for name, stamp in json.loads(content)["files"].items() if _is_below(name)}
    except _DAMAGED:
        return {}


def _is_below(name: str) -> bool:
    return not name.startswith("/") and ".." not in name.split("/")


def _noted(notes: Path) -> dict[str, str]:
    try:
        return {str(name): str(version) for name, version in json.loads(notes.read_text(encoding="utf-8")).items()}
    except (OSError, AttributeError, *_DAMAGED):
        return {}


def _knowledge(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.manifest")


def _known(folder: Path) -> bytes | None:
    try:
        return _knowledge(folder).read_bytes() if folder.is_dir() else None
    except OSError:
        return None


def _know(folder: Path, content: bytes) -> None:
    _knowledge(folder).write_bytes(content)
