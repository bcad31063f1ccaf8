"""A fold shows where its parts meet, however well each holds together; false matches all over are no fold."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import cv2
import numpy as np
import pytest
from scenes import Make

from da3_pipeline.arrays import Bool, Int
from da3_pipeline.geometry import compose
from da3_pipeline.refine.matching import sweeps as module
from da3_pipeline.refine.solve.problem import Matches, Problem
from da3_pipeline.refine.solve.score import match_errors_px
from da3_pipeline.refine.verdict.folds import weakest_cut


@pytest.mark.parametrize("folded", [0, 2, 4])
def test_the_cut_of_a_fold_is_found(make_capture: Make, folded: int) -> None:
    capture = make_capture(frames=12, false_matches=0.1)
    problem = capture.problem()
    poses = capture.cam_from_world.copy()
    turn = np.column_stack([cv2.Rodrigues(np.array([0.0, 0.3, 0.0]))[0], [1.0, 0.0, 0.5]])
    poses[12 - folded :] = compose(poses[12 - folded :], turn[None])
    errors = match_errors_px(problem, replace(capture.truth, cam_from_world=poses))
    cut = weakest_cut(problem, errors, np.ones(12, bool))
    assert cut is not None and (cut.one ^ cut.other).all()
    if folded:
        assert cut.agreement < 0.2
        parts = {tuple(np.flatnonzero(part).tolist()) for part in (cut.one, cut.other)}
        assert parts == {tuple(range(12 - folded)), tuple(range(12 - folded, 12))}
    else:
        assert cut.agreement > 0.75


def test_few_frames_and_no_matches_have_no_cut(make_capture: Make) -> None:
    capture = make_capture(frames=5)
    problem = capture.problem()
    errors = np.zeros(len(problem.matches))
    assert weakest_cut(problem, errors, np.array([True, True, True, False, False])) is None
    assert weakest_cut(problem, errors, np.arange(5) < 4) is not None
    whole = weakest_cut(problem, errors, np.ones(5, bool))
    assert whole is not None and whole.agreement == 1.0


def chain(frames: int, reach: int) -> Int:
    """(E, 2) pairs of each frame with the next ones of a sequence."""
    first = np.arange(frames)[:, None].repeat(reach, 1)
    pairs = np.stack([first, first + np.arange(1, reach + 1)], axis=-1).reshape(-1, 2)
    return pairs[pairs[:, 1] < frames]


def cut_of(problem: Problem, pairs: Int, good: Int, false: Int, frames: Bool) -> float:
    """`weakest_cut` where pair (i, j) has so many matches that agree, and so many that do not."""
    pair = np.repeat(np.arange(len(pairs)), good + false)
    nothing = np.zeros((len(pair), 2))
    matches = Matches(pair, pairs, nothing, nothing, np.zeros((len(pairs), 3, 3)), np.zeros(len(pairs)))
    begin = np.repeat(np.cumsum(good + false) - good - false, good + false)
    errors = np.where(np.arange(len(pair)) - begin < good[pair], 0.1, 50.0)
    cut = weakest_cut(replace(problem, matches=matches), errors, frames)
    assert cut is not None
    assert not ((cut.one | cut.other) & ~frames).any(), "frames that are not asked for are in neither part"
    return cut.agreement


def cut_by_the_book(pairs: Int, good: Int, false: Int, frames: Bool) -> float:
    """The definition in full matrices: all eigenvectors, and all frames again for every cut."""
    agreeing, everything = np.zeros((2, len(frames), len(frames)))
    for (i, j), right, wrong in zip(pairs, good, false, strict=True):
        agreeing[i, j] = agreeing[j, i] = right
        everything[i, j] = everything[j, i] = right + wrong
    agreeing, everything = agreeing[np.ix_(frames, frames)], everything[np.ix_(frames, frames)]
    degree = agreeing.sum(1)
    laplacian = np.diag(degree) - agreeing
    vector = np.linalg.eigh(laplacian / np.sqrt(np.outer(degree, degree)))[1][:, 1] / np.sqrt(degree)
    order = np.argsort(vector)
    shares = []
    for k in range(1, len(order)):
        across = everything[np.ix_(order[:k], order[k:])].sum()
        if across >= 45:
            shares.append(agreeing[np.ix_(order[:k], order[k:])].sum() / across)
    return min(shares)


@pytest.mark.parametrize("dense_up_to", [300, 0])
@pytest.mark.parametrize("kind", ["chain", "anything"])
def test_the_sweep_is_that_of_the_full_matrices(
    make_capture: Make, monkeypatch: pytest.MonkeyPatch, kind: str, dense_up_to: int
) -> None:
    monkeypatch.setattr(module, "_DENSE_UP_TO", dense_up_to)
    problem = make_capture(frames=5).problem()
    rng = np.random.default_rng(7)
    count = 90
    ends = rng.integers(0, count, (400, 2))
    pairs = chain(count, 4) if kind == "chain" else np.unique(np.sort(ends[ends[:, 0] != ends[:, 1]], 1), axis=0)
    good, false = rng.integers(5, 60, len(pairs)), rng.integers(0, 30, len(pairs))
    frames = rng.random(count) > 0.1
    inside = frames[pairs].all(1)
    wanted = cut_by_the_book(pairs[inside], good[inside], false[inside], frames)
    assert cut_of(problem, pairs, good, false, frames) == pytest.approx(wanted, abs=1e-12)


def test_a_fold_of_a_long_video_is_found_without_a_matrix_of_all_frames(make_capture: Make) -> None:
    problem = make_capture(frames=5).problem()
    pairs = chain(2500, 3)
    across = (pairs[:, 0] < 1700) & (pairs[:, 1] >= 1700)
    good, false = np.where(across, 6, 40), np.where(across, 24, 2)
    tracemalloc.start()
    share = cut_of(problem, pairs, good, false, np.ones(2500, bool))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert share == pytest.approx(6 / 30)
    assert peak < 2500 * 2500 * 8  # bytes, of one such matrix


@pytest.mark.parametrize(("across", "share"), [(50, 0.0), (40, 20 / 60)])
def test_parts_that_nothing_joins_are_cut_from_each_other(make_capture: Make, across: int, share: float) -> None:
    """Where too few matches say so, the weakest cut is one within the parts: here one that 60 matches cross."""
    problem = make_capture(frames=5).problem()
    first, second = chain(6, 2), chain(12, 2) + 6
    pairs = np.concatenate([first, second, [[2, 9]]])
    good = np.full(len(pairs), 50)
    weak = (pairs[:, 0] < 12) & (pairs[:, 1] >= 12)
    good[weak], good[-1] = [7, 7, 6], 0
    false = np.full(len(pairs), 2)
    false[weak], false[-1] = [13, 13, 14], across
    assert cut_of(problem, pairs, good, false, np.ones(18, bool)) == pytest.approx(share)


def test_matches_with_frames_that_are_not_asked_for_do_not_count(make_capture: Make) -> None:
    problem = make_capture(frames=5).problem()
    pairs = np.array([[0, 1], [1, 2], [2, 3], [0, 2], [1, 3], [2, 4], [3, 4]])
    outside = (pairs == 4).any(axis=1)
    good, false = np.where(outside, 0, 50), np.where(outside, 500, 0)
    assert cut_of(problem, pairs, good, false, np.arange(5) < 4) == 1.0
    assert cut_of(problem, pairs, good, false, np.ones(5, bool)) == 0.0
