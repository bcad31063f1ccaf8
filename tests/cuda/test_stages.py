"""What the other stages put on a GPU: matching of descriptors, learned matchers, people's masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from da3_pipeline.mask import people
from da3_pipeline.refine.config import FeatureConfig, PairConfig
from da3_pipeline.refine.matching import descriptors
from da3_pipeline.refine.matching.descriptors import match_descriptors, matching_device
from da3_pipeline.refine.matching.features import Features
from da3_pipeline.refine.matching.guided import Near
from da3_pipeline.refine.matching.matchers.learned import LearnedMatcher
from da3_pipeline.refine.matching.pairs import appearance_scores

from .conftest import CudaWithoutGpu


def features(count: int, dtype: type = np.uint8) -> Features:
    rng = np.random.default_rng(count)
    return Features(
        rng.uniform(0, 100, (count, 2)).astype(np.float32),
        rng.uniform(1, 9, count).astype(np.float32),
        rng.integers(0, 99, (count, 128)).astype(dtype),
    )


@pytest.mark.parametrize("guided", [False, True])
def test_descriptors_are_compared_on_the_gpu(guided: bool, cuda: CudaWithoutGpu, monkeypatch: Any) -> None:
    monkeypatch.setattr(descriptors, "_CHUNK_ROWS", 4)
    a, b = features(9), features(7)
    near = Near(np.zeros((9, 2)), 5.0) if guided else None
    with cuda:
        device = matching_device("auto")
        matches = match_descriptors(a, b, 0.8, device, near)
    assert device.type == "cuda"
    assert matches.dtype == np.int32
    assert cuda.seen == {("product", "cuda", torch.float32)}


def test_appearance_is_compared_on_the_gpu(cuda: CudaWithoutGpu) -> None:
    frames = [features(9), features(5), features(300)]
    with cuda:
        scores = appearance_scores(frames, PairConfig(), matching_device("cuda"), seed=0)
    assert np.isfinite(scores[np.triu_indices(3, 1)]).all()
    assert cuda.seen == {("product", "cuda", torch.float32)}


def test_learned_matchers_get_what_they_need_on_the_gpu_and_their_answers_come_back(cuda: CudaWithoutGpu) -> None:
    """The networks are packages' own; here one stands for each that takes and gives what theirs do."""

    def detect(picture: torch.Tensor, budget: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        assert (picture.device.type, picture.dtype) == ("cuda", torch.float32)
        return tuple(picture.new_empty(size) for size in ((budget, 2), (budget,), (budget, 64)))  # type: ignore[return-value]

    def match(first: dict[str, Any], second: dict[str, Any]) -> torch.Tensor:
        assert {value.device.type for side in (first, second) for value in side.values()} == {"cuda"}
        assert {value.dtype for side in (first, second) for value in side.values()} == {torch.float32}
        return torch.empty((4, 2), dtype=torch.long, device="cuda")

    with cuda:
        matcher = LearnedMatcher((detect, match), FeatureConfig(), matching_device("auto"))
        found = matcher.detect(np.zeros((96, 128, 3), np.uint8), None)
        assert matcher.match(found, found, ((128, 96), (128, 96))).shape == (4, 2)


def test_people_are_found_on_the_gpu(cuda: CudaWithoutGpu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = pytest.importorskip("torchvision.models")
    name = "deeplabv3_mobilenet_v3_large"

    def state(*_: object) -> dict[str, torch.Tensor]:
        net = models.get_model(name, weights=None, weights_backbone=None, num_classes=21, aux_loss=True)
        return dict(net.state_dict())

    monkeypatch.setattr(people, "_state_dict", state)
    Image.new("RGB", (90, 60)).save(tmp_path / "picture.png")
    with cuda:
        mask = people.PeopleFinder(name, "auto")(tmp_path / "picture.png", 90, 60)
    assert mask.shape == (60, 90)
    assert mask.dtype == bool
    assert {device for _, device, _ in cuda.seen} == {"cuda"}
