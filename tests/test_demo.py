"""The demonstration's parts: its film is read back with the frames and times it was given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from da3_pipeline import demo
from da3_pipeline.videoio import decode_frames, probe_video


@pytest.mark.parametrize("frames_per_s", [10, 30])
def test_the_film_comes_back_in_order_and_at_its_times(tmp_path: Path, frames_per_s: int) -> None:
    path = tmp_path / "film.mp4"
    demo.write_video(path, (np.full((48, 64, 3), 20 * k, np.uint8) for k in range(10)), frames_per_s)
    assert [file.name for file in tmp_path.iterdir()] == ["film.mp4"]
    info = probe_video(path)
    assert (info.width, info.height) == (64, 48)
    assert np.allclose(info.times_s, np.arange(10) / frames_per_s, atol=1e-3)
    levels = [frame.frame.to_ndarray(format="gray").mean() for frame in decode_frames(path, info.times_s)]
    assert np.allclose(levels, 20 * np.arange(10), atol=3)
