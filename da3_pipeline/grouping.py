"""Elements by the group that they belong to, sorted once: no group costs a pass over all elements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arrays import Int

__all__ = ["Groups"]


@dataclass(frozen=True)
class Groups:
    """Indices of elements in G groups: `groups[g]` are those of group g, rising.

    order: all of them, group by group; starts (G + 1,): where in it each group begins, and the last one ends.
    """

    order: Int
    starts: Int

    @classmethod
    def of(cls, group: Int, count: int) -> Groups:
        """`group` (K,) is the number of each element's group; elements with a number outside 0..count-1 are in none."""
        order = np.argsort(group, kind="stable")
        return cls(order, np.searchsorted(group[order], np.arange(count + 1)))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, group: int) -> Int:
        if not 0 <= group < len(self):
            raise IndexError(f"no group {group} among {len(self)}")
        return self.order[self.starts[group] : self.starts[group + 1]]

    @property
    def sizes(self) -> Int:
        """(G,) how many elements each group has."""
        return np.diff(self.starts)

    @property
    def filled(self) -> list[int]:
        """The groups that have any elements."""
        return np.flatnonzero(self.sizes).tolist()
