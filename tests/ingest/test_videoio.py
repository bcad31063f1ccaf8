"""Video files: real times, rotation, damage; frames one at a time and upright."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from da3_pipeline.videoio import UnreadableVideoError, decode_frames, probe_video

MakeVideo = Callable[..., Path]


def number_of(rgb: np.ndarray) -> int:
    return round((float(rgb[40:, 40:].mean()) - 10) / 8)


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "libx264"), (".mov", "libx264"), (".mkv", "libx264")])
def test_variable_frame_rate_keeps_its_real_times(
    tmp_path: Path, video: MakeVideo, numbered: list[np.ndarray], suffix: str, codec: str
) -> None:
    ticks = list(range(10)) + list(range(12, 32, 2)) + list(range(60, 70))
    path = video(tmp_path / f"a{suffix}", numbered, ticks=ticks, codec=codec)
    info = probe_video(path)
    assert info.times_s == pytest.approx(np.array(ticks) / 30, abs=2e-3)
    frames = list(decode_frames(path, info.times_s))
    assert [frame.index for frame in frames] == list(range(30))
    assert [number_of(frame.rgb()) for frame in frames] == list(range(30))


def test_of_frames_with_one_time_the_first_is_read(tmp_path: Path, numbered: list[np.ndarray]) -> None:
    """Recorders that stutter write several frames at one time: times still increase, and every number is its frame."""
    path = tmp_path / "stutter.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.height, stream.width = numbered[0].shape[:2]
        stream.pix_fmt = "yuvj420p"
        for number, pixels in enumerate(numbered):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            for packet in stream.encode(frame):
                packet.pts = packet.dts = 4 if packet.pts in (5, 6) else packet.pts
                container.mux(packet)
        container.mux(stream.encode())
    info = probe_video(path)
    assert len(info.times_s) == 28 and (np.diff(info.times_s) > 0).all()
    frames = list(decode_frames(path, info.times_s))
    assert [frame.index for frame in frames] == list(range(28))
    assert [number_of(frame.rgb()) for frame in frames] == [k for k in range(30) if k not in (5, 6)]


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".webm", "libvpx-vp9"), (".avi", "mpeg4"), (".avi", "libx264"), (".m4v", "mpeg4")]
)
def test_other_containers(
    tmp_path: Path, video: MakeVideo, numbered: list[np.ndarray], suffix: str, codec: str
) -> None:
    path = video(tmp_path / f"a{suffix}", numbered, codec=codec)
    info = probe_video(path)
    assert np.diff(info.times_s) == pytest.approx(np.full(29, 1 / 30), abs=2e-3)
    assert [number_of(frame.rgb()) for frame in decode_frames(path, info.times_s)] == list(range(30))


@pytest.mark.parametrize("rotation_deg", [0, 90, 180, 270])
def test_frames_are_turned_as_the_flag_says(
    tmp_path: Path, video: MakeVideo, numbered: list[np.ndarray], rotation_deg: int
) -> None:
    path = video(tmp_path / "a.mp4", numbered, rotation_deg=rotation_deg)
    info = probe_video(path)
    expected = np.rot90(numbered[0], rotation_deg // 90)
    assert info.rotation_deg == rotation_deg
    assert (info.height, info.width) == expected.shape[:2]
    first = next(decode_frames(path, info.times_s))
    assert np.abs(first.rgb().astype(int) - expected).mean() < 3
    assert first.grey(64).shape == tuple(side // 2 for side in expected.shape[:2])


def test_a_truncated_video_gives_what_is_there(tmp_path: Path, video: MakeVideo, numbered: list[np.ndarray]) -> None:
    textured = [np.random.default_rng(i).integers(0, 255, (96, 128, 3), np.uint8) for i in range(30)]
    path = video(tmp_path / "a.mp4", textured, options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    info = probe_video(path)
    indices = [frame.index for frame in decode_frames(path, info.times_s)]
    assert 5 <= len(indices) < 30
    assert indices == list(range(len(indices)))


def test_after_damage_decoding_resumes_at_a_key_frame(tmp_path: Path, video: MakeVideo) -> None:
    """A stretch around a key frame is wiped out: what comes out is what comes out of the intact file."""
    textured = [np.random.default_rng(i).integers(0, 255, (96, 128, 3), np.uint8) for i in range(30)]
    path = video(tmp_path / "a.mp4", textured)
    intact = {frame.index: frame.rgb() for frame in decode_frames(path, probe_video(path).times_s)}
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        start, end = packets[6].pos, packets[13].pos
    data = bytearray(path.read_bytes())
    data[start:end] = bytes(end - start)
    path.write_bytes(data)
    frames = {frame.index: frame.rgb() for frame in decode_frames(path, probe_video(path).times_s)}
    assert set(range(20, 30)) < set(frames)
    assert len(frames) <= 30 - 7
    assert all((frames[index] == intact[index]).all() for index in frames)


def test_dead_videos_say_why(tmp_path: Path, video: MakeVideo, numbered: list[np.ndarray]) -> None:
    empty, text, cut = tmp_path / "empty.mp4", tmp_path / "text.mov", tmp_path / "cut.mp4"
    empty.touch()
    text.write_text("not a film")
    cut.write_bytes(video(tmp_path / "a.mp4", numbered).read_bytes()[:500])  # its index, at the end, is lost
    for path, reason in ((empty, "empty"), (text, "not a readable video"), (cut, "not a readable video")):
        with pytest.raises(UnreadableVideoError) as caught:
            probe_video(path)
        assert reason in caught.value.reason
        assert "\n" not in caught.value.reason


def test_high_definition_without_a_colour_tag_is_read_as_bt709(tmp_path: Path, video: MakeVideo) -> None:
    colour = np.full((720, 1280, 3), (200, 60, 40), np.uint8)
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        frame = av.VideoFrame.from_ndarray(colour, format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
        frame.colorspace = 2
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    first = next(decode_frames(path, probe_video(path).times_s))
    assert np.abs(first.rgb().astype(int) - colour).max() <= 4
