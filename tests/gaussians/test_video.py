"""Videos play back as they were drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from da3_pipeline.errors import ExportError
from da3_pipeline.gaussians import Renderer, VideoStyle, encode_video, render_video
from da3_pipeline.geometry import Camera
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import GaussianCloud
from da3_pipeline.videoio import decode_frames, probe_video

POSES = np.tile(np.eye(3, 4), (6, 1, 1))


def decoded(path: Path) -> list[np.ndarray]:
    return [frame.rgb() for frame in decode_frames(path, probe_video(path).times_s)]


def test_colours_and_times_survive(tmp_path: Path) -> None:
    tints = [[200, 40, 40], [40, 200, 40], [40, 40, 200], [128, 128, 128], [250, 240, 10]]
    pictures = [np.full((48, 64, 3), tint, np.uint8) for tint in tints]
    encode_video(tmp_path / "a.mp4", pictures, fps=10)
    for frame, tint in zip(decoded(tmp_path / "a.mp4"), tints, strict=True):
        assert np.abs(frame.astype(int) - tint).max() <= 6
    np.testing.assert_allclose(probe_video(tmp_path / "a.mp4").times_s, np.arange(5) / 10, atol=1e-3)


def test_a_cloud_is_filmed_with_its_depth_beside_it(cloud_of: Callable[..., GaussianCloud], tmp_path: Path) -> None:
    camera, renderer = Camera.pinhole(65, 49, 50.0), Renderer(cloud_of(200, scale=0.15), "torch")
    poses = POSES.copy()
    poses[:, 0, 3] = np.linspace(-0.3, 0.3, 6)
    render_video(tmp_path / "a.mp4", renderer, camera, poses, SilentProgress(), VideoStyle(depth=True))
    frames = decoded(tmp_path / "a.mp4")
    assert [frame.shape for frame in frames] == [(48, 130, 3)] * 6
    for frame, pose in zip(frames, poses, strict=True):
        picture = np.clip(renderer(camera, pose, (1, 1, 1)).image * 255, 0, 255)[:48]
        assert np.abs(frame[:, :65] - picture).mean() < 8
    # The nearest is red in the depth picture, the farthest blue.
    picture = renderer(camera, poses[0])
    red, blue = frames[0][:, 65:, 0].astype(int), frames[0][:, 65:, 2].astype(int)
    opaque = picture.alpha[:48] > 0.95
    near = opaque & (picture.depth[:48] < np.quantile(picture.depth[:48][opaque], 0.1))
    far = opaque & (picture.depth[:48] > np.quantile(picture.depth[:48][opaque], 0.9))
    assert (red - blue)[near].mean() > 30 and (red - blue)[far].mean() < -30


def test_nothing_to_see_is_still_a_video(cloud_of: Callable[..., GaussianCloud], tmp_path: Path) -> None:
    away = np.tile(np.concatenate([np.diag([1.0, -1, -1]), np.zeros((3, 1))], 1), (2, 1, 1))
    renderer = Renderer(cloud_of(5), "torch")
    render_video(
        tmp_path / "a.mp4", renderer, Camera.pinhole(32, 32, 30.0), away, SilentProgress(), VideoStyle(depth=True)
    )
    assert len(decoded(tmp_path / "a.mp4")) == 2


def test_what_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="at least one frame"):
        encode_video(tmp_path / "a.mp4", [])
    with pytest.raises(ExportError, match=r"nowhere/a\.mp4: the video cannot be written"):
        encode_video(tmp_path / "nowhere" / "a.mp4", [np.zeros((16, 16, 3), np.uint8)])
