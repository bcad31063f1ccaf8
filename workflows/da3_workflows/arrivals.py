"""Which captures of a folder have arrived: uploads are whatever lies there and still changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from da3_pipeline.files.fingerprint import fingerprint
from da3_pipeline.storage.store import file_stamps

from .captures import entries_of

__all__ = ["Arrivals"]

_PARTIAL = frozenset({".aria2", ".crdownload", ".download", ".filepart", ".opdownload", ".part", ".partial", ".tmp"})
"""What browsers, curl, WinSCP, aria2 and others call a file that is not there as a whole; rsync's are hidden."""


@dataclass
class _Seen:
    """An entry as it was looked at. since_s: when it was first seen like this. taken: what it was when it was begun."""

    stamp: str
    since_s: float
    partial: str = ""
    taken: str = ""


@dataclass
class Arrivals:
    """What lies in `root` and has not changed for `settled_s` seconds: sizes and times of all its files.

    Judged by two looks of ours, never by a file's time beside our clock: clocks of file systems far away differ.
    """

    root: Path
    exclude: Path
    settled_s: float
    _seen: dict[str, _Seen] = field(default_factory=dict)

    def look(self, now_s: float) -> list[Path]:
        """Entries that have settled and are new, or have changed since they were taken; they count as taken now.

        Raises CaptureError where the folder cannot be listed.
        """
        entries = entries_of(self.root, self.exclude)
        before, self._seen = self._seen, {}
        settled = []
        for path in entries:
            seen = _renewed(before.get(path.name), path, now_s)
            self._seen[path.name] = seen
            whole = seen.stamp and not seen.partial and now_s - seen.since_s >= self.settled_s
            if whole and seen.stamp != seen.taken:
                seen.taken = seen.stamp
                settled.append(path)
        return settled

    def waiting(self) -> dict[str, str]:
        """What has not arrived as a whole yet, and what it waits for."""
        unsettled = {name: seen for name, seen in self._seen.items() if seen.stamp and seen.stamp != seen.taken}
        return {
            name: f"waits for {seen.partial}" if seen.partial else "is arriving" for name, seen in unsettled.items()
        }


def _renewed(seen: _Seen | None, path: Path, now_s: float) -> _Seen:
    stamps = file_stamps(str(path))
    stamp = fingerprint(stamps) if stamps else ""
    if seen is not None and seen.stamp == stamp:
        return seen
    partial = next((Path(name).name for name, _, _ in stamps if _is_partial(Path(name), path)), "")
    return _Seen(stamp, now_s, partial, seen.taken if seen else "")


def _is_partial(file: Path, entry: Path) -> bool:
    """By its own name, or that of a folder within the entry: Safari and Chrome have such."""
    below = (entry.name, *file.relative_to(entry).parts)
    return any(Path(part).suffix.lower() in _PARTIAL for part in below)
