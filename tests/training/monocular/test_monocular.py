"""The monocular students: canonical metres, labels of the teacher, photographs of which nothing is known."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from da3_pipeline.errors import UsageError
from da3_pipeline.model import ModelConfig, MonocularNetwork, build, save_checkpoint
from da3_pipeline.training.loop.contract import Place, Sitting
from da3_pipeline.training.monocular.config import MetricConfig, MonoConfig, metric_preset, mono_preset
from da3_pipeline.training.monocular.metric import MetricTask, metric_loss, train_metric
from da3_pipeline.training.monocular.mono import MonoTask, train_mono
from da3_pipeline.training.run_files import LOG, claim, save_textures
from da3_pipeline.training.samples import Batch, normalise_images
from da3_pipeline.training.teacher.predict import predict

SHORT = {
    "model": ModelConfig(64, 4, 4, (0, 1, 2, 3), 16, (8, 16, 16, 16)),
    "sizes": ((70, 56),),
    "steps": 2,
    "batch": 2,
    "pool_scenes": 2,
    "pool_views": 2,
    "decay_from": 1,
    "bf16": False,
    "procedural_textures": 9,
    "photographic_textures": 0,
    "held_out_scenes": 2,
    "evaluate_every": 2,
}


@pytest.fixture
def teacher(tmp_path: Path) -> str:
    net = build(SHORT["model"], generator=torch.Generator().manual_seed(3))  # type: ignore[arg-type]
    path = tmp_path / "teacher.safetensors"
    save_checkpoint(net, path)  # type: ignore[arg-type]
    return str(path)


def _place() -> Place:
    return Place(0, 1, torch.device("cpu"))


def test_metric_depth_is_that_of_a_lens_of_300_pixels() -> None:
    """A wall at 4 m through a lens of 150 px looks like one at 8 m; errors count as they are, sky apart."""
    metres = torch.full((1, 10, 12), 4.0)
    metres[:, :2] = 0
    K = torch.tensor([[[150.0, 0, 6], [0, 150, 5], [0, 0, 1]]])
    terms = metric_loss(torch.full((1, 10, 12), 8.0), (metres == 0).float(), metres, K)
    assert all(float(value) == pytest.approx(0, abs=1e-6) for value in terms.values())
    ramp = 8 + 0.5 * torch.arange(12.0).expand(1, 10, 12)
    terms = metric_loss(ramp, torch.zeros(1, 10, 12), metres, K, gradient=2.0, sky_weight=3.0)
    wanted = {"depth": 0.5 * 5.5, "gradient": 2 * 0.5, "sky": 3 * 0.2}
    assert {name: float(value) for name, value in terms.items()} == pytest.approx(wanted)


def test_a_metric_network_learns_a_picture(rendered: Batch) -> None:
    net = build(SHORT["model"], generator=torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    assert isinstance(net, MonocularNetwork)
    images, truth, K = normalise_images(rendered.images[2:3, 0]), rendered.depth[2:3, 0], rendered.K[2:3, 0]
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3)
    history = []
    for _ in range(25):
        terms = metric_loss(*predict(net, images), truth, K)
        optimiser.zero_grad()
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        history.append(float(terms["depth"].detach()))
    assert history[-1] < 0.5 * history[0]


def test_metric_labels_are_the_teachers_but_for_a_share(tmp_path: Path, teacher: str) -> None:
    config = MetricConfig(**SHORT, teacher=teacher, turned=1.0)  # type: ignore[arg-type]
    claim(tmp_path / "run", config)
    save_textures(tmp_path / "run", config)
    for share, same in ((1.0, True), (0.0, False)):
        kept = MetricTask(config.model_copy(update={"own_labels": share}), tmp_path / "run", Sitting(), _place(), True)
        _, batch = kept.draw(0, 0)
        assert batch.size == (70, 56)  # turned
        plain = MetricTask(config.model_copy(update={"teacher": ""}), tmp_path / "run", Sitting(), _place(), True)
        assert torch.equal(plain.draw(0, 0)[1].depth, batch.depth) == same


def test_a_metric_run_says_its_error_in_metres(tmp_path: Path) -> None:
    train_metric(MetricConfig(**SHORT), tmp_path)  # type: ignore[arg-type]
    figures = json.loads((tmp_path / LOG).read_text().splitlines()[-1])
    assert figures["step"] == 2 and figures["metric_abs_rel"] > 0 and 0 <= figures["metric_delta1"] <= 100


def test_photographs_get_the_teachers_depth(tmp_path: Path, teacher: str) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "photographs").mkdir()
    for number in range(2):
        picture = cv2.resize(rng.integers(0, 255, (30, 40, 3), dtype=np.uint8), (900, 700))
        cv2.imwrite(str(tmp_path / "photographs" / f"{number}.jpg"), picture)
    config = MonoConfig(**SHORT, teacher=teacher, images=(str(tmp_path / "photographs"),))  # type: ignore[arg-type]
    claim(tmp_path / "run", config)
    save_textures(tmp_path / "run", config)
    task = MonoTask(config, tmp_path / "run", Sitting(), _place(), True)
    images, batch, _ = task.draw(0, 0)
    assert images.shape == (2, 3, 56, 70)
    assert torch.equal(task.teacher.depth(batch.images[:, 0]), batch.depth[:, 0])
    assert not torch.equal(task.draw(1, 0)[0], images) and torch.equal(task.draw(0, 0)[0], images)
    loss, terms = task.objective(*task.draw(0, 0))
    assert loss.isfinite() and terms["whole"] > 0


def test_what_is_wanted_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--teacher"):
        train_mono(MonoConfig(**SHORT), tmp_path)  # type: ignore[arg-type]
    assert (metric_preset("paper").steps, metric_preset("paper").own_labels, metric_preset("paper").turned) == (
        160_000,
        0.2,
        0.05,
    )
    assert mono_preset("paper").batch == 64
    for function in (mono_preset, metric_preset):
        with pytest.raises(UsageError, match="paper, small"):
            function("none")
