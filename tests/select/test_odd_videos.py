"""Videos that change their size midway, and several of one name: every frame is read or truthfully left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from da3_pipeline import ingest, select
from da3_pipeline.imageio import read_rgb
from da3_pipeline.ingest.config import IngestConfig
from da3_pipeline.progress import SilentProgress
from da3_pipeline.select.config import SelectConfig
from da3_pipeline.select.names import frame_names
from da3_pipeline.types import Capture, Frame, FrameSet, VideoClip

WIDTH, HEIGHT = 320, 192  # of the views


def chosen(source: Path, stills: Path, config: SelectConfig | None = None) -> FrameSet:
    capture = ingest.run([source], IngestConfig(), SilentProgress())
    return select.run(capture, config or SelectConfig(), SilentProgress(), stills)


def changing(path: Path, parts: Sequence[Sequence[np.ndarray]]) -> Path:
    """One H.264 stream whose parts have sizes of their own, as broadcasts and screen recordings have."""
    tick, data = 0, b""
    for number, part in enumerate(parts):
        piece = path.with_name(f"{number}.ts")
        with av.open(str(piece), "w", format="mpegts") as container:
            stream = container.add_stream("libx264", rate=30, options={"crf": "16", "bf": "0", "preset": "veryfast"})
            stream.height, stream.width = part[0].shape[:2]
            stream.pix_fmt = "yuv420p"
            for pixels in part:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
                frame.pts, frame.time_base = tick, Fraction(1, 30)
                tick += 1
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        data += piece.read_bytes()
        piece.unlink()
    path.write_bytes(data)
    return path


def test_frames_of_a_smaller_size_and_the_same_shape_are_enlarged(
    tmp_path: Path, views: Callable[..., list[np.ndarray]]
) -> None:
    frames = views(0, np.arange(40) * 6.0)
    small = [cv2.resize(frame, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA) for frame in frames[20:]]
    (tmp_path / "in").mkdir()
    changing(tmp_path / "in/a.mts", [frames[:20], small])
    result = chosen(tmp_path / "in", tmp_path / "stills", SelectConfig(pose_only=False))
    numbers = [int(Path(frame.name).stem) for frame in result.frames]
    assert max(numbers) > 30, "nothing of the second part was taken"
    assert len({frame.camera_id for frame in result.frames}) == 1
    resized = [
        number for number, frame in zip(numbers, result.frames, strict=True) if "brought to" in str(frame.pixels)
    ]
    assert resized == [number for number in numbers if number >= 20]
    assert all(read_rgb(frame.path).shape == (HEIGHT, WIDTH, 3) for frame in result.frames)
    assert not [item for item in result.dropped if "decoded" in item.reason]


def test_frames_of_another_shape_are_of_a_camera_of_their_own(
    tmp_path: Path, views: Callable[..., list[np.ndarray]]
) -> None:
    frames = views(0, np.arange(40) * 6.0)
    turned = [np.ascontiguousarray(np.rot90(frame)) for frame in frames[20:]]
    (tmp_path / "in").mkdir()
    changing(tmp_path / "in/a.mts", [frames[:20], turned])
    result = chosen(tmp_path / "in", tmp_path / "stills")
    wide = [frame for frame in result.frames if (frame.width, frame.height) == (WIDTH, HEIGHT)]
    tall = [frame for frame in result.frames if (frame.width, frame.height) == (HEIGHT, WIDTH)]
    assert len(wide) > 2 and len(tall) > 2 and len(wide) + len(tall) == len(result)
    assert all("another shape" in frame.pixels[0] for frame in tall) and not any(frame.pixels for frame in wide)
    assert {frame.camera_id for frame in wide}.isdisjoint(frame.camera_id for frame in tall)
    assert {frame.video for frame in wide}.isdisjoint(frame.video for frame in tall)
    assert all(read_rgb(frame.path).shape == (frame.height, frame.width, 3) for frame in result.frames)
    assert not [item for item in result.dropped if "decoded" in item.reason]


def test_no_two_frames_share_a_name(
    tmp_path: Path, views: Callable[..., list[np.ndarray]], film: Callable[[Path, Sequence[np.ndarray]], Path]
) -> None:
    """Two clips of one stem, one of them with another case, and a folder of photographs that is called as a clip."""
    source = tmp_path / "in"
    for seed, name in enumerate(("walk.mp4", "Walk.mov", "alone.mp4", "yard.mp4")):
        film(source / name, views(seed, np.arange(12) * 8.0))
    (source / "yard").mkdir()
    for number, pixels in enumerate(views(9, [0, 40])):
        cv2.imwrite(str(source / f"yard/{number:06d}.jpg"), pixels)
    result = chosen(source, tmp_path / "stills")
    names = [frame.name for frame in result.frames] + [item.frame for item in result.dropped]
    assert len({name.casefold() for name in names}) == len(names)
    folders = {str(Path(name).parent) for name in names}
    assert folders == {"walk.mp4", "Walk.mov", "alone", "yard.mp4", "yard"}
    for frame in result.frames:
        assert frame.video is None or Path(frame.video).stem == Path(frame.name).parent.name.partition(".")[0]


def test_names_give_way_to_whatever_is_there() -> None:
    def clip(name: str) -> VideoClip:
        return VideoClip(name, Path(name), 64, 48, 0, np.zeros(1), "camera", name)

    photos = tuple(Frame(name, Path(name), 64, 48, "camera", name) for name in ("a/1.jpg", "A.mp4/1.jpg", "b.jpg"))
    clips = ("a.mp4", "day/b.mov", "b.mov", "c.mp4", "c.avi", "C.AVI/x.mp4")
    names = frame_names(Capture(photos, tuple(clip(name) for name in clips), ()))
    folders = [names[name](7).removesuffix("/000007.jpg") for name in clips]
    assert folders == ["a.mp4_", "day/b", "b", "c.mp4", "c.avi", "C.AVI/x"]
