"""The trainer: it learns, it resumes exactly, it exports what it learned."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from typer.testing import CliRunner

from da3_pipeline.errors import UsageError, WeightsError
from da3_pipeline.model import any_view, build, load
from da3_pipeline.training.__main__ import app
from da3_pipeline.training.config import LossConfig, Phase, StudentConfig, preset
from da3_pipeline.training.export import averaged_network, export_run
from da3_pipeline.training.leak import apply_fold, make_leaky, mostly_negative, set_leak
from da3_pipeline.training.optimisers import make_optimisers
from da3_pipeline.training.probe import Probes
from da3_pipeline.training.run_files import CHECKPOINT, LOG, read_config
from da3_pipeline.training.samples import Batch, ScenePool, normalise_images
from da3_pipeline.training.step import StepOptions, student_loss
from da3_pipeline.training.student import Sitting, train
from da3_pipeline.training.warm_start import warm_start


def _weights(folder: Path, part: str = "net") -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(folder / CHECKPOINT, weights_only=True)[part]
    return state


def test_a_few_scenes_are_overfitted(rendered: Batch, tiny: StudentConfig) -> None:
    net, probes = build(tiny.model, generator=torch.Generator().manual_seed(0)), Probes(tiny.model)
    warm_start(net, normalise_images(rendered.images.flatten(0, 1)), torch.Generator().manual_seed(0))
    batch = ScenePool(rendered).draw(np.random.default_rng(0), 4, 2)
    options = StepOptions(correspondence=0.3, probed=True, dense_share=1.0, conditioned=False, bf16=False)
    weights = LossConfig(probe=1.0, correspondence=0.3, huber=0.1)
    optimiser = torch.optim.AdamW([*net.parameters(), *probes.parameters()], lr=2e-3)
    history = []
    for _ in range(30):
        loss, figures = student_loss(net, probes, batch, weights, options)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        history.append(figures)
    for name in ("loss", "depth", "ray", "point", "camera", "correspondence", "probe"):
        assert history[-1][name] < 0.8 * history[0][name], name
    assert history[-1]["hits"] > history[0]["hits"]


def test_a_killed_run_resumes_as_if_nothing_had_happened(tmp_path: Path, tiny: StudentConfig) -> None:
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    train(tiny, straight)
    short = tiny.model_copy(update={"phases": (tiny.phases[0].model_copy(update={"until": 3}),), "decay_from": 3})
    train(short, broken)  # the same first three steps, saved at the third
    assert _count(broken) == 3
    train(tiny, broken)
    assert _count(broken) == _count(straight) == 6
    for part in ("net", "ema", "probes"):
        other = _weights(broken, part)
        for name, value in _weights(straight, part).items():
            assert torch.equal(value, other[name]), name


def test_a_run_from_a_trunk_that_is_left_after_every_step_gives_the_same_weights(
    tmp_path: Path, tiny: StudentConfig
) -> None:
    """Bit for bit, over two phases, with frozen blocks, rates of their own and a moving average of every other step."""
    trunk = any_view(build(tiny.model, generator=torch.Generator().manual_seed(3))).trunk
    save_file(dict(trunk.named_parameters()), tmp_path / "trunk.safetensors")
    changed = {"trunk": str(tmp_path / "trunk.safetensors"), "frozen_blocks": 2, "block_rate": 4e-4, "ema_every": 2}
    config = tiny.model_copy(update={**changed, "warm_start": False, "layer_decay": 0.9, "keep_every": 2})
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    train(config, straight)
    train(config, broken, Sitting(max_minutes=0))
    (tmp_path / "trunk.safetensors").unlink()  # it is needed at the start alone
    for step in range(1, config.steps):
        assert _count(broken) == step
        train(read_config(broken), broken, Sitting(max_minutes=0))
    for part in ("net", "ema", "probes"):
        other = _weights(broken, part)
        for name, value in _weights(straight, part).items():
            assert torch.equal(value, other[name]), name
    frozen = "backbone.pretrained.blocks.1.attn.qkv.weight"
    assert torch.equal(_weights(straight)[frozen], trunk.blocks[1].get_parameter("attn.qkv.weight"))
    kept = sorted(straight.glob("checkpoint-*.pt"))
    assert [int(torch.load(path, weights_only=True)["step"]) for path in kept] == [2, 4, 6]


def test_an_open_run_ends_when_it_is_told_to(tmp_path: Path, tiny: StudentConfig) -> None:
    endless = tiny.model_copy(
        update={"decay_from": 1000, "phases": (tiny.phases[0].model_copy(update={"until": 1000}),)}
    )
    train(endless, tmp_path, Sitting(max_minutes=0))
    assert endless.rate(500) == 1
    result = CliRunner().invoke(app, ["finish", "--folder", str(tmp_path), "--steps", "2"])
    assert result.exit_code == 0, result.output
    ended = read_config(tmp_path)
    assert (ended.steps, ended.rate(1), ended.rate(2)) == (3, 1.0, 0.5)
    result = CliRunner().invoke(app, ["resume", "--folder", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert _count(tmp_path) == 3


def test_parts_of_the_network_learn_at_rates_of_their_own(tiny: StudentConfig) -> None:
    changed = {"block_rate": 4e-4, "layer_decay": 0.5, "decoder_rate": 3e-4, "learning_rate": 1e-3}
    net, probes = any_view(build(tiny.model)), Probes(tiny.model)
    (adam,) = make_optimisers(net, probes, tiny.model_copy(update=changed))
    rate = {id(p): group["lr"] for group in adam.param_groups for p in group["params"]}
    decay = {id(p): group["weight_decay"] for group in adam.param_groups for p in group["params"]}
    blocks = net.trunk.blocks
    assert rate[id(blocks[9].get_parameter("mlp.fc1.weight"))] == 4e-4
    assert rate[id(blocks[7].get_parameter("norm1.bias"))] == 1e-4
    assert rate[id(net.cam_dec.fc_t.weight)] == 3e-4
    assert rate[id(net.trunk.camera_token)] == rate[id(probes.cameras[0].get_parameter("1.bias"))] == 1e-3
    assert decay[id(net.cam_dec.fc_t.weight)] == tiny.weight_decay
    assert decay[id(net.cam_dec.fc_t.bias)] == decay[id(net.trunk.camera_token)] == 0
    assert len(rate) == len([*net.parameters(), *probes.parameters()])


def _count(folder: Path) -> int:
    return int(torch.load(folder / CHECKPOINT, weights_only=True)["step"])


@pytest.mark.slow
def test_two_processes_train_alike_and_log(tmp_path: Path, tiny: StudentConfig) -> None:
    config = tiny.model_copy(update={"processes": 2, "held_out_scenes": 2, "evaluate_every": 6})
    train(config, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert lines[-1]["step"] == 6
    assert {"network_rotation_deg", "constant_rotation_deg", "random_rotation_deg"} <= set(lines[-1])
    assert lines[-1]["samples"] == 4 * 2 * 2 + sum(2 * n for n in _last_batches(config))


def _last_batches(config: StudentConfig) -> list[int]:
    """Batch sizes of one process in steps 4 and 5, whose number of views is drawn from the seed and the step."""
    phase = config.phases[1]
    views = [int(np.random.default_rng([config.seed, step]).choice(phase.views)) for step in (4, 5)]
    return [phase.batch(count, phase.sizes[0]) for count in views]


def test_a_folder_keeps_to_its_configuration(tmp_path: Path, tiny: StudentConfig) -> None:
    train(tiny.model_copy(update={"phases": (tiny.phases[0].model_copy(update={"until": 3}),)}), tmp_path)
    with pytest.raises(UsageError, match="another configuration"):
        train(tiny.model_copy(update={"seed": 1}), tmp_path)


def test_export_is_the_average_in_half_precision(tmp_path: Path, tiny: StudentConfig) -> None:
    train(tiny, tmp_path / "run")
    export_run(tmp_path / "run", tmp_path / "nano.safetensors")
    net = load(tmp_path / "nano.safetensors")
    assert net.config == tiny.model
    averaged = averaged_network(tmp_path / "run").state_dict()
    for name, value in net.state_dict().items():
        np.testing.assert_allclose(value.numpy(), averaged[name].numpy(), rtol=1e-3, atol=1e-6)
    assert any(not torch.equal(averaged[name], value) for name, value in _weights(tmp_path / "run").items())
    with pytest.raises(WeightsError, match="holds no"):
        averaged_network(tmp_path)


def test_schedule() -> None:
    config = preset("nano")
    assert config.rate(0) < config.rate(config.warmup_steps) == 1
    assert config.rate(config.decay_from) == 1
    assert 0 < config.rate(config.steps - 1) < 0.01
    assert config.correspondence_weight(0) == config.losses.correspondence > 0
    assert config.correspondence_weight(config.steps) == 0
    assert config.leak(0) > 0 and config.leak(config.steps) == 0
    assert config.phase(0)[1] == 0
    assert config.phase(config.steps - 1)[0] == config.phases[-1]
    with pytest.raises(UsageError, match="beyond"):
        config.phase(config.steps)
    paper = preset("paper")
    assert paper.losses.correspondence == paper.losses.probe == paper.losses.huber == 0
    assert paper.phases[0].pose_conditioning == 0.2
    with pytest.raises(UsageError, match="nano"):
        preset("none")


def test_batches_hold_the_tokens_of_a_step() -> None:
    phase = Phase(until=1, views=(2,), sizes=((112, 84),), tokens=1000)
    assert phase.batch(2, (112, 84)) == 10
    assert phase.batch(16, (504, 504)) == 1


def test_warm_start_makes_matching_patches_attend_to_each_other(rendered: Batch, tiny: StudentConfig) -> None:
    """With nothing learned, the same patch seen twice is found, and its place is what the head brings back."""
    net = build(tiny.model, generator=torch.Generator().manual_seed(0))
    images = normalise_images(rendered.images.flatten(0, 1))
    warm_start(net, images, torch.Generator().manual_seed(0))
    trunk = net.trunk
    assert not trunk.pos_embed.requires_grad
    weight = trunk.blocks[3].get_submodule("attn").get_parameter("qkv.weight")
    assert torch.equal(weight[:64], weight[64:128]) and weight[:64, 32:].abs().sum() == 0
    tokens = trunk.patch_embed(images[:1])[0]
    key = torch.nn.functional.normalize((tokens[:, :32] @ weight[:64, :32].T).detach(), dim=-1)
    assert (key @ key.T).argmax(-1).tolist() == list(range(len(tokens)))
    assert 0.3 < float(tokens[:, :32].detach().std()) < 3


def test_leak_leaves_the_parameters_alone_and_closes(tiny: StudentConfig) -> None:
    net = build(tiny.model)
    plain = [layer for layer in net.cam_dec.backbone if isinstance(layer, nn.ReLU)]
    names = set(net.state_dict())
    tokens = torch.randn(5, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = net.cam_dec(tokens)
        make_leaky(net)
        assert len(plain) == 2 and set(net.state_dict()) == names
        set_leak(net, 0.2)
        assert not torch.allclose(net.cam_dec(tokens), before)
        set_leak(net, 0.0)
        torch.testing.assert_close(net.cam_dec(tokens), before)


def test_folding_keeps_what_units_below_zero_said(tiny: StudentConfig) -> None:
    """Where no unit changes sign among the tokens, plain rectifiers after the fold equal leaky ones before it."""
    net = build(tiny.model, generator=torch.Generator().manual_seed(0)).double()
    make_leaky(net)
    set_leak(net, 0.2)
    generator = torch.Generator().manual_seed(0)
    for index, size in ((0, 40), (2, 4000)):
        bias = net.cam_dec.backbone[index].get_parameter("bias")
        nn.init.constant_(bias, 0.0)
        with torch.no_grad():
            bias += size * torch.sign(torch.randn(len(bias), generator=generator))
    tokens = torch.randn(3, 7, 128, generator=generator).double()
    with torch.no_grad():
        leaky = net.cam_dec(tokens)
        flips = mostly_negative(net, tokens)
        assert all(0.2 < flip.float().mean() < 0.8 for flip in flips)
        apply_fold(net, flips, 0.2)
        torch.testing.assert_close(net.cam_dec(tokens), leaky)
        assert all(layer.negative_slope == 0 for layer in net.cam_dec.backbone if isinstance(layer, nn.LeakyReLU))
