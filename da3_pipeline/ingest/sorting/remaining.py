"""The files of a capture that may still be photographs, and who speaks of the view of whom."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..scan import FoundFile
from .contents import Contents
from .roles import core, place, roles_of, time_of

__all__ = ["Remaining", "spread"]

Key = tuple[object, ...]
Item = TypeVar("Item")


@dataclass
class Remaining:
    """Files in natural order, and what may be asked about all of them together.

    meshes: files of 3-D models and their materials that lie beside.
    """

    files: Sequence[FoundFile]
    contents: Contents
    meshes: Sequence[Path] = ()
    _roles: dict[FoundFile, tuple[str, ...]] = field(default_factory=dict)

    def without(self, files: Collection[FoundFile]) -> Remaining:
        left = [file for file in self.files if file not in files]
        return Remaining(left, self.contents, self.meshes, self._roles)

    def roles(self, file: FoundFile) -> tuple[str, ...]:
        """The parts that the file may play by its name, the most telling one first."""
        if file not in self._roles:
            self._roles[file] = roles_of(file.below or "", file.path.stem)
        return self._roles[file]

    def called(self, role: str) -> list[list[FoundFile]]:
        """The pictures whose first part by name it is, those of one folder together: they are of one kind."""
        return self.by_folder(file for file in self.pictures if self.roles(file)[:1] == (role,))

    @cached_property
    def pictures(self) -> list[FoundFile]:
        return [file for file in self.files if file.kind == "photo"]

    def by_folder(self, files: Iterable[FoundFile]) -> list[list[FoundFile]]:
        """Files of one folder of one source together."""
        groups: dict[Key, list[FoundFile]] = defaultdict(list)
        for file in files:
            groups[_root(file), file.path.parent].append(file)
        return list(groups.values())

    def partner(self, file: FoundFile, role: str | None) -> FoundFile | None:
        """The picture of the same view by its name, of those that cannot be of that part: in the same place but for
        the words of the part, or the only one called so, or by time."""
        views = self._views(role)
        root, below, stem = _root(file), file.below or "", file.path.stem
        found = [other for other in views.by_view[root, place(below, role), core(stem, role)] if other is not file]
        if not found:
            found = [other for other in views.by_core[root, core(stem, role)] if other is not file]
            if len(found) > 1:
                found = [other for other in found if not self.roles(other)]
            found = found if len(found) == 1 else []
        return found[0] if found else views.at_the_time(root, place(below, role), time_of(stem))

    def video(self, file: FoundFile, role: str) -> FoundFile | None:
        """The video that a file beside may be of: in the same place, or called as one of the folders of the file."""
        own = place(file.below or "", role)
        for clip in self._clips:
            if _root(clip) == _root(file):
                at = place(clip.below or "", role)
                if own in (at, (*at, core(clip.path.stem, role))):
                    return clip
        return None

    @cached_property
    def _clips(self) -> list[FoundFile]:
        return [file for file in self.files if file.kind == "video"]

    def _views(self, role: str | None) -> _Views:
        if role not in self._by_role:
            self._by_role[role] = _Views(role, (file for file in self.pictures if role not in self.roles(file)))
        return self._by_role[role]

    @cached_property
    def _by_role(self) -> dict[str | None, _Views]:
        return {}


class _Views:
    """Pictures by the view that their names tell, as seen by files of one part."""

    def __init__(self, role: str | None, files: Iterable[FoundFile]) -> None:
        self.by_view: dict[Key, list[FoundFile]] = defaultdict(list)
        self.by_core: dict[Key, list[FoundFile]] = defaultdict(list)
        timed: dict[Key, list[tuple[float, FoundFile]]] = defaultdict(list)
        for file in files:
            root, at, stem = _root(file), place(file.below or "", role), file.path.stem
            self.by_view[root, at, core(stem, role)].append(file)
            self.by_core[root, core(stem, role)].append(file)
            if (time := time_of(stem)) is not None:
                timed[root, at].append((time, file))
        self._timed = {key: sorted(pairs, key=lambda pair: pair[0]) for key, pairs in timed.items()}
        self._steps = {key: _usual_step(pairs) for key, pairs in self._timed.items()}

    def at_the_time(self, root: object, at: tuple[str, ...], time: float | None) -> FoundFile | None:
        """The picture nearest in time, within the usual time between two of them."""
        pairs = self._timed.get((root, at), [])
        if time is None or len(pairs) < 2:
            return None
        after = min(max(bisect_left(pairs, time, key=lambda pair: pair[0]), 1), len(pairs) - 1)
        nearest = min((pairs[after - 1], pairs[after]), key=lambda pair: abs(pair[0] - time))
        return nearest[1] if abs(nearest[0] - time) <= self._steps[root, at] else None


def _usual_step(pairs: Sequence[tuple[float, FoundFile]]) -> float:
    return float(np.median(np.diff([time for time, _ in pairs]))) if len(pairs) > 1 else 0.0


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """At most `count` items, evenly from the first to the last."""
    if len(items) <= count:
        return list(items)
    return [items[round(k * (len(items) - 1) / (count - 1))] for k in range(count)]


def _root(file: FoundFile) -> object:
    """What a file may have partners in: its source, or the folder that it is in where it was given itself."""
    return file.source if file.below is not None else file.path.parent
