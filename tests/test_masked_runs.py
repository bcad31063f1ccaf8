"""Masks and undistortion from the command line: from photographs to the data set, and what cannot be used."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from PIL import Image

import da3_pipeline
from da3_pipeline.cli import EXIT_BAD_INPUT
from da3_pipeline.config import PipelineConfig
from da3_pipeline.imageio import read_mask, read_rgb, write_mask
from da3_pipeline.ingest import IngestConfig
from da3_pipeline.mask import people
from da3_pipeline.refine import RefineConfig

Run = Callable[..., tuple[int, str, str]]
WIDTH, HEIGHT = 480, 360


def one_line(stderr: str) -> str:
    lines = [line for line in stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and "Traceback" not in stderr, stderr
    return lines[0]


def write_masks(folder: Path, capture: Path, used: np.ndarray) -> Path:
    """COLMAP's names for the first half of the images of a capture, plain ones for the rest."""
    images = sorted((capture / "images").iterdir())
    for index, image in enumerate(images):
        write_mask(folder / (f"{image.name}.png" if index < len(images) / 2 else f"{image.stem}.png"), used)
    return folder


def lower_half(size: tuple[int, int] = (WIDTH, HEIGHT)) -> np.ndarray:
    used = np.zeros(size[::-1], bool)
    used[size[1] // 2 :] = True
    return used


def test_masks_go_from_the_command_line_to_the_data_set(rendered_capture: Path, tmp_path: Path, cli: Run) -> None:
    """Small masks of the upper half: nothing of it comes out."""
    masks = write_masks(tmp_path / "masks", rendered_capture, lower_half((120, 90)))
    (masks / "009.png").unlink()
    code, _, stderr = cli(
        "run", rendered_capture / "images", "--output", tmp_path / "out", "--masks", masks, "--undistort"
    )
    assert code == 0, stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["world"]["masked"] == {"images": 9, "whole": 1, "share": pytest.approx(0.45)}
    assert [stage["name"] for stage in report["stages"]][:3] == ["ingest", "select", "mask"]
    document = json.loads((tmp_path / "out" / "transforms.json").read_text())
    model = pycolmap.Reconstruction(tmp_path / "out" / "sparse" / "0")
    (camera,) = model.cameras.values()
    assert camera.model.name == "PINHOLE"
    for frame in document["frames"]:
        used = read_mask(tmp_path / "out" / frame["mask_path"], camera.width, camera.height)
        image = model.images[frame["colmap_im_id"]]
        assert read_rgb(tmp_path / "out" / frame["file_path"]).shape[:2] == used.shape
        assert (tmp_path / "out" / frame["depth_file_path"]).exists()
        column, row = np.array([point.xy for point in image.get_observation_points2D()]).astype(int).T
        assert used[row, column].all()
        assert used.all() if image.name == "009.png" else 0.4 < used.mean() < 0.6


def test_a_later_run_notices_a_changed_mask(rendered_capture: Path, tmp_path: Path) -> None:
    masks = write_masks(tmp_path / "masks", rendered_capture, lower_half((120, 90)))
    sources = sorted((rendered_capture / "images").iterdir())[:3]
    config = PipelineConfig(ingest=IngestConfig(masks=masks), refine=RefineConfig(refine=False))

    def reused() -> list[bool]:
        return [stage.reused for stage in da3_pipeline.run(sources, tmp_path / "out", config).stages]

    assert reused() == [False] * 7
    assert reused() == [True] * 7
    write_mask(masks / "000.png.png", ~lower_half((120, 90)))
    assert reused() == [False] * 7


def black(folder: Path, capture: Path) -> Path:
    return write_masks(folder, capture, np.zeros((HEIGHT, WIDTH), bool))


def black_file(folder: Path, capture: Path) -> Path:
    write_mask(folder / "mask.png", np.zeros((90, 120), bool))
    return folder / "mask.png"


def turned(folder: Path, capture: Path) -> Path:
    return write_masks(folder, capture, np.ones((WIDTH, HEIGHT), bool))


def of_other_names(folder: Path, capture: Path) -> Path:
    write_mask(folder / "other.png", lower_half())
    return folder


def empty(folder: Path, capture: Path) -> Path:
    folder.mkdir()
    return folder


def absent(folder: Path, capture: Path) -> Path:
    return folder / "nowhere.png"


def text(folder: Path, capture: Path) -> Path:
    folder.mkdir()
    (folder / "mask.png").write_text("white")
    return folder / "mask.png"


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (
            black,
            "10 of 10 frames cannot be used with their masks (000.png: its mask leaves nothing of it); white is used",
        ),
        (black_file, "10 of 10 frames cannot be used with their masks (000.png: its mask leaves nothing of it)"),
        (turned, "360 x 480 px, another shape than the picture's 480 x 360"),
        (of_other_names, "none of its 1 masks has the name of a photograph or video of the capture"),
        (empty, "holds no images"),
        (absent, "no such file or folder"),
        (text, "not an image"),
    ],
)
def test_masks_that_leave_nothing_are_one_line(
    make: Callable[[Path, Path], Path], problem: str, rendered_capture: Path, tmp_path: Path, cli: Run
) -> None:
    masks = make(tmp_path / "masks", rendered_capture)
    code, _, stderr = cli("run", rendered_capture / "images", "--output", tmp_path / "out", "--masks", masks)
    assert code == EXIT_BAD_INPUT
    assert problem in one_line(stderr)
    assert not (tmp_path / "out").exists()


def test_some_bad_masks_cost_their_frames_and_are_named(rendered_capture: Path, tmp_path: Path, cli: Run) -> None:
    masks = write_masks(tmp_path / "masks", rendered_capture, np.ones((HEIGHT, WIDTH), bool))
    write_mask(masks / "000.png.png", np.zeros((HEIGHT, WIDTH), bool))
    write_mask(masks / "009.png", np.ones((HEIGHT, HEIGHT), bool))
    code, _, stderr = cli("run", rendered_capture / "images", "--output", tmp_path / "out", "--masks", masks)
    assert code == 0, stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert {item["frame"]: item["reason"] for item in report["dropped"]} == {
        "000.png": "its mask leaves nothing of it",
        "009.png": "its mask 009.png: 360 x 360 px, another shape than the picture's 480 x 360",
    }
    assert report["data_set"]["images"] == 8


def test_people_are_masked_from_the_command_line(
    rendered_capture: Path, tmp_path: Path, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for the network finds someone in the left quarter of every fifth picture."""

    class Finder:
        def __init__(self, model: str, device: str) -> None:
            pass

        def __call__(self, path: Path, width: int, height: int) -> np.ndarray:
            found = np.zeros((height, width), bool)
            found[:, : 0 if int(path.stem) % 5 else width // 4] = True
            return found

    monkeypatch.setattr(people, "PeopleFinder", Finder)
    code, _, stderr = cli("run", rendered_capture / "images", "--output", tmp_path / "out", "--mask-people")
    assert code == 0, stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["world"]["masked"]["images"] == 2
    assert report["world"]["masked"]["share"] == pytest.approx(0.052, abs=0.003)  # a quarter and the margin
    assert len(list((tmp_path / "out" / ".da3" / "masks").glob("*.png"))) == 10


def test_people_without_weights_are_one_line(
    rendered_capture: Path, tmp_path: Path, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("torchvision")

    def refuse(url: str, *args: object, **kwargs: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    code, stdout, stderr = cli("run", rendered_capture / "images", "--output", tmp_path / "out", "--mask-people")
    assert (code, stdout) == (EXIT_BAD_INPUT, "")
    assert "deeplabv3_mobilenet_v3_large-fc3c493d.pth: cannot be fetched" in one_line(stderr)
    assert not (tmp_path / "out").exists()


def test_a_data_sets_own_masks_are_used_unless_none_is_asked_for(
    rendered_capture: Path, tmp_path: Path, cli: Run
) -> None:
    """nerfstudio's layout: images/ and masks/ side by side, the root given as the source."""
    shutil.copytree(rendered_capture / "images", tmp_path / "scene" / "images")
    (tmp_path / "scene" / "masks").mkdir()
    for image in (tmp_path / "scene" / "images").iterdir():
        Image.fromarray(lower_half()).save(tmp_path / "scene" / "masks" / image.name)
    code, _, _ = cli("run", tmp_path / "scene", "--output", tmp_path / "out", "--no-refine")
    assert code == 3
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["world"]["masked"] == {"images": 10, "whole": 0, "share": 0.5}
    (entry,) = report["dropped"]
    assert entry["frame"] == "masks/" and "used as the mask of images/" in entry["reason"]
    cli("run", tmp_path / "scene", "--output", tmp_path / "plain", "--no-refine", "--masks", "none")
    report = json.loads((tmp_path / "plain" / "report.json").read_text())
    assert report["world"]["masked"] is None
    assert "not used" in report["dropped"][0]["reason"]
