"""The Gaussian head learns a scene, the backbone stays bit for bit, and runs resume and are exported."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from da3_pipeline.errors import UsageError
from da3_pipeline.model import ModelConfig, any_view, build, load, save_checkpoint
from da3_pipeline.training.export import export_run
from da3_pipeline.training.loop.contract import Sitting
from da3_pipeline.training.run_files import CHECKPOINT, LOG
from da3_pipeline.training.samples import Batch, ScenePool
from da3_pipeline.training.splats.config import GaussianConfig, gaussian_preset
from da3_pipeline.training.splats.trainer import gaussian_renderings, train_gaussians

MODEL = ModelConfig(64, 10, 2, (3, 5, 7, 9), 16, (8, 8, 8, 8))


def test_a_scene_is_learned(rendered: Batch) -> None:
    """Views that are no Gaussians themselves, too; nothing but the head gets a gradient."""
    model = ModelConfig(64, 10, 2, (3, 5, 7, 9), 16, (8, 8, 8, 8), gaussian_head=True)
    net = any_view(build(model, generator=torch.Generator().manual_seed(0)))
    batch = ScenePool(rendered).draw(np.random.default_rng(0), 1, 3)
    wanted = batch.images.float() / 255
    optimiser = torch.optim.AdamW([p for n, p in net.named_parameters() if n.startswith("gs_head.")], lr=3e-3)
    errors = []
    for _ in range(20):
        error = (gaussian_renderings(net, batch, 2, True)[0] - wanted).square().mean((0, 2, 3, 4))
        optimiser.zero_grad()
        error.mean().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        errors.append(error.detach())
    assert bool((errors[-1] < 0.8 * errors[0]).all())
    assert all(p.grad is None for name, p in net.named_parameters() if not name.startswith("gs_head."))


def test_depth_is_brought_to_the_cameras_units(rendered: Batch) -> None:
    """A world ten times as large is seen the same."""
    model = ModelConfig(64, 10, 2, (3, 5, 7, 9), 16, (8, 8, 8, 8), gaussian_head=True)
    net = any_view(build(model, generator=torch.Generator().manual_seed(0)))
    batch = ScenePool(rendered).draw(np.random.default_rng(1), 1, 2)
    grown = batch.cam_from_world.clone()
    grown[..., 3] *= 10
    larger = Batch(batch.images, batch.depth * 10, grown, batch.K)
    with torch.no_grad():
        (one, by), (other, by_ten) = (gaussian_renderings(net, part, 2, True) for part in (batch, larger))
    torch.testing.assert_close(by_ten, 10 * by, rtol=1e-3, atol=0)
    assert float((one - other).abs().mean()) < 0.02


def test_a_run_leaves_the_backbone_alone(tmp_path: Path) -> None:
    source = build(MODEL, generator=torch.Generator().manual_seed(3))
    save_checkpoint(source, tmp_path / "source.safetensors")
    config = GaussianConfig(
        source=str(tmp_path / "source.safetensors"),
        sizes=((70, 56),),
        context=(2,),
        targets=1,
        steps=2,
        decay_from=1,
        pool_scenes=2,
        warmup_steps=1,
        bf16=False,
        procedural_textures=9,
        photographic_textures=0,
        held_out_scenes=1,
        evaluate_every=2,
    )
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    train_gaussians(config, straight)
    for _ in range(2):
        train_gaussians(config, broken, Sitting(max_minutes=0))
    nets = [torch.load(folder / CHECKPOINT, weights_only=True)["net"] for folder in (straight, broken)]
    kept = source.state_dict()
    fresh = any_view(build(ModelConfig(64, 10, 2, (3, 5, 7, 9), 16, (8, 8, 8, 8), gaussian_head=True)))
    for name, value in nets[0].items():
        assert torch.equal(value, nets[1][name]), name
        assert not name.startswith(("backbone.", "head.", "cam_")) or torch.equal(value, kept[name]), name
    assert {name for name in nets[0] if name not in kept} == {n for n in fresh.state_dict() if n.startswith("gs_head.")}
    figures = json.loads((straight / LOG).read_text().splitlines()[-1])
    assert 0 < figures["psnr_db"] < 60 and 0 < figures["psnr_context_db"] < 60
    export_run(straight, tmp_path / "splats.safetensors")
    assert any_view(load(tmp_path / "splats.safetensors")).gs_head is not None


def test_what_is_wanted_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--source"):
        train_gaussians(gaussian_preset("small"), tmp_path)
    with pytest.raises(UsageError, match="paper, small"):
        gaussian_preset("none")
