"""The teacher learns in every term, resumes exactly, and says how good it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from da3_pipeline.errors import UsageError
from da3_pipeline.model import ModelConfig, build
from da3_pipeline.model.monocular import MonocularNetwork
from da3_pipeline.training.loop.contract import Sitting
from da3_pipeline.training.run_files import CHECKPOINT, LOG
from da3_pipeline.training.samples import Batch, normalise_images
from da3_pipeline.training.teacher.config import TeacherConfig, teacher_preset
from da3_pipeline.training.teacher.losses import teacher_loss
from da3_pipeline.training.teacher.predict import predict
from da3_pipeline.training.teacher.trainer import train_teacher

MODEL = ModelConfig(64, 4, 4, (0, 1, 2, 3), 16, (8, 16, 16, 16))


@pytest.fixture
def tiny() -> TeacherConfig:
    return TeacherConfig(
        model=MODEL,
        sizes=((70, 56), (56, 70)),
        steps=5,
        batch=3,
        pool_scenes=3,
        pool_views=2,
        steps_per_pool=2,
        decay_from=3,
        warmup_steps=2,
        ema_decay=0.5,
        bf16=False,
        procedural_textures=9,
        photographic_textures=0,
        held_out_scenes=2,
        evaluate_every=5,
    )


def _weights(folder: Path, part: str) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(folder / CHECKPOINT, weights_only=True)[part]
    return found


def test_a_picture_is_learned(rendered: Batch) -> None:
    """The same points and windows in each step, so that the terms can be compared."""
    net = build(MODEL, generator=torch.Generator().manual_seed(0))
    assert isinstance(net, MonocularNetwork)
    images, truth, K = normalise_images(rendered.images[:1, 0]), rendered.depth[:1, 0], rendered.K[:1, 0]
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3)
    history = []
    for step in range(40):
        optimiser.param_groups[0]["lr"] = 2e-3 * (1 - step / 40)
        terms = teacher_loss(*predict(net, images), truth, K, torch.Generator().manual_seed(0))
        optimiser.zero_grad()
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        history.append({name: float(value.detach()) for name, value in terms.items()})
    for name, first in history[0].items():
        # depth that breaks off within a patch is beyond so small a network, and blurred it costs as much as none at all
        assert history[-1][name] < (0.85 if name == "gradient" else 0.75) * first, name


def test_a_run_that_is_left_after_every_step_gives_the_same_weights(tmp_path: Path, tiny: TeacherConfig) -> None:
    trunk = build(MODEL, generator=torch.Generator().manual_seed(3)).trunk
    save_file(dict(trunk.named_parameters()), tmp_path / "trunk.safetensors")
    config = tiny.model_copy(update={"trunk": str(tmp_path / "trunk.safetensors"), "frozen_blocks": 1})
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    train_teacher(config, straight)
    for _ in range(config.steps):
        train_teacher(config, broken, Sitting(max_minutes=0))
    for part in ("net", "ema"):
        other = _weights(broken, part)
        for name, value in _weights(straight, part).items():
            assert torch.equal(value, other[name]), name
    frozen, free = "blocks.0.mlp.fc1.weight", "blocks.2.mlp.fc1.weight"
    trained = _weights(straight, "net")
    assert torch.equal(trained[f"backbone.pretrained.{frozen}"], trunk.get_parameter(frozen))
    assert not torch.equal(trained[f"backbone.pretrained.{free}"], trunk.get_parameter(free))
    figures = json.loads((straight / LOG).read_text().splitlines()[-1])
    assert figures["step"] == 5 and figures["abs_rel"] > 0 and 0 < figures["delta1"] <= 100
    assert 0 <= figures["sky_right"] <= 1
    with pytest.raises(UsageError, match="another configuration"):
        train_teacher(config.model_copy(update={"seed": 1}), straight)


def test_presets_and_rates(tiny: TeacherConfig) -> None:
    assert [tiny.rate(step) for step in range(5)] == [0.5, 1, 1, 1, 0.5]
    assert teacher_preset("paper").batch == 64
    with pytest.raises(UsageError, match="paper, small"):
        teacher_preset("large")
