"""Similarities of many worlds from measurements between pairs of them, some of which may be plainly wrong.

A node is the transform world_from_node, an edge a measured first_from_second with its (7, 7) information; its residual

    r = Log(first_from_world * world_from_second * second_from_first)

is a tangent at the first node's side. Levenberg-Marquardt with sparse normal equations. Edges in a chain keep the
graph together: their loss is Huber's, which is convex. Edges that close a loop can be switched off: their loss is
Geman and McClure's, made less and less convex (graduated non-convexity: Yang, Antonante, Tzoumas, Carlone, RA-L 2020),
so that right loops with a large drift to mend are not mistaken for wrong ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve

from ...arrays import Float
from ...geometry import inverse_right_jacobian, invert_sim3, sim3_adjoint, sim3_exp, sim3_log
from ..config import GraphConfig

__all__ = ["Edge", "Solution", "chained", "solve_graph"]


_CONVERGED = 1e-9


@dataclass(frozen=True)
class Edge:
    """A measured similarity (4, 4) between two nodes. `closes_loop`: it may be wrong and is switched off if it is."""

    first: int
    second: int
    first_from_second: Float
    information: Float
    closes_loop: bool = False


@dataclass(frozen=True)
class Solution:
    """world_from_node (N, 4, 4); weight (E,) that edges were left with, about 1 if right, 0 for wrong loops."""

    world_from_node: Float
    weight: Float


def chained(count: int, edges: Sequence[Edge], root: int = 0) -> Float:
    """(count, 4, 4) world_from_node along the edges that close no loop, the best known first, from `root` onwards.

    Nodes that no such edge reaches start at their predecessor's place.
    """
    neighbours: list[list[tuple[float, int, Float]]] = [[] for _ in range(count)]
    for edge in edges:
        if not edge.closes_loop:
            surety = float(np.linalg.slogdet(edge.information + 1e-12 * np.eye(7))[1])
            neighbours[edge.first].append((surety, edge.second, edge.first_from_second))
            neighbours[edge.second].append((surety, edge.first, invert_sim3(edge.first_from_second)))
    nodes = np.tile(np.eye(4), (count, 1, 1))
    reached = np.zeros(count, bool)
    for start in [root, *range(count)]:
        if reached[start]:
            continue
        nodes[start] = nodes[start - 1] if start and reached[start - 1] else np.eye(4)
        reached[start] = True
        queue = deque([start])
        while queue:
            here = queue.popleft()
            for _, there, here_from_there in sorted(neighbours[here], key=lambda entry: -entry[0]):
                if not reached[there]:
                    nodes[there] = nodes[here] @ here_from_there
                    reached[there] = True
                    queue.append(there)
    return nodes


def solve_graph(nodes: Float, edges: Sequence[Edge], config: GraphConfig, fixed: int = 0) -> Solution:
    """The nodes (N, 4, 4) moved so that the edges agree best; node `fixed` stays where it is."""
    if not edges or len(nodes) < 2:
        return Solution(nodes.copy(), np.ones(len(edges)))
    graph = _Graph(edges, len(nodes), fixed, config.likely)
    squared = graph.squared(nodes)
    loops = graph.closes_loop
    worst = float(squared[loops].max()) if loops.any() else 0.0
    convexity = max(1.0, 2 * worst / config.likely)
    while convexity > 1:
        nodes = graph.improve(nodes, convexity, config.inner_steps)
        convexity = max(1.0, convexity / config.convexity_step)
    nodes = graph.improve(nodes, 1.0, config.final_steps)
    return Solution(nodes, graph.weights(graph.squared(nodes), 1.0))


class _Graph:
    """The edges as stacked arrays, and the steps on them."""

    def __init__(self, edges: Sequence[Edge], count: int, fixed: int, likely: float) -> None:
        self._likely = likely
        self._first = np.array([edge.first for edge in edges])
        self._second = np.array([edge.second for edge in edges])
        self._second_from_first = invert_sim3(np.stack([edge.first_from_second for edge in edges]))
        self._carry = sim3_adjoint(np.stack([edge.first_from_second for edge in edges]))
        information = np.stack([(edge.information + edge.information.T) / 2 for edge in edges])
        values, vectors = np.linalg.eigh(information)
        self._whiten = np.sqrt(np.maximum(values, 0))[..., None] * np.swapaxes(vectors, 1, 2)
        self.closes_loop = np.array([edge.closes_loop for edge in edges])
        self._count = count
        self._free = np.delete(np.arange(count), fixed)

    def squared(self, nodes: Float) -> Float:
        """(E,) squared residuals in units of their sigma."""
        return np.asarray((self._residuals(nodes[self._first], nodes[self._second]) ** 2).sum(1))

    def weights(self, squared: Float, convexity: float) -> Float:
        chain = np.minimum(1.0, np.sqrt(self._likely / np.maximum(squared, 1e-300)))
        scale = convexity * self._likely
        return np.where(self.closes_loop, (scale / (squared + scale)) ** 2, chain)

    def improve(self, nodes: Float, convexity: float, steps: int) -> Float:
        """Up to `steps` accepted steps at one convexity."""
        damping, taken = 1e-6, 0
        cost = self._cost(self.squared(nodes), convexity)
        for _ in range(3 * steps):
            moved = self._step(nodes, self.weights(self.squared(nodes), convexity), damping)
            found = self._cost(self.squared(moved), convexity)
            if not found <= cost:  # nor where it is NaN
                damping *= 10
                if damping > 1e6:
                    break
                continue
            improvement, nodes, cost = cost - found, moved, found
            damping, taken = max(damping / 10, 1e-9), taken + 1
            if taken >= steps or improvement <= _CONVERGED * (1 + cost):
                break
        return nodes

    def _cost(self, squared: Float, convexity: float) -> float:
        """The robust losses whose derivatives the weights are."""
        scale = convexity * self._likely
        chain = np.where(squared <= self._likely, squared, 2 * np.sqrt(self._likely * squared) - self._likely)
        return float(np.where(self.closes_loop, scale * squared / (squared + scale), chain).sum())

    def _residuals(self, first: Float, second: Float) -> Float:
        """(E, 7) whitened."""
        raw = sim3_log(invert_sim3(first) @ second @ self._second_from_first)
        return np.asarray((self._whiten @ raw[..., None])[..., 0])

    def _step(self, nodes: Float, weights: Float, damping: float) -> Float:
        first, second = nodes[self._first], nodes[self._second]
        raw = sim3_log(invert_sim3(first) @ second @ self._second_from_first)
        residuals = (self._whiten @ raw[..., None])[..., 0]
        jacobians = [
            -self._whiten @ inverse_right_jacobian(-raw),
            self._whiten @ inverse_right_jacobian(raw) @ self._carry,
        ]
        matrix = self._assemble(jacobians, np.sqrt(weights))
        normal = (matrix.T @ matrix).tocsc()
        gradient = matrix.T @ (np.sqrt(weights)[:, None] * residuals).ravel()
        diagonal = np.maximum(normal.diagonal(), 1e-12)
        delta = np.zeros((self._count, 7))
        solution = spsolve(normal + sparse.diags_array(damping * diagonal + 1e-12).tocsc(), -gradient)
        delta[self._free] = np.asarray(solution).reshape(-1, 7)
        return nodes @ sim3_exp(delta)

    def _assemble(self, jacobians: list[Float], root_weights: Float) -> sparse.csr_array:
        """(7 E, 7 free nodes) sparse."""
        column = np.full(self._count, -1)
        column[self._free] = np.arange(len(self._free))
        rows, columns, values = [], [], []
        for jacobian, nodes in zip(jacobians, (self._first, self._second), strict=True):
            there = np.flatnonzero(column[nodes] >= 0)
            grid = np.broadcast_to(7 * there[:, None, None] + np.arange(7)[:, None], (len(there), 7, 7))
            across = np.broadcast_to(7 * column[nodes][there][:, None, None] + np.arange(7), (len(there), 7, 7))
            rows.append(grid.ravel())
            columns.append(across.ravel())
            values.append((root_weights[there][:, None, None] * jacobian[there]).ravel())
        shape = (7 * len(root_weights), 7 * len(self._free))
        entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
        return sparse.csr_array(sparse.coo_array(entries, shape=shape))
