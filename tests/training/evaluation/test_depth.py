"""Depth figures: full marks for the truth at any scale, known errors counted, pictures read as they are stored."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from da3_pipeline.errors import CaptureError
from da3_pipeline.model import any_view, build
from da3_pipeline.training.config import StudentConfig
from da3_pipeline.training.evaluation.depth import evaluate_depth, load_depth_pictures, measure_depth
from da3_pipeline.training.samples import Batch


def test_the_truth_scores_full_marks_at_any_scale(rendered: Batch) -> None:
    truth = rendered.depth.flatten(0, 1)
    figures = measure_depth(truth * torch.linspace(0.2, 7, len(truth))[:, None, None], truth)
    assert figures.abs_rel == pytest.approx(0, abs=1e-6) and figures.delta1 == 100
    assert figures.pictures == len(truth)


def test_errors_are_counted_where_the_truth_is_known() -> None:
    """Three pixels of ten are 30 % too far, one 10 % too near; what is unknown may say anything."""
    truth = torch.full((1, 3, 4), 2.0)
    truth[0, 2, :2] = 0
    estimate = truth.clone()
    estimate[0, 0, :3] *= 1.3
    estimate[0, 1, 0] *= 0.9
    estimate[0, 2, :2] = 1e6
    figures = measure_depth(estimate, truth)
    assert figures.abs_rel == pytest.approx((3 * 0.3 + 0.1) / 10)
    assert figures.delta1 == pytest.approx(70)
    assert measure_depth(estimate, torch.zeros_like(truth)).pictures == 0


def test_a_network_is_reported_beside_constant_depth(rendered: Batch, tiny: StudentConfig) -> None:
    net = any_view(build(tiny.model)).train()
    figures = evaluate_depth(net, rendered)
    assert net.training and set(figures) == {"network", "constant"}
    assert figures["network"].abs_rel == pytest.approx(
        figures["constant"].abs_rel, rel=0.3
    )  # fresh: about 1 everywhere


def test_pictures_of_a_depth_camera(tmp_path: Path) -> None:
    depth = np.full((48, 64), 1500, np.uint16)
    depth[:24] = 0
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.jpg"), np.full((48, 64, 3), 100, np.uint8))
        cv2.imwrite(str(tmp_path / f"{number}.depth.png"), depth)
    found = load_depth_pictures(tmp_path, 56, every=2)
    assert found.images.shape == (2, 1, 3, 42, 56) and found.depth.shape == (2, 1, 42, 56)
    assert (found.depth[:, :, :20] == 0).all()
    np.testing.assert_allclose(found.depth[:, :, 22:].numpy(), 1.5)
    with pytest.raises(CaptureError, match="NAME"):
        load_depth_pictures(tmp_path / "none", 56)
