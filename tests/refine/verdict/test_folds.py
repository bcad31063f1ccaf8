"""A fold shows where its parts meet, however well each holds together; false matches all over are no fold."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scenes import Make

from da3_pipeline.geometry import compose
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
    share = weakest_cut(problem, errors, np.ones(12, bool))
    if folded:
        assert share < 0.2
    else:
        assert share > 0.75


def test_few_frames_and_no_matches_have_no_cut(make_capture: Make) -> None:
    capture = make_capture(frames=5)
    problem = capture.problem()
    errors = np.zeros(len(problem.matches))
    assert np.isnan(weakest_cut(problem, errors, np.array([True, True, True, False, False])))
    assert weakest_cut(problem, errors, np.ones(5, bool)) == 1.0
