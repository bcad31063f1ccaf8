"""Nothing usable: one clear line, exit 2, nothing written. Good frames left: they are processed, the bad ones named."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from PIL import Image

from da3_pipeline.cli import EXIT_BAD_INPUT

Run = Callable[..., tuple[int, str, str]]


def one_line(stderr: str) -> str:
    lines = [line for line in stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, stderr
    assert "Traceback" not in stderr
    return lines[0]


def noise_jpeg(path: Path, width: int = 96, height: int = 80, seed: int = 0) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def no_such_path(folder: Path) -> Path:
    return folder / "nowhere"


def empty_folder(folder: Path) -> Path:
    return folder


def single_image(folder: Path) -> Path:
    noise_jpeg(folder / "only.jpg")
    return folder


def text_named_jpg(folder: Path) -> Path:
    (folder / "a.jpg").write_text("this is not a photograph")
    return folder


def zero_length(folder: Path) -> Path:
    (folder / "a.jpg").touch()
    return folder


def one_pixel(folder: Path) -> Path:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (1, 1)).save(folder / name)
    return folder


def dead_video(folder: Path) -> Path:
    (folder / "clip.mp4").write_bytes(b"\x00" * 4096)
    return folder


@pytest.mark.parametrize(
    "make", [no_such_path, empty_folder, single_image, text_named_jpg, zero_length, one_pixel, dead_video]
)
def test_nothing_usable(make: Callable[[Path], Path], tmp_path: Path, cli: Run) -> None:
    (tmp_path / "in").mkdir()
    source = make(tmp_path / "in")
    code, _, stderr = cli("run", source, "--output", tmp_path / "out")
    assert code == EXIT_BAD_INPUT
    assert str(source.name) in one_line(stderr) or any(path.name in stderr for path in source.glob("*"))
    assert not (tmp_path / "out").exists()


def corrupt(path: Path) -> Path:
    path.write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{broken")
    return path


def pickled(path: Path) -> Path:
    path.write_bytes(pickle.dumps({"weight": 1}))
    return path


def absent(path: Path) -> Path:
    return path


@pytest.mark.parametrize("make", [corrupt, pickled, absent])
def test_checkpoints_that_cannot_be_used(make: Callable[[Path], Path], tmp_path: Path, cli: Run) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for index in range(2):
        noise_jpeg(photos / f"{index}.jpg", seed=index)
    checkpoint = make(tmp_path / "net.safetensors")
    code, _, stderr = cli("run", photos, "--output", tmp_path / "out", "--model", checkpoint)
    assert code == EXIT_BAD_INPUT
    assert "net.safetensors" in one_line(stderr)
    assert not (tmp_path / "out" / "images").exists()


def test_a_checkpoint_of_another_variant(tmp_path: Path, cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from da3_pipeline.model import build, save_checkpoint

    monkeypatch.setenv("DA3_PIPELINE_WEIGHTS", str(tmp_path))
    save_checkpoint(build("da3-nano"), tmp_path / "da3-small.safetensors")
    photos = tmp_path / "photos"
    photos.mkdir()
    for index in range(2):
        noise_jpeg(photos / f"{index}.jpg", seed=index)
    code, _, stderr = cli("run", photos, "--output", tmp_path / "out", "--model", "da3-small")
    assert code == EXIT_BAD_INPUT
    assert "da3-small.safetensors" in one_line(stderr)


def test_nan_in_given_intrinsics(tmp_path: Path, cli: Run) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    frames = []
    for index in range(2):
        noise_jpeg(photos / f"{index}.jpg", seed=index)
        frames.append({"file_path": f"{index}.jpg", "transform_matrix": np.eye(4).tolist()})
    document = {"fl_x": float("nan"), "fl_y": 80.0, "cx": 48.0, "cy": 40.0, "w": 96, "h": 80, "frames": frames}
    (tmp_path / "transforms.json").write_text(json.dumps(document))
    code, _, stderr = cli("run", photos, "--output", tmp_path / "out", "--intrinsics", tmp_path / "transforms.json")
    assert code == EXIT_BAD_INPUT
    assert "transforms.json" in one_line(stderr)


def test_an_unknown_model_is_answered_with_the_known_ones(tmp_path: Path, cli: Run) -> None:
    noise_jpeg(tmp_path / "a.jpg", seed=0)
    noise_jpeg(tmp_path / "b.jpg", seed=1)
    code, _, stderr = cli("run", tmp_path, "--output", tmp_path.parent / "unknown-model", "--model", "da4")
    assert code == EXIT_BAD_INPUT
    assert "da3-nano" in one_line(stderr)


def test_a_failed_second_run_leaves_the_first_result_as_it_was(
    tmp_path: Path, cli: Run, rendered_capture: Path
) -> None:
    output = tmp_path / "out"
    code, _, _ = cli("run", rendered_capture / "images", "--output", output)
    assert code == 0
    before = {path: path.read_bytes() for path in output.rglob("*") if path.is_file() and ".da3" not in path.parts}
    assert before
    code, _, stderr = cli("run", tmp_path / "nowhere", "--output", output)
    assert code == EXIT_BAD_INPUT
    one_line(stderr)
    after = {path: path.read_bytes() for path in output.rglob("*") if path.is_file() and ".da3" not in path.parts}
    assert after == before


def test_a_full_disk_is_one_line_and_loses_nothing(
    tmp_path: Path, cli: Run, rendered_capture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    code, _, stderr = cli("run", rendered_capture / "images", "--output", tmp_path / "out")
    assert code == EXIT_BAD_INPUT
    assert "No space left" in one_line(stderr)


def test_bad_frames_among_good_ones_are_named_and_the_rest_is_processed(
    tmp_path: Path, cli: Run, rendered_capture: Path
) -> None:
    capture = tmp_path / "photos"
    shutil.copytree(rendered_capture / "images", capture)
    names = sorted(path.name for path in capture.iterdir())
    good = Image.open(capture / names[0]).convert("RGB")
    whole = (tmp_path / "whole.jpg", good.save(tmp_path / "whole.jpg"))[0].read_bytes()
    (capture / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (capture / "empty.jpg").touch()
    (capture / "text.jpg").write_text("hello")
    Image.new("RGB", (1, 1)).save(capture / "pixel.png")
    (capture / "clip.mp4").write_bytes(b"\x00" * 2048)
    shutil.copy(capture / names[1], capture / "the same again.png")
    code, _, stderr = cli("run", capture, "--output", tmp_path / "out")
    assert code == 0, stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    text = json.dumps(report, ensure_ascii=False)
    for name in ("truncated.jpg", "empty.jpg", "text.jpg", "pixel.png", "clip.mp4", "the same again.png"):
        assert name in text, name
    exported = {path.name for path in (tmp_path / "out" / "images").rglob("*") if path.is_file()}
    assert exported == set(names)


def test_odd_but_good_images_are_used(tmp_path: Path, cli: Run, rendered_capture: Path) -> None:
    capture = tmp_path / "photos with spaces"
    (capture / "a").mkdir(parents=True)
    (capture / "b").mkdir()
    paths = sorted((rendered_capture / "images").iterdir())
    images = [Image.open(path).convert("RGB") for path in paths]
    images[0].convert("CMYK").save(capture / "cmyk.jpg", quality=97)
    grey16 = np.asarray(images[1].convert("L")).astype(np.uint16) * 257
    Image.fromarray(grey16).save(capture / "sixteen bits.png")
    images[2].convert("L").save(capture / "grey é.png")
    images[3].convert("RGBA").save(capture / "it's alpha.png")
    for index, folder in ((4, "a"), (5, "b")):
        images[index].save(capture / folder / "same.png")
    for index in range(6, len(images)):
        images[index].save(capture / f'quote "{index}".webp', quality=97)
    code, _, stderr = cli("run", capture, "--output", tmp_path / "out")
    assert code == 0, stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert len([path for path in (tmp_path / "out" / "images").rglob("*") if path.is_file()]) == len(images)
    assert report["verdict"]["passed"] is True


def test_poses_in_the_wrong_convention_are_read_right_and_it_is_said(
    tmp_path: Path, cli: Run, rendered_capture: Path
) -> None:
    """OpenCV axes in a transforms.json, which are OpenGL's by rights."""
    truth = json.loads((rendered_capture / "truth.json").read_text())["images"]
    frames = []
    for name, view in truth.items():
        world_from_cam = np.linalg.inv(np.vstack([view["w2c"], [0, 0, 0, 1]]))
        frames.append({"file_path": f"images/{name}", "transform_matrix": world_from_cam.tolist()})
    (tmp_path / "transforms.json").write_text(json.dumps({"frames": frames}))
    code, _, stderr = cli(
        "run", rendered_capture / "images", "--output", tmp_path / "out", "--poses", tmp_path / "transforms.json"
    )
    assert code == 0, stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert "world_from_cam with OpenCV axes, not world_from_cam with OpenGL axes" in report["verdict"]["summary"]
    assert report["figures"]["poses_corrected"] == 1
    model = pycolmap.Reconstruction(tmp_path / "out" / "sparse" / "0")
    for image in model.images.values():
        np.testing.assert_allclose(image.cam_from_world().matrix(), np.array(truth[image.name]["w2c"])[:3], atol=1e-6)
