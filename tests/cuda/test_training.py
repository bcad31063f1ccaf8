"""What learns on a GPU: splats, and the student."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from da3_pipeline.benchmark.rendering import splat_trainer
from da3_pipeline.benchmark.rendering.splat_trainer import TargetView, TrainerOptions, train_splats
from da3_pipeline.gaussians import PinholeView, rendering
from da3_pipeline.model import ModelConfig
from da3_pipeline.training import student
from da3_pipeline.training.config import LossConfig, Phase, StudentConfig
from da3_pipeline.training.evaluation.poses import evaluate_pairs
from da3_pipeline.training.loop.contract import OPEN_SITTING, Place
from da3_pipeline.training.loop.run import _moving_average
from da3_pipeline.training.samples import Batch
from da3_pipeline.training.synthetic.atlas import build_atlas

from .conftest import CudaWithoutGpu

SIZE = (70, 56)
SCENES, VIEWS = 4, 3


@pytest.fixture(autouse=True)
def gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every parameter that a loss depends on gets a gradient: autograd's own threads need a real device."""

    def backward(loss: torch.Tensor) -> None:
        assert loss.dim() == 0 and loss.device.type == "cuda"
        known, waiting = set(), [loss.grad_fn]
        while waiting:
            node = waiting.pop()
            if node is None or node in known:
                continue
            known.add(node)
            leaf = getattr(node, "variable", None)
            if leaf is not None:
                leaf.grad = torch.zeros_like(leaf)
            waiting += [following for following, _ in node.next_functions]

    monkeypatch.setattr(torch.Tensor, "backward", backward)


@pytest.fixture
def views() -> list[TargetView]:
    """Two cameras a step apart."""
    poses = torch.eye(4)[:3].repeat(2, 1, 1)
    poses[1, 0, 3] = 1
    return [TargetView(torch.rand(24, 32, 3), PinholeView(pose, (30.0, 30.0), (16.0, 12.0), 32, 24)) for pose in poses]


def test_splats_are_trained_on_the_gpu(
    views: list[TargetView], cuda: CudaWithoutGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splat_trainer, "_RELOCATE_EVERY", 2)
    monkeypatch.setattr(rendering, "gsplat_is_usable", lambda: False)
    points, colours = np.random.default_rng(0).normal(size=(20, 3)), np.zeros((20, 3), np.uint8)
    watched: list[int] = []
    with cuda:
        trained = train_splats(
            views,
            points,
            colours,
            TrainerOptions(iterations=4, gaussians=30, device="cuda"),
            seed=0,
            watch=lambda step, _, splats: watched.append(step),
        )
        assert {value.device.type for value in vars(trained.splats).values()} == {"cuda"}
        assert {value.dtype for value in vars(trained.splats).values()} == {torch.float32}
    assert watched == [1, 2, 3, 4]
    assert trained.losses.shape == (4,)


CONFIG = StudentConfig(
    model=ModelConfig(64, 10, 2, (3, 5, 7, 9), 8, (8, 8, 8, 8)),
    phases=(Phase(until=4, views=(VIEWS,), sizes=(SIZE,), pool_scenes=2, tokens=80, pose_conditioning=0.5),),
    losses=LossConfig(correspondence=0.3, correspondence_until=3, probe=0.2),
    muon_rate=0.01,
    decay_from=4,
    camera_leak=0.2,
    camera_leak_until=2,  # so that the third step folds it
    warm_start=False,
    bf16=True,
    procedural_textures=9,
    photographic_textures=0,
    held_out_scenes=0,
)


class Pool:
    """A pool with one batch in it, on the CPU, as pools are."""

    def __init__(self) -> None:
        width, height = SIZE
        poses = torch.eye(4)[:3].repeat(SCENES, VIEWS, 1, 1)
        K = torch.tensor([[60.0, 0, width / 2], [0, 60, height / 2], [0, 0, 1]]).repeat(SCENES, VIEWS, 1, 1)
        images = torch.zeros(SCENES, VIEWS, 3, height, width, dtype=torch.uint8)
        self.batch = Batch(images, torch.ones(SCENES, VIEWS, height, width), poses, K)

    def draw(self, rng: np.random.Generator, batch: int, views: int) -> Batch:
        return self.batch


def test_the_student_takes_its_steps_on_the_gpu(
    cuda: CudaWithoutGpu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = Pool()
    monkeypatch.setattr(student, "render_scenes", lambda *_: pool.batch)
    monkeypatch.setattr(student, "load_textures", lambda _: build_atlas(0, 1))
    monkeypatch.setattr(student.StudentTask, "_pool", lambda *_: pool)
    with cuda:
        task = student.StudentTask(CONFIG, tmp_path, OPEN_SITTING, Place(0, 1, torch.device("cuda")), True)
        average = AveragedModel(task.net, multi_avg_fn=_moving_average(CONFIG.ema_decay))
        for step in range(3):
            task.begin(step, average)
            loss, _ = task.objective(*task.draw(step, 0))
            loss.backward()
            learnt = (task.net.trunk.blocks, task.net.head.projects, task.probes)
            assert all(p.grad is not None for part in learnt for p in part.parameters())
            task.update(step)
            average.update_parameters(task.net)
        for net in (task.net, average, task.probes):
            assert {(p.device.type, p.dtype) for p in net.parameters()} == {("cuda", torch.float32)}
        evaluate_pairs(average.module, pool.batch)
    assert ("product", "cuda", torch.bfloat16) in cuda.seen
    assert not any(device == "cpu" for kind, device, _ in cuda.seen if kind != "product")
