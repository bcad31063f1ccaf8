"""Figures of merit: the truth scores full marks, the baselines score what they should."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from da3_pipeline.errors import CaptureError
from da3_pipeline.geometry import identity
from da3_pipeline.model import build
from da3_pipeline.training.config import StudentConfig
from da3_pipeline.training.evaluation.poses import (
    evaluate_pairs,
    evaluate_photographs,
    held_out_views,
    load_posed_photographs,
    random_poses,
    summarise,
)
from da3_pipeline.training.samples import Batch


def _truth(rendered: Batch) -> list[np.ndarray]:
    return list(rendered.cam_from_world.double().numpy())


def test_truth_scores_full_marks_in_any_frame_and_scale(rendered: Batch) -> None:
    truth = _truth(rendered)
    moved = [poses.copy() for poses in truth]
    for poses in moved:
        poses[:, :, 3] = 2.5 * poses[:, :, 3] + poses[:, :, :3] @ [1.0, -2, 3]
    figures = summarise(truth, moved)
    assert figures.rotation_deg < 1e-3 and figures.direction_deg < 0.01
    assert figures.auc_30 == 100 and figures.pairs == 6 * 6


def test_constant_scores_the_baseline(rendered: Batch) -> None:
    """No motion predicted: the rotation error is the true rotation, the direction is chance, no pair is within 30."""
    truth = _truth(rendered)
    figures = summarise(truth, [identity(len(poses)) for poses in truth])
    assert figures.direction_deg == 90 and figures.auc_30 == 0
    angles = []
    for poses in truth:
        for i in range(4):
            for j in range(i + 1, 4):
                cosine = (np.trace(poses[j, :, :3] @ poses[i, :, :3].T) - 1) / 2
                angles.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    assert figures.rotation_deg == pytest.approx(np.median(angles), abs=1e-2)
    far = [angle for angle in angles if 20 <= angle <= 40]
    assert figures.far_deg == pytest.approx(np.median(far), abs=1e-2) if far else np.isnan(figures.far_deg)


def test_random_poses_are_rotations_spread_widely(rendered: Batch) -> None:
    poses = random_poses(np.random.default_rng(0), 200)
    np.testing.assert_allclose(
        poses[:, :, :3] @ poses[:, :, :3].transpose(0, 2, 1), np.tile(np.eye(3), (200, 1, 1)), atol=1e-9
    )
    figures = summarise([identity(200)], [poses])
    assert 100 < figures.rotation_deg < 140  # the median angle of a uniform rotation is about 114 degrees


def test_network_is_reported_beside_its_baselines(tiny: StudentConfig) -> None:
    views = held_out_views(3, 2, (70, 56))
    again = held_out_views(3, 2, (70, 56))
    assert torch.equal(views.images, again.images)
    net = build(tiny.model).train()
    figures = evaluate_pairs(net, views)
    assert set(figures) == {"network", "constant", "random"}
    assert net.training
    # a fresh network predicts next to no rotation
    assert figures["network"].rotation_deg == pytest.approx(figures["constant"].rotation_deg, abs=15)


def test_photographs_with_a_truth_file(tmp_path: Path, rendered: Batch, tiny: StudentConfig) -> None:
    (tmp_path / "images").mkdir()
    entries = {}
    for view in range(4):
        name = f"{view}.png"
        picture = cv2.resize(rendered.images[0, view].permute(1, 2, 0).numpy(), (300, 200))
        cv2.imwrite(str(tmp_path / "images" / name), picture)
        entries[name] = {"w2c": rendered.cam_from_world[0, view].tolist(), "K": rendered.K[0, view].tolist()}
    (tmp_path / "truth.json").write_text(json.dumps({"images": entries}))
    photographs = load_posed_photographs(tmp_path, 84)
    assert photographs.images.shape == (4, 3, 56, 84) and photographs.images.dtype == torch.uint8
    np.testing.assert_allclose(photographs.cam_from_world, rendered.cam_from_world[0].numpy())
    figures = evaluate_photographs(build(tiny.model), photographs)
    assert figures["scene"]["network"].pairs == figures["pairs"]["network"].pairs == 6
    with pytest.raises(CaptureError, match=r"truth\.json"):
        load_posed_photographs(tmp_path / "images", 84)
