"""Labels of a teacher: in the units of what is known, whole where that has holes, and none where it has nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from da3_pipeline.errors import UsageError, WeightsError
from da3_pipeline.model import ModelConfig, build, save_checkpoint
from da3_pipeline.model.monocular import MonocularNetwork
from da3_pipeline.training.samples import Batch, spoilt
from da3_pipeline.training.teacher.labels import Teacher


class _Knowing(Teacher):
    """Tells the truth in units and from a zero of its own."""

    def __init__(self, truth: Tensor) -> None:
        self._truth = truth

    def depth(self, images: Tensor) -> Tensor:
        return torch.where(self._truth > 0, 0.3 * self._truth + 0.7, 0.0)


def test_spoilt_depth_becomes_whole_again(rendered: Batch) -> None:
    truth = rendered.depth
    noisy = replace(rendered, depth=spoilt(truth, 0.02, torch.Generator().manual_seed(0)))
    labels = _Knowing(truth.flatten(0, 1)).relabelled(noisy, torch.Generator().manual_seed(1)).depth
    seen = truth > 0
    assert bool((labels[~seen] == 0).all()) and bool((labels[seen] > 0).float().mean() > 0.99)
    before, after = (((part - truth).abs() / truth)[seen & (noisy.depth > 0)] for part in (noisy.depth, labels))
    assert float(after.mean()) < 0.25 * float(before.mean())


def test_where_nothing_is_known_nothing_is_made_up(rendered: Batch) -> None:
    blank = replace(rendered, depth=torch.zeros_like(rendered.depth))
    labels = _Knowing(rendered.depth.flatten(0, 1)).relabelled(blank, torch.Generator().manual_seed(1)).depth
    assert bool((labels == 0).all())


def test_teachers_are_monocular(tmp_path: Path, rendered: Batch) -> None:
    net = build(ModelConfig(64, 4, 4, (0, 1, 2, 3), 16, (8, 16, 16, 16)), generator=torch.Generator().manual_seed(0))
    assert isinstance(net, MonocularNetwork)
    save_checkpoint(net, tmp_path / "teacher.safetensors")
    depth = Teacher.from_source(str(tmp_path / "teacher.safetensors")).depth(rendered.images[:2, 0])
    assert depth.shape == rendered.depth[:2, 0].shape and bool((depth >= 0).all())
    with pytest.raises(UsageError, match="no monocular"):
        Teacher.from_source("da3-nano")
    with pytest.raises(WeightsError, match="holds no"):
        Teacher.from_source(str(tmp_path))
