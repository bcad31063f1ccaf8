"""Folds that the order of the capture gives away: two sides of a thing look alike, and matches across outvote the rest.

Each picture shows much of what the one before shows, so that their matches can be trusted where those of pictures far
apart in the capture are doubtful. Chained along the capture, the rotations of neighbours say how any two pictures are
turned to each other, and whose matches are of look-alikes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree

from ...arrays import Bool, Float, Int
from ...geometry import rotation_angle_deg
from ...progress import Progress
from ..config import RefineConfig
from ..initialisation.candidates import compete
from ..initialisation.two_view import RelativePoses, relative_poses
from ..solve.contradictions import are_neighbours, refuted_neighbours
from ..solve.problem import Estimate
from ..solve.score import match_errors_px
from .solution import Solution

__all__ = ["chained_rotations", "in_capture_order", "joined_chains"]


def in_capture_order(solution: Solution, config: RefineConfig, progress: Progress) -> Solution:
    """The solution, or, where it refutes neighbours, another without the matches that the neighbours contradict.

    The other wins where it refutes fewer of them.
    """
    problem = solution.problem
    refuted = _refuted(solution, solution.winner.fit.estimate, config)
    if problem.given_poses or not refuted:
        return solution
    cameras, two_view = solution.winner.fit.estimate.cameras, config.initialisation.two_view
    relative = relative_poses(problem, cameras, two_view, config.seed)
    doubtful = _contradicted(solution, relative, config)[problem.matches.pair]
    if not doubtful.any():
        return solution
    other = solution.restated(config, correspondences=solution.correspondences.where(~doubtful))
    other = replace(other, candidates=compete(other.problem, config, progress, solution.trust, other.frames))
    if not other.candidates or _refuted(solution, other.winner.fit.estimate, config) >= refuted:
        return solution
    return other.saying({}, "things look alike here, and the order of the capture says which is which")


def chained_rotations(count: int, relative: RelativePoses, links: Bool) -> tuple[Float, Int]:
    """(N, 3, 3) cam_from_world rotations along the best supported of the `links` (Q,), and the number (N,) of the chain
    that each frame is in: rotations of one chain go together."""
    ends, support = relative.frames[links], relative.support[links]
    graph = csr_matrix((1 / np.maximum(support, 1), (ends[:, 0], ends[:, 1])), shape=(count, count))
    tree = minimum_spanning_tree(graph)
    chains, label = connected_components(tree, directed=False)
    step = {tuple(pair): pose for pair, pose in zip(ends.tolist(), relative.second_from_first[links], strict=True)}
    rotations = np.tile(np.eye(3), (count, 1, 1))
    for chain in range(chains):
        root = int(np.flatnonzero(label == chain)[0])
        order, before = breadth_first_order(tree, root, directed=False)
        for frame in order[1:].tolist():
            previous = int(before[frame])
            if (previous, frame) in step:
                rotations[frame] = step[previous, frame][:, :3] @ rotations[previous]
            else:
                rotations[frame] = step[frame, previous][:, :3].T @ rotations[previous]
    return rotations, label.astype(np.int64)


def joined_chains(rotations: Float, chain: Int, relative: RelativePoses, within_deg: float) -> tuple[Float, Int]:
    """Chains as `chained_rotations` gives them, turned onto each other two by two, the best supported first.

    Where pairs across ask for unlike turns, those with the most matches between them are believed.
    """
    rotations, chain = rotations.copy(), chain.copy()
    while True:
        ends = np.sort(chain[relative.frames], axis=1)
        across = np.flatnonzero(ends[:, 0] != ends[:, 1])
        if not len(across):
            return rotations, chain
        _, group = np.unique(ends[across], axis=0, return_inverse=True)
        joints = [across[group == number] for number in range(int(group.max()) + 1)]
        turns = [_best_turn(rotations, chain, relative, joint, within_deg) for joint in joints]
        best = int(np.argmax([support for support, _ in turns]))
        kept, moved = ends[joints[best][0]]
        members = chain == moved
        rotations[members] = rotations[members] @ turns[best][1]
        chain[members] = kept


def _best_turn(
    rotations: Float, chain: Int, relative: RelativePoses, joint: Int, within_deg: float
) -> tuple[float, Float]:
    """Support and turn (3, 3), moved chain's world from kept one's, that most of the matches across a joint ask for.

    The chain of lower number is the one that is kept.
    """
    first, second = relative.frames[joint].T
    measured = relative.second_from_first[joint, :, :3]
    forth = (chain[first] < chain[second])[:, None, None]
    kept = np.where(forth, rotations[first], rotations[second])
    moved = np.where(forth, rotations[second], rotations[first])
    moved_from_kept = np.where(forth, measured, np.swapaxes(measured, 1, 2))
    asked = np.swapaxes(moved, 1, 2) @ moved_from_kept @ kept
    apart = np.stack([rotation_angle_deg(asked, np.broadcast_to(turn, asked.shape)) for turn in asked])
    support = (apart < within_deg) @ relative.support[joint].astype(float)
    best = int(support.argmax())
    return float(support[best]), asked[best]


def _contradicted(solution: Solution, relative: RelativePoses, config: RefineConfig) -> Bool:
    """(Q,) pairs of the problem, no neighbours themselves, whose own rotation is far from that of the chain."""
    pairs = solution.problem.matches.frames
    links = are_neighbours(solution.frames, relative.frames, config.contradictions)
    within_deg = config.contradictions.chain_deg
    chains = chained_rotations(len(solution.frames), relative, links)
    rotations, chain = joined_chains(*chains, relative, within_deg)
    first, second = relative.frames.T
    implied = rotations[second] @ np.swapaxes(rotations[first], 1, 2)
    off = rotation_angle_deg(implied, relative.second_from_first[:, :, :3]) > within_deg
    wrong = relative.frames[off & ~links & (chain[first] == chain[second])]
    known = {tuple(pair) for pair in wrong.tolist()}
    return np.array([tuple(pair) in known for pair in pairs.tolist()], bool)


def _refuted(solution: Solution, estimate: Estimate, config: RefineConfig) -> int:
    """Number of neighbours of the solution's own matches that an estimate refutes."""
    errors_px = match_errors_px(solution.problem, estimate)
    return len(refuted_neighbours(solution.frames, solution.problem, errors_px, config.contradictions))
