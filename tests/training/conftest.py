from __future__ import annotations

import numpy as np
import pytest
import torch

from da3_pipeline.model import ModelConfig
from da3_pipeline.training.config import LossConfig, Phase, StudentConfig
from da3_pipeline.training.samples import Batch, render_scenes
from da3_pipeline.training.synthetic.atlas import Atlas, build_atlas
from da3_pipeline.training.synthetic.solids import Kind, Solids

SIZE = (70, 56)


@pytest.fixture(scope="session")
def atlas() -> Atlas:
    return build_atlas(7, 18)


@pytest.fixture(scope="session")
def rendered(atlas: Atlas) -> Batch:
    """Six scenes of all kinds, four views each."""
    return render_scenes(range(6), atlas, 4, SIZE)


@pytest.fixture
def tiny() -> StudentConfig:
    """A run of seconds."""
    return StudentConfig(
        model=ModelConfig(64, 10, 2, (3, 5, 7, 9), 8, (8, 8, 8, 8)),
        phases=(
            Phase(until=4, views=(2,), sizes=(SIZE,), pool_scenes=3, pool_views=3, steps_per_pool=2, tokens=80),
            Phase(until=6, views=(2, 3), sizes=(SIZE,), pool_scenes=2, pool_views=4, tokens=80, pose_conditioning=0.5),
        ),
        losses=LossConfig(correspondence=0.3, correspondence_until=3, huber=0.1),
        learning_rate=1e-3,
        warmup_steps=2,
        decay_from=4,
        warm_start=True,
        camera_leak=0.2,
        camera_leak_until=2,
        bf16=False,
        procedural_textures=9,
        photographic_textures=0,
        held_out_scenes=0,
        checkpoint_every=3,
    )


def make_solid(kind: Kind, half: tuple[float, float, float], centre: tuple[float, float, float] = (0, 0, 0)) -> Solids:
    """One axis-aligned solid with texture 0."""
    return Solids(
        kind=torch.tensor([int(kind)]),
        centre=torch.tensor([centre], dtype=torch.float32),
        local_from_world=torch.eye(3)[None],
        half=torch.tensor([half], dtype=torch.float32),
        texture=torch.zeros(1, 6, dtype=torch.int64),
        overlay=torch.zeros(1, dtype=torch.int64),
        overlay_gain=torch.zeros(1),
        texels_per_m=torch.full((1, 2), 50.0),
        offset=torch.zeros(1, 2),
        tint=torch.ones(1, 3),
        relief=torch.zeros(1, dtype=torch.int64),
        heights=torch.from_numpy(np.full((1, 8, 8), 0.5, np.float32)),
    )
