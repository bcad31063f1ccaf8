"""Which images hold which in place: points that two of them see, and where few do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from ...arrays import Bool, Float, Int
from ...types import Scene
from ..config import ReportConfig
from .drawing import MAP_SIZE

__all__ = ["LinkGraph", "LinkMap", "drawn_links", "link_graph", "thin_places_document"]

_LOOKED_AT = 12
_PARTNERS = 3
_CLASSES = (0.15, 0.5)
"""Shares of the strongest link, between lines drawn faint, plain and strong."""


@dataclass(frozen=True)
class ThinPlace:
    """Where a scene would part first: its strongest link there, between frames a and b, the points that images on both
    sides see, and how many images are on the smaller side."""

    a: int
    b: int
    points: int
    smaller: int
    larger: int


@dataclass(frozen=True)
class LinkGraph:
    """Links (E, 2) between frames with the points that both see (E,), the strongest of each frame and all that hold
    the scene together. weakest: how many points both sides see where they are fewest; thin: the places where they are
    too few. alone: frames with a pose that share no point with any other; groups: of those that do, how many there are
    that share none with each other."""

    links: Int
    points: Int
    weakest: int
    thin: tuple[ThinPlace, ...]
    alone: tuple[int, ...]
    groups: int


@dataclass(frozen=True)
class LinkMap:
    """The graph as paths in a frame of MAP_SIZE: links by strength, frames, and thin places with where their numbers
    stand: (path, x, y)."""

    faint: str
    plain: str
    strong: str
    frames: str
    alone: str
    thin: tuple[tuple[str, float, float], ...]


def link_graph(scene: Scene, config: ReportConfig) -> LinkGraph | None:
    """Of the measured tracks; None where fewer than two frames have a pose or nothing is seen twice.

    The places are the weakest links of the maximum spanning tree: without one of them what is left on its two sides is
    held together by no link that is stronger.
    """
    count = len(scene.frames)
    posed = np.isfinite(scene.cam_from_world).all(axis=(1, 2))
    shared = _shared_points(scene, count)
    if posed.sum() < 2 or not shared.nnz:
        return None
    tree = _spanning_tree(shared)
    degree = np.asarray(shared.sum(axis=1)).ravel()
    best = np.asarray(shared.max(axis=1).todense()).ravel()
    fewest = config.thin_share * float(np.median(best[degree > 0]))
    strongest, weak = _strongest(shared, tree), _weak_places(scene, tree, shared)
    return LinkGraph(
        strongest,
        np.asarray(shared[strongest[:, 0], strongest[:, 1]]).ravel().astype(np.int64),
        weak[0].points,
        tuple(place for place in weak if place.points < fewest)[: config.most_thin_places],
        tuple(np.flatnonzero(posed & (degree == 0)).tolist()),
        int(connected_components(shared[degree > 0][:, degree > 0], directed=False)[0]),
    )


def thin_places_document(graph: LinkGraph | None, names: Sequence[str]) -> list[dict[str, Any]]:
    """The `thin_places` of report.json, the thinnest first."""
    return [
        {"between": [names[place.a], names[place.b]], "points": place.points, "images": [place.smaller, place.larger]}
        for place in (graph.thin if graph else ())
    ]


def drawn_links(graph: LinkGraph, centres: Float, posed: Bool) -> LinkMap:
    """Frames where their cameras (N, 3) stand, seen so that they lie widest apart; posed (N,): which are drawn."""
    places = np.full((len(centres), 2), np.nan)
    places[posed] = _flattened(centres[posed])
    strength = graph.points / max(int(graph.points.max(initial=1)), 1)
    level = np.searchsorted(_CLASSES, strength)
    shown = np.isfinite(places[graph.links]).all(axis=(1, 2))
    faint, plain, strong = (_lines(places, graph.links[shown & (level == one)]) for one in range(3))
    alone = np.array(graph.alone, dtype=np.intp)
    others = np.setdiff1d(np.flatnonzero(posed), alone)
    thin = []
    for place in graph.thin:
        middle = places[[place.a, place.b]].mean(axis=0).round(1).tolist()
        thin.append((_lines(places, np.array([[place.a, place.b]])), middle[0], middle[1]))
    return LinkMap(faint, plain, strong, _dots(places[others]), _dots(places[alone]), tuple(thin))


def _shared_points(scene: Scene, count: int) -> csr_matrix:
    """(N, N) symmetric: how many points two frames both see; nothing on the diagonal."""
    tracks = scene.tracks
    ones = np.ones(len(tracks.observation_frame), np.int32)
    seen = coo_matrix((ones, (tracks.observation_frame, tracks.observation_point)), (count, len(tracks))).tocsr()
    shared = (seen @ seen.T).tocsr()
    shared.setdiag(0)
    shared.eliminate_zeros()
    return shared


def _spanning_tree(shared: csr_matrix) -> Int:
    """(T, 2): the links that hold each group together by the most points."""
    weights = shared.astype(np.float64)
    weights.data = weights.data.max() + 1 - weights.data
    tree = minimum_spanning_tree(weights).tocoo()
    return np.stack([tree.row, tree.col], axis=1).astype(np.int64)


def _strongest(shared: csr_matrix, tree: Int) -> Int:
    """(E, 2): each frame's few strongest links, and those of the tree, each once."""
    kept = [np.sort(tree, axis=1)]
    for frame, (begin, end) in enumerate(pairwise(shared.indptr)):
        best = np.argsort(-shared.data[begin:end], kind="stable")[:_PARTNERS]
        partners = shared.indices[begin:end][best].astype(np.int64)
        kept.append(np.sort(np.stack([np.full(len(best), frame), partners], axis=1), axis=1))
    return np.unique(np.concatenate(kept), axis=0)


def _weak_places(scene: Scene, tree: Int, shared: csr_matrix) -> list[ThinPlace]:
    """Those at the weakest links of the tree, where the fewest points are seen from both sides first."""
    counts = np.asarray(shared[tree[:, 0], tree[:, 1]]).ravel()
    places = []
    for edge in np.argsort(counts, kind="stable")[:_LOOKED_AT]:
        a, b = tree[edge].tolist()
        side = _side(np.delete(tree, edge, axis=0), a, len(scene.frames))
        group = _side(tree, a, len(scene.frames))
        smaller, larger = sorted((int(side.sum()), int(group.sum() - side.sum())))
        places.append(ThinPlace(a, b, _seen_from_both(scene, side), smaller, larger))
    return sorted(places, key=lambda place: place.points)


def _side(tree: Int, frame: int, count: int) -> Bool:
    """(N,): which frames the links of a tree join to one of them."""
    graph = coo_matrix((np.ones(len(tree)), (tree[:, 0], tree[:, 1])), (count, count))
    labels = connected_components(graph, directed=False)[1]
    return np.asarray(labels == labels[frame])


def _seen_from_both(scene: Scene, side: Bool) -> int:
    """How many points are seen by frames on this side, and by others."""
    tracks = scene.tracks
    here = side[tracks.observation_frame]
    seen = [np.bincount(tracks.observation_point[part], minlength=len(tracks)) > 0 for part in (here, ~here)]
    return int((seen[0] & seen[1]).sum())


def _flattened(centres: Float) -> Float:
    """(N, 2) places in MAP_SIZE along the two axes in which the cameras lie widest."""
    offsets = centres - centres.mean(axis=0)
    axes = np.linalg.svd(offsets, full_matrices=False)[2][:2] if len(centres) > 1 else np.eye(3)[:2]
    across = offsets @ axes.T
    if across.shape[1] < 2:
        across = np.column_stack([across, np.zeros(len(across))])
    low, high = across.min(axis=0), across.max(axis=0)
    room = np.array(MAP_SIZE) - 28
    scale = float(np.min(room / np.maximum(high - low, 1e-9)))
    return np.array(MAP_SIZE) / 2 + (across - (low + high) / 2) * scale


def _lines(places: Float, links: Int) -> str:
    ends = places[links]
    return "".join(f"M{a[0]:.1f} {a[1]:.1f}L{b[0]:.1f} {b[1]:.1f}" for a, b in ends)


def _dots(places: Float) -> str:
    return "".join(f"M{x:.1f} {y:.1f}h0" for x, y in places)
