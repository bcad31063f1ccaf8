"""The pools of a run: synthetic scenes and whatever else its configuration names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...errors import UsageError
from ..samples import Batch, render_scenes
from ..synthetic.atlas import Atlas
from ..synthetic.scenes import HELD_OUT_SEED
from .posed import PosedSource, Source
from .shards import ShardSource

__all__ = ["draw_pool", "open_source", "open_sources"]

_SHARDS = "shards"


def open_source(text: str) -> Source:
    """NAME=FOLDER: a data set's name and where it lies, or `shards` and their folder."""
    name, sign, folder = text.partition("=")
    if not sign:
        raise UsageError(f"{text!r} is no source of data: write NAME=FOLDER, or {_SHARDS}=FOLDER")
    return ShardSource(Path(folder)) if name == _SHARDS else PosedSource(name, Path(folder))


def open_sources(texts: Sequence[str], in_metres: bool = False) -> tuple[Source, ...]:
    """Raises UsageError where metres are asked for and a source has units of its own."""
    opened = {text: open_source(text) for text in texts}
    for text, source in opened.items():
        if in_metres and not source.metric:
            raise UsageError(f"{text} is not in metres: a metric network cannot learn from it")
    return tuple(opened.values())


def draw_pool(
    rng: np.random.Generator,
    atlas: Atlas,
    data: Sequence[Source],
    data_share: float,
    sets: int,
    views: int,
    size: tuple[int, int],
) -> Batch:
    """`sets` sets of `views` views at `size`: with probability `data_share` of one of `data`, else synthetic."""
    if data and rng.random() < data_share:
        return data[int(rng.integers(0, len(data)))].draw(rng, sets, views, size)
    seeds = [int(seed) for seed in rng.integers(0, HELD_OUT_SEED, sets)]
    return render_scenes(seeds, atlas, views, size)
