"""The loop: shards make the same step wherever they are taken, old runs are known again, TensorBoard gets its share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from da3_pipeline.errors import MissingExtraError
from da3_pipeline.training.config import Phase, StudentConfig
from da3_pipeline.training.loop.contract import Sitting
from da3_pipeline.training.loop.tensorboard import BOARD, beside_truth
from da3_pipeline.training.run_files import CHECKPOINT, CONFIG, LOG
from da3_pipeline.training.student import train


def _state(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    found: dict[str, dict[str, torch.Tensor]] = torch.load(folder / CHECKPOINT, weights_only=True)
    return found


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one_with_accumulation(tmp_path: Path, tiny: StudentConfig) -> None:
    """All of it: frozen and unreached parameters, poses given in some steps, two phases, the leak folded at step 2."""
    phases = (
        Phase(until=4, views=(2,), sizes=((70, 56),), pool_scenes=3, pool_views=3, steps_per_pool=2, tokens=80),
        Phase(until=20, views=(2, 3), sizes=((70, 56),), pool_scenes=2, pool_views=4, tokens=80, pose_conditioning=0.5),
    )
    config = tiny.model_copy(update={"phases": phases, "decay_from": 10})
    one, two = tmp_path / "one", tmp_path / "two"
    train(config.model_copy(update={"accumulate": 2}), one)
    train(config.model_copy(update={"processes": 2}), two)
    curves = [json.loads((folder / LOG).read_text().splitlines()[-1]) for folder in (one, two)]
    assert curves[0]["samples"] == curves[1]["samples"]
    states = [_state(folder) for folder in (one, two)]
    worst = 0.0
    for part in ("net", "ema", "probes"):
        for name, value in states[0][part].items():
            if value.is_floating_point():
                size = float(value.abs().max()) + 1e-3
                worst = max(worst, float((value - states[1][part][name]).abs().max()) / size)
    print(f"largest difference of a weight after 20 steps, relative to the largest of its tensor: {worst:.1e}")
    assert worst < 1e-4


def test_accumulation_is_a_larger_batch(tmp_path: Path, tiny: StudentConfig) -> None:
    """Twice the tokens at once or one after the other give other samples, but the same number of them."""
    short = tiny.model_copy(update={"phases": (tiny.phases[0].model_copy(update={"until": 2}),), "decay_from": 1})
    train(short, tmp_path / "one")
    train(short.model_copy(update={"accumulate": 3}), tmp_path / "three")
    assert int(_state(tmp_path / "three")["samples"]) == 3 * int(_state(tmp_path / "one")["samples"])  # type: ignore[call-overload]


def test_a_run_of_before_a_setting_came_goes_on(tmp_path: Path, tiny: StudentConfig) -> None:
    train(tiny, tmp_path, Sitting(max_minutes=0))
    described = json.loads((tmp_path / CONFIG).read_text())
    del described["accumulate"]
    (tmp_path / CONFIG).write_text(json.dumps(described))
    train(tiny, tmp_path, Sitting(max_minutes=0))
    assert int(_state(tmp_path)["step"]) == 2  # type: ignore[call-overload]


def test_figures_and_pictures_are_written_for_tensorboard(tmp_path: Path, tiny: StudentConfig) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = tiny.model_copy(update={"held_out_scenes": 2, "held_out_size": (70, 56), "evaluate_every": 2})
    short = config.model_copy(update={"phases": (tiny.phases[0].model_copy(update={"until": 2}),), "decay_from": 1})
    train(short, tmp_path, Sitting(tensorboard=True))
    seen = EventAccumulator(str(tmp_path / BOARD), size_guidance={"images": 0, "scalars": 0}).Reload()
    logged = json.loads((tmp_path / LOG).read_text().splitlines()[-1])
    (point,) = seen.Scalars("validation/network_rotation_deg")
    assert point.step == 2 and point.value == pytest.approx(logged["network_rotation_deg"], abs=1e-4)
    (picture,) = seen.Images("image_truth_depth")
    assert (picture.width, picture.height) == (3 * 70, 2 * 2 * 56)


def test_a_missing_library_is_named(tmp_path: Path, tiny: StudentConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lightning_fabric", None)
    with pytest.raises(MissingExtraError, match=r"da3-pipeline\[train\]"):
        train(tiny, tmp_path)


def test_a_picture_of_depth_beside_truth() -> None:
    """Equal depth has equal colours, unknown truth is black in both, and near is not coloured as far."""
    truth = torch.tensor([[[1.0, 2.0], [0.0, 8.0]]])
    shown = beside_truth(torch.full((1, 3, 2, 2), 255, dtype=torch.uint8), truth, torch.where(truth > 0, truth, 5.0))
    image, true, found = shown.split(2, -1)
    assert bool((image == 1).all()) and torch.equal(true, found)
    assert bool((true[:, 1, 0] == 0).all()) and not torch.equal(true[:, 0, 0], true[:, 1, 1])
