"""Graphs of similarities with known truth: drift goes, wrong loops are switched off, nothing degenerate crashes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import least_squares

from da3_pipeline.geometry import invert_sim3, sim3_exp, sim3_log
from da3_pipeline.infer.config import GraphConfig
from da3_pipeline.infer.sequence.pose_graph import Edge, chained, solve_graph

Array = NDArray[np.float64]
SIGMA = np.array([0.02, 0.02, 0.02, 0.01, 0.01, 0.01, 0.02])
CONFIG = GraphConfig()
INFORMATION = np.diag(1 / SIGMA**2)


def ring(count: int) -> Array:
    """(count, 4, 4) places on a circle of radius 5, each turned to where it goes, with scales of their own."""
    angle = 2 * np.pi * np.arange(count) / count
    scale = np.linspace(0, 0.3, count)
    zero = np.zeros(count)
    places = np.stack([5 * np.cos(angle) - 5, 5 * np.sin(angle), zero], axis=1)
    nodes = sim3_exp(np.column_stack([zero, zero, zero, zero, zero, angle, scale]))
    nodes[:, :3, 3] = places
    return nodes


def measure(truth: Array, first: int, second: int, noise: Array, **options: bool) -> Edge:
    exact = invert_sim3(truth[first]) @ truth[second]
    return Edge(first, second, sim3_exp(noise) @ exact, INFORMATION, **options)


def chain(truth: Array, rng: np.random.Generator, level: float = 1.0) -> list[Edge]:
    return [measure(truth, i, i + 1, level * SIGMA * rng.normal(size=7)) for i in range(len(truth) - 1)]


def residual(nodes: Array, edge: Edge) -> Array:
    """(7,) as the module's head defines it."""
    return sim3_log(invert_sim3(nodes[edge.first]) @ nodes[edge.second] @ invert_sim3(edge.first_from_second))


def errors(found: Array, truth: Array) -> Array:
    """(N,) distances of the places after the gauge (node 0) is taken out."""
    aligned = truth[0] @ invert_sim3(found[0]) @ found
    return np.asarray(np.linalg.norm(aligned[:, :3, 3] - truth[:, :3, 3], axis=1))


def test_exact_measurements_give_the_truth_and_leave_the_gauge_alone() -> None:
    truth = ring(12)
    edges = [*chain(truth, np.random.default_rng(0), level=0.0), measure(truth, 11, 0, np.zeros(7), closes_loop=True)]
    start = chained(12, edges)
    solution = solve_graph(start, edges, CONFIG)
    np.testing.assert_allclose(solution.world_from_node[0], np.eye(4), atol=1e-12)
    np.testing.assert_allclose(truth[0] @ solution.world_from_node, truth, atol=1e-6)
    np.testing.assert_allclose(solution.weight, 1, atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_a_closed_loop_takes_the_drift_out(seed: int) -> None:
    truth, rng = ring(40), np.random.default_rng(seed)
    edges = chain(truth, rng)
    edges += [measure(truth, 39 - k, k, SIGMA * rng.normal(size=7), closes_loop=True) for k in range(3)]
    start = chained(40, edges)
    solution = solve_graph(start, edges, CONFIG)
    before, after = errors(start, truth), errors(solution.world_from_node, truth)
    assert before[-1] > 0.15
    assert after[-1] < 0.1
    assert after.mean() < 0.7 * before.mean()
    assert (solution.weight[39:] > 0.2).all()


@pytest.mark.parametrize("seed", range(4))
def test_wrong_loops_are_switched_off_and_right_ones_kept(seed: int) -> None:
    truth, rng = ring(40), np.random.default_rng(seed)
    right = [*chain(truth, rng), *(measure(truth, 39 - k, k, np.zeros(7), closes_loop=True) for k in range(4))]
    wild = [
        Edge(int(a), int(b), sim3_exp(rng.normal(size=7)), INFORMATION, closes_loop=True)
        for a, b in rng.integers(0, 40, (6, 2))
        if a != b
    ]
    alone = solve_graph(chained(40, right), right, CONFIG)
    solution = solve_graph(chained(40, right), [*right, *wild], CONFIG)
    assert (solution.weight[39:43] > 0.5).all()
    assert (solution.weight[43:] < 0.01).all()
    np.testing.assert_allclose(solution.world_from_node, alone.world_from_node, atol=0.02)


def test_an_edge_of_no_information_changes_nothing() -> None:
    truth, rng = ring(8), np.random.default_rng(5)
    edges = chain(truth, rng)
    start = chained(8, edges)
    idle = Edge(0, 7, sim3_exp(rng.normal(size=7)), np.zeros((7, 7)), closes_loop=True)
    np.testing.assert_allclose(solve_graph(start, [*edges, idle], CONFIG).world_from_node, start, atol=1e-6)


def test_a_scale_that_nothing_measures_stays() -> None:
    """Where one direction of an edge says nothing, the start decides and the system stays solvable."""
    truth = ring(5)
    information = INFORMATION.copy()
    information[6, 6] = 0
    edges = [Edge(i, i + 1, invert_sim3(truth[i]) @ truth[i + 1], information) for i in range(4)]
    solution = solve_graph(chained(5, edges), edges, CONFIG)
    np.testing.assert_allclose(truth[0] @ solution.world_from_node, truth, atol=1e-5)


def test_parts_without_connection_stay_where_they_start() -> None:
    truth = ring(6)
    edges = [measure(truth, a, b, np.zeros(7)) for a, b in ((0, 1), (1, 2), (4, 5))]
    start = chained(6, edges)
    np.testing.assert_allclose(start[3], start[2])
    np.testing.assert_allclose(start[4], start[3])
    solution = solve_graph(start, edges, CONFIG)
    np.testing.assert_allclose(solution.world_from_node, start, atol=1e-6)


def test_single_nodes_and_empty_graphs_are_returned() -> None:
    one = np.eye(4)[None]
    np.testing.assert_array_equal(solve_graph(one, [], CONFIG).world_from_node, one)
    apart = solve_graph(ring(3), [], CONFIG)
    np.testing.assert_array_equal(apart.world_from_node, ring(3))
    assert len(apart.weight) == 0
    np.testing.assert_array_equal(solve_graph(one, [measure(one, 0, 0, SIGMA)], CONFIG).weight, [1.0])


def test_any_node_can_hold_the_gauge() -> None:
    truth, rng = ring(10), np.random.default_rng(6)
    edges = [*chain(truth, rng), measure(truth, 9, 0, np.zeros(7), closes_loop=True)]
    start = chained(10, edges)
    first, fifth = (solve_graph(start, edges, CONFIG, fixed).world_from_node for fixed in (0, 5))
    np.testing.assert_allclose(fifth[5], start[5], atol=1e-12)
    relative = invert_sim3(first[:1]) @ first, invert_sim3(fifth[:1]) @ fifth
    np.testing.assert_allclose(sim3_log(invert_sim3(relative[0]) @ relative[1]), 0, atol=1e-4)


def along_x(places: Sequence[float], sigma: float = 0.02, **options: bool) -> list[Edge]:
    """Edges from node 0 to node 1, each of which says how far along x that is; everything else is known well."""
    information = np.diag([sigma**-2, *6 * [1e8]])
    return [Edge(0, 1, sim3_exp(np.array([place, 0, 0, 0, 0, 0, 0])), information, **options) for place in places]


def found_x(edges: list[Edge], config: GraphConfig = CONFIG) -> tuple[float, Array]:
    solution = solve_graph(np.tile(np.eye(4), (2, 1, 1)), edges, config)
    return float(solution.world_from_node[1, 0, 3]), solution.weight


def test_a_wrong_link_of_the_chain_pulls_with_limited_force() -> None:
    """Huber: beyond sqrt(16.6) sigmas an edge pulls as at that distance, so nine others give way by a ninth of it."""
    sigma, edge = 0.02, np.sqrt(CONFIG.likely)
    x, weight = found_x(along_x([*9 * [0.0], 5.0], sigma))
    assert x == pytest.approx(edge * sigma / 9, rel=1e-4)
    np.testing.assert_allclose(weight, [*9 * [1.0], edge * sigma / (5.0 - x)], rtol=1e-4)
    x, weight = found_x(along_x([*9 * [0.0], 0.9 * edge * sigma], sigma))
    assert x == pytest.approx(0.09 * edge * sigma, rel=1e-4)
    np.testing.assert_allclose(weight, 1)


@pytest.mark.parametrize("likely", [4.0, 16.6])
@pytest.mark.parametrize("far", [0.05, 0.12, 0.3])
def test_a_loop_pulls_the_less_the_further_it_is_off(far: float, likely: float) -> None:
    """Against a chain at 0: at the minimum of (x / s)^2 + L q / (q + L) with q = ((far - x) / s)^2."""
    sigma = 0.02
    edges = [*along_x([0.0], sigma), *along_x([far], sigma, closes_loop=True)]
    x, weight = found_x(edges, GraphConfig(likely=likely, final_steps=200))
    places = np.linspace(-0.1, 0.4, 500_001)
    squared = ((places - far) / sigma) ** 2
    chain = np.where(np.abs(places) <= sigma * np.sqrt(likely), (places / sigma) ** 2, np.inf)
    best = places[np.argmin(chain + likely * squared / (squared + likely))]
    assert x == pytest.approx(best, abs=3e-5)
    squared = ((x - far) / sigma) ** 2
    np.testing.assert_allclose(weight, [1.0, (likely / (squared + likely)) ** 2], rtol=1e-6)


def test_general_graphs_are_solved_to_the_least_squares() -> None:
    """Edges of any direction, with information that couples everything, against a solver that differentiates itself."""
    rng, truth = (
        np.random.default_rng(3),
        sim3_exp(np.random.default_rng(4).normal(0, [2, 2, 2, 0.6, 0.6, 0.6, 0.3], (5, 7))),
    )
    edges = []
    for first, second in ((0, 1), (2, 1), (2, 3), (4, 3), (4, 0), (1, 3), (3, 0)):
        root = rng.normal(size=(7, 7)) + 3 * np.eye(7)
        noise = sim3_exp(0.08 * rng.normal(size=7))
        edges.append(Edge(first, second, noise @ invert_sim3(truth[first]) @ truth[second], root.T @ root))
    start = chained(5, edges, root=2)

    def residuals(x: Array) -> Array:
        nodes = start.copy()
        nodes[[0, 1, 3, 4]] = start[[0, 1, 3, 4]] @ sim3_exp(x.reshape(4, 7))
        raw = [
            sim3_log(invert_sim3(nodes[e.first]) @ nodes[e.second] @ invert_sim3(e.first_from_second)) for e in edges
        ]
        return np.concatenate([np.linalg.cholesky(e.information).T @ r for e, r in zip(edges, raw, strict=True)])

    best = least_squares(residuals, np.zeros(28), xtol=1e-14, ftol=1e-14, gtol=1e-14)
    solution = solve_graph(start, edges, CONFIG, 2)
    assert np.linalg.norm(residuals(np.zeros(28))) > 1.2 * np.sqrt(2 * best.cost)
    np.testing.assert_array_equal(solution.world_from_node[2], start[2])
    np.testing.assert_allclose(
        solution.world_from_node[[0, 1, 3, 4]], start[[0, 1, 3, 4]] @ sim3_exp(best.x.reshape(4, 7)), atol=2e-4
    )
    np.testing.assert_allclose(solution.weight, 1)
    off = [
        np.abs(solve_graph(start, edges, GraphConfig(final_steps=steps), 2).world_from_node - solution.world_from_node)
        for steps in (1, 2, 3, 4)
    ]
    for before, after in itertools.pairwise(off):
        assert after.max() < 0.1 * before.max()  # as Gauss and Newton's steps do, and only they


def robust_cost(nodes: Array, edges: Sequence[Edge], likely: float) -> float:
    """Huber's loss of links, Geman and McClure's of loops."""
    first, second = nodes[[edge.first for edge in edges]], nodes[[edge.second for edge in edges]]
    measured = np.stack([edge.first_from_second for edge in edges])
    off = sim3_log(invert_sim3(first) @ second @ invert_sim3(measured))
    squared = np.einsum("ea,eab,eb->e", off, np.stack([edge.information for edge in edges]), off)
    link = np.where(squared <= likely, squared, 2 * np.sqrt(likely * squared) - likely)
    loops = np.array([edge.closes_loop for edge in edges])
    return float(np.where(loops, likely * squared / (squared + likely), link).sum())


@pytest.mark.parametrize("seed", range(3))
def test_at_the_solution_the_robust_cost_is_level(seed: int) -> None:
    """Links and loops of which some are wrong, by a little and by much."""
    truth, rng = ring(6), np.random.default_rng(seed)
    edges = chain(truth, rng)
    edges += [measure(truth, a, b, f * SIGMA * rng.normal(size=7)) for a, b, f in ((0, 2, 2), (1, 4, 6), (3, 5, 20))]
    edges += [
        measure(truth, a, b, f * SIGMA * rng.normal(size=7), closes_loop=True)
        for a, b, f in ((0, 5, 1), (1, 5, 1), (0, 4, 3), (2, 5, 20))
    ]
    nodes = solve_graph(chained(6, edges), edges, GraphConfig(final_steps=100)).world_from_node

    def slopes(at: Array) -> Array:
        steps = [(node, sim3_exp(sign * 1e-5 * np.eye(7))) for node in range(1, 6) for sign in (1, -1)]
        costs = []
        for node, moves in steps:
            for move in moves:
                moved = at.copy()
                moved[node] = at[node] @ move
                costs.append(robust_cost(moved, edges, CONFIG.likely))
        ahead, behind = np.moveaxis(np.reshape(costs, (5, 2, 7)), 1, 0)
        return (ahead - behind) / 2e-5

    tenth = nodes.copy()
    tenth[3] = nodes[3] @ sim3_exp(0.1 * SIGMA)
    assert np.abs(slopes(nodes)).max() < 0.05 * np.abs(slopes(tenth)).max()


@pytest.mark.parametrize("more", ["skew", "negative"])
def test_only_what_information_says_of_squares_counts(more: str) -> None:
    """Its skew part says nothing, and less than nothing is nothing."""
    rng = np.random.default_rng(7)
    truth = ring(4)
    edges, odd = [], []
    for first, second in ((0, 1), (1, 2), (2, 3), (0, 3), (0, 2)):
        root = rng.normal(size=(7, 7)) + 3 * np.eye(7)
        plain = root.T @ root
        skew = rng.normal(size=(7, 7))
        other = plain + 5 * (skew - skew.T)
        if more == "negative":
            values, vectors = np.linalg.eigh(plain)
            values[0] = 0
            plain = (vectors * values) @ vectors.T
            values[0] = -20
            other = (vectors * values) @ vectors.T
        exact = sim3_exp(0.05 * rng.normal(size=7)) @ invert_sim3(truth[first]) @ truth[second]
        edges.append(Edge(first, second, exact, plain))
        odd.append(Edge(first, second, exact, other))
    start = chained(4, edges)
    wanted, found = (solve_graph(start, one, CONFIG).world_from_node for one in (edges, odd))
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert np.abs(wanted - start).max() > 0.01


def test_the_start_follows_the_surest_edges_from_the_root() -> None:
    """Two edges lead to node 3: the vague one is not taken though it comes first, nor is a loop."""
    by_x = lambda x: sim3_exp(np.array([x, 0, 0, 0, 0, 0, 0]))  # noqa: E731
    edges = [
        Edge(1, 3, by_x(50.0), 0.01 * INFORMATION),
        Edge(3, 1, by_x(-1.0), INFORMATION),  # against the direction in which it is walked
        Edge(1, 2, by_x(2.0), INFORMATION),
        Edge(0, 2, by_x(90.0), INFORMATION, closes_loop=True),
    ]
    nodes = chained(4, edges, root=1)
    np.testing.assert_allclose(nodes[:, 0, 3], [0.0, 0.0, 2.0, 1.0], atol=1e-12)
    behind = chained(3, [Edge(1, 2, by_x(5.0), INFORMATION)], root=1)
    np.testing.assert_allclose(behind[:, 0, 3], [0.0, 0.0, 5.0], atol=1e-12)


def test_the_loops_decide_how_convex_the_beginning_is() -> None:
    """Thirty steps of drift are mended though every loop is far off at the start."""
    truth = ring(30)
    drift = np.array([0.02, 0, 0, 0, 0, 0.01, 0.015])
    edges = [measure(truth, i, i + 1, drift) for i in range(29)]
    edges += [measure(truth, 29 - k, k, np.zeros(7), closes_loop=True) for k in range(4)]
    start = chained(30, edges)
    solution = solve_graph(start, edges, CONFIG)
    assert (solution.weight > 0.5).all()
    assert errors(solution.world_from_node, truth).max() < 0.25 * errors(start, truth).max()
    off = residual(start, edges[29]) / SIGMA
    assert (CONFIG.likely / (off @ off + CONFIG.likely)) ** 2 < 1e-3, "switched off if judged at the start"


def test_the_majority_of_the_loops_is_found_step_by_step() -> None:
    """Six loops say 0, four say 2 or so, the chain says 0.7: all are far off where the search begins."""
    (link,) = along_x([0.7], sigma=0.05)
    right, wrong = along_x(6 * [0.0], closes_loop=True), along_x([1.8, 2.0, 2.2, 2.4], closes_loop=True)
    x, weight = found_x([link, *right, *wrong])
    assert 6 * x / 0.02**2 == pytest.approx(np.sqrt(CONFIG.likely) / 0.05, rel=0.05)  # the link pulls, limited
    np.testing.assert_allclose(weight[1:], [*6 * [1.0], *4 * [0.0]], atol=0.02)
    at_once, _ = found_x([link, *right, *wrong], GraphConfig(convexity_step=1e9))
    assert at_once > 0.5, "the case must need the steps"
