"""Passes cut into short pieces, which the pose graph may move against each other: a long pass is bent in itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...arrays import Float, Int
from ...geometry import invert_sim3, sim3_exp, sim3_log
from .chunk_alignment import Spread, information_at
from .chunk_store import StoredPass
from .pose_graph import Edge

__all__ = ["Pieces", "cut"]


_PIECE_VIEWS = 12
_BEND = Spread(rotation_deg=1.0, centre=0.03, log_scale=0.02)  # from one piece to the next


@dataclass(frozen=True)
class Pieces:
    """The nodes of the pose graph. `first` (P,): the node of each pass's first piece; `middles`: for each pass, where
    in it the pieces have their middles; `count` nodes in all."""

    passes: tuple[StoredPass, ...]
    first: Int
    middles: tuple[Float, ...]
    count: int

    def node(self, order: int, position: float) -> int:
        """The node that a position in a pass belongs to."""
        return int(self.first[order] + np.abs(self.middles[order] - position).argmin())

    def edges(self, bend: float = 1.0) -> list[Edge]:
        """That the pieces of a pass are where the pass has them, up to `bend` times what passes bend by usually."""
        edges = []
        for order, one in enumerate(self.passes):
            for left in range(len(self.middles[order]) - 1):
                between = round(self.middles[order][left : left + 2].mean())
                node = int(self.first[order]) + left
                edges.append(Edge(node, node + 1, np.eye(4), _information(one, between) / bend**2))
        return edges

    def by_view(self, nodes: Float) -> list[Float]:
        """For each pass (V, 4, 4) similarities of its views, steadily changing from one piece's middle to the next."""
        placed = []
        for order, one in enumerate(self.passes):
            own = nodes[self.first[order] : self.first[order] + len(self.middles[order])]
            if len(own) == 1:
                placed.append(np.tile(own[0], (len(one), 1, 1)))
                continue
            place = np.interp(np.arange(len(one)), self.middles[order], np.arange(len(own)))
            left = np.minimum(place.astype(np.int64), len(own) - 2)
            step = sim3_log(invert_sim3(own[:-1]) @ own[1:])
            placed.append(own[left] @ sim3_exp((place - left)[:, None] * step[left]))
        return placed


def cut(passes: Sequence[StoredPass], bending: bool) -> Pieces:
    """Each pass in pieces of about a dozen views; in one where passes are not `bending`: held straight by anchors."""
    middles = []
    for one in passes:
        pieces = max(1, round(len(one) / _PIECE_VIEWS)) if bending else 1
        borders = np.linspace(0, len(one), pieces + 1)
        middles.append((borders[:-1] + borders[1:] - 1) / 2)
    lengths = np.array([len(middle) for middle in middles])
    first = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    return Pieces(tuple(passes), first.astype(np.int64), tuple(middles), int(lengths.sum()))


def _information(one: StoredPass, position: int) -> Float:
    """At the usable view nearest to a position; that of a view at the origin at depth 1 where there is none."""
    usable = np.flatnonzero(one.usable)
    if not len(usable):
        return information_at(np.eye(3, 4), 1.0, _BEND)
    nearest = int(usable[np.abs(usable - position).argmin()])
    depth = one.maps["depth"][nearest]
    with np.errstate(invalid="ignore"):
        known = depth[np.isfinite(depth) & (depth > 0)]
    return information_at(one.small["cam_from_world"][nearest], float(np.median(known)), _BEND)
