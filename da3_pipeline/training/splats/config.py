"""What a run of the Gaussian head is made of, and the presets."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...errors import UsageError
from ...model import ModelConfig
from ...settings import Settings
from ..config import trapezoid

__all__ = ["GAUSSIANS", "GaussianConfig", "gaussian_preset"]

Size = tuple[int, int]


class GaussianConfig(Settings):
    """One run: a function of these values and of the source's weights.

    source: the network whose backbone, depth and cameras stay: a name, a file or the folder of a run. model: its
    configuration, with a head; None until the run begins. A head that the source has is gone on with.
    Of each set `context` views become Gaussians, which are seen from these and from `targets` others; one number of
    context views is drawn a step, and one of the sizes a pool. lpips: weight of the perceptual distance, where the
    package and its weights are there (see `perceptual`). What else has the name of a setting of `StudentConfig` means
    the same.
    """

    source: str = ""
    model: ModelConfig | None = None
    sizes: tuple[Size, ...]
    context: tuple[int, ...]
    steps: int
    decay_from: int
    targets: Annotated[int, Field(ge=1)] = 4
    batch: int = 1
    pool_scenes: int = 8
    steps_per_pool: int = 16
    pose_conditioning: Annotated[float, Field(ge=0, le=1)] = 0.5
    data: tuple[str, ...] = ()
    data_share: Annotated[float, Field(ge=0, le=1)] = 1.0
    lpips: float = 0.05
    learning_rate: float = 2e-4
    weight_decay: float = 0.0
    warmup_steps: int = 1000
    clip_norm: float = 1.0
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999
    ema_every: int = 1
    processes: int = 1
    accumulate: Annotated[int, Field(ge=1)] = 1
    bf16: bool = True
    seed: int = 0
    procedural_textures: int = 300
    photographic_textures: int = 600
    held_out_scenes: int = 8
    evaluate_every: int = 500
    checkpoint_every: int = 200
    keep_every: int = 0

    def rate(self, step: int) -> float:
        """Share of the full learning rates."""
        return trapezoid(step, self.warmup_steps, self.decay_from, self.steps)


GAUSSIANS: dict[str, GaussianConfig] = {
    # The released head: a frozen backbone, more views where pictures are smaller; 12 views of 270 x 480 in its
    # benchmark, 200,000 steps of one set. Rates and the weight of LPIPS are not given; these are pixelSplat's kind.
    "paper": GaussianConfig(
        sizes=((504, 280), (504, 378), (504, 504)),
        context=(2, 4, 6, 8, 12),
        steps=200_000,
        decay_from=100_000,
    ),
    # For a processor; not yet run to its end.
    "small": GaussianConfig(
        sizes=((112, 84), (126, 98)), context=(2, 3), steps=3000, decay_from=1500, targets=1, warmup_steps=100
    ),
}


def gaussian_preset(name: str) -> GaussianConfig:
    """The preset called `name`. Raises UsageError that lists the known names."""
    if name not in GAUSSIANS:
        raise UsageError(f"no preset of Gaussians is called {name!r}; known: {', '.join(GAUSSIANS)}")
    return GAUSSIANS[name]
