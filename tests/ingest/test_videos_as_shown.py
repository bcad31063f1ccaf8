"""Videos as players show them: mirrored, HDR, interlaced, of several streams, and of a size that changes."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from da3_pipeline import ingest
from da3_pipeline.ingest.config import IngestConfig
from da3_pipeline.progress import SilentProgress
from da3_pipeline.videoio import decode_frames, probe_video

MakeVideo = Callable[..., Path]

PICTURE = np.full((96, 128, 3), 60, np.uint8)
PICTURE[:32, :64], PICTURE[64:, :32], PICTURE[32:64, 96:] = (200, 40, 40), (40, 180, 60), (220, 220, 220)

EIGHT = {  # (a, b, c, d): stored (x, y), y down, is shown at (a x + c y, b x + d y)
    "as stored": ((1, 0, 0, 1), 0, False),
    "quarter turn clockwise": ((0, 1, -1, 0), 270, False),
    "half turn": ((-1, 0, 0, -1), 180, False),
    "quarter turn counter-clockwise": ((0, -1, 1, 0), 90, False),
    "left and right": ((-1, 0, 0, 1), 0, True),
    "up and down": ((1, 0, 0, -1), 180, True),
    "diagonal": ((0, 1, 1, 0), 90, True),
    "other diagonal": ((0, -1, -1, 0), 270, True),
}


def shown(stored: np.ndarray, matrix: tuple[int, int, int, int]) -> np.ndarray:
    """What a player shows, pixel by pixel from the definition of the matrix."""
    a, b, c, d = matrix
    height, width = stored.shape[:2]
    y, x = np.mgrid[:height, :width]
    across, down = a * x + c * y, b * x + d * y
    across, down = across - across.min(), down - down.min()
    picture = np.zeros((down.max() + 1, across.max() + 1, 3), np.uint8)
    picture[down, across] = stored
    return picture


def with_matrix(path: Path, matrix: tuple[int, int, int, int]) -> None:
    data = bytearray(path.read_bytes())
    start = data.rindex(b"tkhd") + 4 + 4 + 20 + 16  # past name, version and flags, times, reserved to volume
    a, b, c, d = (value << 16 for value in matrix)
    data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


@pytest.mark.parametrize("case", EIGHT)
def test_all_eight_display_matrices(tmp_path: Path, video: MakeVideo, case: str) -> None:
    matrix, rotation_deg, mirrored = EIGHT[case]
    path = video(tmp_path / "a.mp4", [PICTURE] * 3)
    with_matrix(path, matrix)
    info, expected = probe_video(path), shown(PICTURE, matrix)
    assert (info.height, info.width) == expected.shape[:2]
    assert (info.rotation_deg, info.mirrored) == (rotation_deg, mirrored)
    first = next(decode_frames(path, info.times_s))
    assert np.abs(first.rgb().astype(int) - expected).mean() < 4
    assert first.grey(64).shape == (expected.shape[0] // 2, expected.shape[1] // 2)
    (clip,) = ingest.run([path], IngestConfig(), SilentProgress()).videos
    assert any("mirrored" in clause for clause in clip.pixels) == mirrored


def hdr_signal(picture: np.ndarray, kind: str) -> np.ndarray:
    """An SDR picture as HDR with its white at 203 nits (ITU-R BT.2100 and BT.2408), in 0..1."""
    to_bt2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
    nits = 203 * (picture / 255) ** 2.4 @ to_bt2020.T
    if kind == "PQ":
        root = (nits / 10000) ** (2610 / 16384)
        return ((3424 / 4096 + 2413 / 128 * root) / (1 + 2392 / 128 * root)) ** (2523 / 32)
    luminance = nits @ np.array([0.2627, 0.6780, 0.0593]) / 1000
    scene = nits / 1000 * luminance[..., None] ** (1 / 1.2 - 1)
    logarithm = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), logarithm)


def hdr_film(path: Path, picture: np.ndarray, kind: str) -> Path:
    """Three frames of 10 bits, tagged as phones tag them."""
    signal = hdr_signal(picture, kind)
    red, green, blue = np.moveaxis(signal, -1, 0)
    luma = 0.2627 * red + 0.6780 * green + 0.0593 * blue
    planes = (64 + 876 * luma, 512 + 896 * (blue - luma) / 1.8814, 512 + 896 * (red - luma) / 1.4746)
    transfer = {"HLG": "arib-std-b67", "PQ": "smpte2084"}[kind]
    tags = f"transfer={transfer}:colorprim=bt2020:colormatrix=bt2020nc:range=tv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"x264-params": tags, "crf": "4"})
        stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], "yuv444p10le"
        for _ in range(3):
            frame = av.VideoFrame(picture.shape[1], picture.shape[0], "yuv444p10le")
            for plane, values in zip(frame.planes, planes, strict=True):
                rows = np.zeros((plane.height, plane.line_size // 2), np.uint16)
                rows[:, : plane.width] = np.round(values)
                plane.update(rows.tobytes())
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def patches(colours: Sequence[Sequence[int]]) -> np.ndarray:
    return np.repeat(np.repeat(np.array([colours], np.uint8), 64, 0), 32, 1)


IN_RANGE = [[20] * 3, [60] * 3, [120] * 3, [185] * 3, [180, 40, 40], [40, 180, 40], [50, 50, 180], [185, 150, 120]]


@pytest.mark.parametrize("kind", ["HLG", "PQ"])
def test_hdr_gives_the_levels_and_colours_of_its_sdr_twin(tmp_path: Path, kind: str) -> None:
    picture = patches(IN_RANGE)
    path = hdr_film(tmp_path / "a.mov", picture, kind)
    info = probe_video(path)
    assert info.hdr == kind
    first = next(decode_frames(path, info.times_s))
    found = first.rgb()[32, 16::32].astype(int)
    assert np.abs(found - IN_RANGE).max() <= 6 and np.abs((found - IN_RANGE).mean(0)).max() < 1.5
    assert np.abs(first.grey(128)[16, 8:64:16].astype(int) - [20, 60, 120, 185]).max() <= 3


@pytest.mark.parametrize("kind", ["HLG", "PQ"])
def test_hdr_white_is_nearly_white_and_highlights_are_told_apart(tmp_path: Path, kind: str) -> None:
    over = [255 * (nits / 203) ** (1 / 2.4) for nits in (150, 203, 400, 990)]
    picture = np.repeat(np.repeat(np.array([[[level] * 3 for level in over]]), 64, 0), 32, 1)
    path = hdr_film(tmp_path / "a.mov", picture, kind)
    levels = next(decode_frames(path, probe_video(path).times_s)).rgb()[32, 16::32].mean(-1)
    assert 220 <= levels[1] <= 240
    assert (np.diff(levels) > 8).all() and levels[-1] >= 250


def test_a_capture_says_that_it_was_hdr(tmp_path: Path) -> None:
    hdr_film(tmp_path / "in.mov", patches(IN_RANGE), "HLG")
    (clip,) = ingest.run([tmp_path / "in.mov"], IngestConfig(), SilentProgress()).videos
    assert clip.pixels == ("HDR (HLG), tone-mapped to SDR",)


def test_interlaced_frames_lose_their_comb(tmp_path: Path) -> None:
    """A white bar that moves by 8 px from field to field: in a woven frame every other row of its edges is torn."""

    def moment(number: int) -> np.ndarray:
        picture = np.full((96, 256, 3), 30, np.uint8)
        picture[:, 20 + 8 * number : 60 + 8 * number] = 220
        return picture

    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"x264-params": "bff=1", "crf": "4"})
        stream.width, stream.height, stream.pix_fmt = 256, 96, "yuv420p"
        for number in range(8):
            woven = moment(2 * number)
            woven[::2] = moment(2 * number + 1)[::2]
            frame = av.VideoFrame.from_ndarray(woven, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    info = probe_video(path)
    assert info.interlaced
    frames = list(decode_frames(path, info.times_s))
    assert [frame.index for frame in frames] == list(range(8))
    for number, frame in enumerate(frames):
        grey = frame.grey(256)[8:-8].astype(int)
        assert np.abs(grey[1:] - grey[:-1]).mean() < 1.0, "rows are torn"
        assert np.abs(grey - moment(2 * number)[8:-8, :, 0]).mean() < 4, "not the moment of the first field"
    (clip,) = ingest.run([path], IngestConfig(), SilentProgress()).videos
    assert clip.pixels == ("interlaced, made whole from one field a frame",)


def test_progressive_frames_are_left_alone(tmp_path: Path, video: MakeVideo, numbered: list[np.ndarray]) -> None:
    info = probe_video(video(tmp_path / "a.mp4", numbered))
    assert (info.interlaced, info.hdr, info.mirrored, info.unread) == (False, None, False, {})


def two_streams(path: Path, kinds: Sequence[tuple[tuple[int, int], int, Disposition | None]]) -> Path:
    """A file with a stream of grey frames for each of ((width, height), level, disposition)."""
    with av.open(str(path), "w") as container:
        streams = []
        for (width, height), _, disposition in kinds:
            stream = container.add_stream("mjpeg" if disposition else "libx264", rate=30)
            stream.width, stream.height = width, height
            stream.pix_fmt = "yuvj420p" if disposition else "yuv420p"
            if disposition:
                stream.disposition = disposition
            streams.append(stream)
        for number in range(10):
            for stream, ((width, height), level, disposition) in zip(streams, kinds, strict=True):
                if disposition and number:
                    continue
                frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), level, np.uint8), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 30)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode())
    return path


def test_a_cover_picture_is_not_the_film(tmp_path: Path) -> None:
    path = two_streams(tmp_path / "a.mp4", [((320, 320), 250, Disposition.attached_pic), ((128, 96), 90, None)])
    info = probe_video(path)
    assert (info.width, info.height, len(info.times_s), info.unread) == (128, 96, 10, {})
    assert abs(float(next(decode_frames(path, info.times_s)).rgb().mean()) - 90) < 3


def test_a_second_stream_is_named_as_not_read(tmp_path: Path) -> None:
    path = two_streams(tmp_path / "a.mkv", [((128, 96), 90, None), ((160, 112), 200, None)])
    capture = ingest.run([path], IngestConfig(), SilentProgress())
    (clip,) = capture.videos
    (unread,) = capture.dropped
    other = {(128, 96): "160 x 112", (160, 112): "128 x 96"}[clip.width, clip.height]
    assert "a.mkv (stream" in unread.frame and other in unread.reason


def test_a_file_of_nothing_but_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    path = two_streams(tmp_path / "a.mp4", [((320, 320), 250, Disposition.attached_pic)])
    (tmp_path / "in").mkdir()
    with pytest.raises(Exception, match="no video stream beside its cover picture"):
        ingest.run([path], IngestConfig(), SilentProgress())
