"""Ablations: variants of a question differ in what it asks alone, and a sweep that was left goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from da3_pipeline.errors import UsageError
from da3_pipeline.model import VARIANTS, ModelConfig
from da3_pipeline.training.ablation import QUESTIONS, ablation_table, run_ablation, small_base, variants
from da3_pipeline.training.config import StudentConfig, preset, shaped
from da3_pipeline.training.student import Sitting, fine_tuned

ASKED = {
    "ray and camera": {"losses"},
    "teacher": {"label_noise", "teacher"},
    "conditioning": {"phases"},
    "alternation": {"model"},
    "trunk": {"trunk", "frozen_blocks"},
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_variants_differ_in_what_is_asked_alone(question: str) -> None:
    runs = list(variants(question, small_base(), teacher="runs/teacher").values())
    assert len(runs) >= 2 and len({run.model_dump_json() for run in runs}) == len(runs)
    described = [run.model_dump() for run in runs]
    assert {key for key in described[0] if any(d[key] != described[0][key] for d in described)} <= ASKED[question]


def test_full_alternation_looks_across_views_earlier() -> None:
    part, full = variants("alternation", small_base()).values()
    assert set(part.model.global_layers) < set(full.model.global_layers)
    with pytest.raises(UsageError, match="--teacher"):
        variants("teacher", small_base())
    with pytest.raises(UsageError, match="ray and camera"):
        variants("nothing", small_base())


@pytest.mark.slow
def test_a_sweep_that_was_left_goes_on(tmp_path: Path, tiny: StudentConfig) -> None:
    phases = (tiny.phases[0].model_copy(update={"until": 2, "pose_conditioning": 0.5}),)
    held_out = {"held_out_scenes": 2, "held_out_size": (70, 56), "evaluate_every": 2}
    base = tiny.model_copy(update={"phases": phases, "decay_from": 1, "camera_leak": 0.0, **held_out})
    asked = (("conditioning",), (0,), base)
    rows = run_ablation(tmp_path, *asked, sitting=Sitting(max_minutes=0))
    assert [row.seeds for row in rows] == [0, 0]
    rows = run_ablation(tmp_path, *asked)
    assert [(row.variant, row.seeds) for row in rows] == [("poses in a part of the steps", 1), ("never", 1)]
    table = ablation_table(rows)
    assert "auc 30" in table and f"{rows[1].figures['network_rotation_deg'][0]:.3g} ± 0" in table


def test_shapes_and_starts() -> None:
    giant = shaped(preset("paper"), "giant")
    assert giant.model.embed_dim == 1536 and "vit_giant" in giant.trunk and not giant.model.gaussian_head
    with pytest.raises(UsageError, match="nano, small, base, large, giant"):
        shaped(preset("paper"), "huge")
    further = fine_tuned(preset("nano"), "da3-nano")
    assert further.model == VARIANTS["da3-nano"].config and further.start == "da3-nano" and not further.warm_start
    assert isinstance(further.model, ModelConfig) and preset("paper").teacher_from == 120_000
