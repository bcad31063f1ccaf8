"""Chosen frames of a video have the masks of their numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from da3_pipeline import ingest, select
from da3_pipeline.ingest import IngestConfig
from da3_pipeline.progress import SilentProgress
from da3_pipeline.select import SelectConfig


def test_a_frame_has_its_own_mask_or_that_of_the_video(
    tmp_path: Path, views: Callable[..., list[np.ndarray]], film: Callable[..., Path]
) -> None:
    film(tmp_path / "in" / "walk.mp4", views(1, np.arange(40) * 6.0))
    capture = ingest.run([tmp_path / "in"], IngestConfig(), SilentProgress())
    single, own = tmp_path / "walk.png", {k: tmp_path / f"{k}.png" for k in range(20)}
    (clip,) = capture.videos
    masked = replace(capture, videos=(replace(clip, mask=single, frame_masks=own),))
    frames = select.run(masked, SelectConfig(), SilentProgress(), tmp_path / "stills").frames
    numbers = [int(Path(frame.name).stem) for frame in frames]
    assert min(numbers) < 20 <= max(numbers)
    assert [frame.mask for frame in frames] == [own.get(number, single) for number in numbers]
