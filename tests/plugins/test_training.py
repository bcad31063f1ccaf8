"""nerfacto on a session of a clip, by nerfstudio's commands as docs/NERFSTUDIO.md has them, on the CPU."""

from __future__ import annotations

import importlib
import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
import pytest

pytestmark = pytest.mark.nerfstudio

DOCUMENT = Path(__file__).parents[2] / "docs" / "NERFSTUDIO.md"
SCRIPTS = {"ns-train": "train", "ns-eval": "eval", "ns-export": "exporter"}
SMALL = {
    "max-num-iterations": 3,
    "steps-per-save": 3,
    "logging.profiler": "none",
    "pipeline.datamanager.camera-res-scale-factor": 0.1,
    "pipeline.datamanager.train-num-rays-per-batch": 64,
    "pipeline.model.log2-hashmap-size": 10,
    "pipeline.model.num-levels": 2,
    "pipeline.model.num-proposal-samples-per-ray": "16 8",
    "pipeline.model.num-nerf-samples-per-ray": 8,
    "pipeline.model.average-init-density": 10.0,
}
"""What makes a training one of seconds. Where the document has one of them, it is replaced. So dense at first, the few
steps leave points to export."""
CENTRE = np.array([40.0, -7.0, 12.0])
"""What the cameras of `session_of_a_clip` go around, four units away."""
HELD_OUT = ["00.png", "08.png", "16.png"]


def documented() -> list[list[str]]:
    """The words of each command of the document's block for a machine without a GPU."""
    block = re.search(r"## Without a GPU.*?```\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert block
    lines = [re.sub(r"\s#.*", "", line) for line in block[1].replace("\\\n", " ").splitlines()]
    return [shlex.split(line) for line in lines if line.startswith("ns-")]


def smaller(words: list[str]) -> list[str]:
    end = words.index("da3-data")
    for option, value in SMALL.items():
        if f"--{option}" in words:
            place = words.index(f"--{option}")
            del words[place : place + 2]
            end -= 2
        words[end:end] = [f"--{option}", *str(value).split()]
    return words


@pytest.fixture(scope="module")
def done(session_of_a_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the documented commands have been run, one after the other."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "session").symlink_to(session_of_a_clip)
    with pytest.MonkeyPatch.context() as patch:
        import torch

        # The weights of a metric would be downloaded.
        class Similarity(torch.nn.Module):
            def forward(self, *images: Any) -> Any:
                return torch.zeros(())

        patch.setattr("torchmetrics.image.lpip.LearnedPerceptualImagePatchSimilarity", lambda **options: Similarity())
        patch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
        patch.chdir(folder)
        for words in documented():
            words = smaller(words) if words[0] == "ns-train" else words
            patch.setattr("sys.argv", words)
            importlib.import_module(f"nerfstudio.scripts.{SCRIPTS[words[0]]}").entrypoint()
    return folder


def checkpoint(run: Path) -> dict[str, Any]:
    import torch

    (saved,) = (run / "nerfstudio_models").iterdir()
    loaded: dict[str, Any] = torch.load(saved, weights_only=False)
    return loaded


def test_a_training_is_resumed_where_it_ended(done: Path) -> None:
    runs = done / "outputs" / "session" / "nerfacto"
    first, second = checkpoint(runs / "first"), checkpoint(runs / "second")
    assert (first["step"], second["step"]) == (2, 5)
    steps = [
        {int(state["step"]) for state in kept["optimizers"]["fields"]["state"].values()} for kept in (first, second)
    ]
    assert steps == [{3}, {6}]


def test_what_is_evaluated_is_what_was_held_out(done: Path) -> None:
    results = json.loads((done / "eval.json").read_text())
    assert results["checkpoint"].endswith("second/nerfstudio_models/step-000000005.ckpt")
    assert 3 < results["results"]["psnr"] < 40
    assert [Path(frame["file_path"]).name for frame in exported(done, "eval")] == HELD_OUT
    assert len(exported(done, "train")) == 15


def exported(done: Path, split: str) -> list[dict[str, Any]]:
    frames: list[dict[str, Any]] = json.loads((done / "cameras" / f"transforms_{split}.json").read_text())
    return frames


def test_exported_cameras_lead_back_to_the_sessions(done: Path) -> None:
    """By the scale and transform beside the checkpoints, as the document says: those held out exactly."""
    saved = json.loads(
        (done / "outputs" / "session" / "nerfacto" / "second" / "dataparser_transforms.json").read_text()
    )
    model = pycolmap.Reconstruction(done / "session" / "sparse" / "0")
    centres = {image.name: image.projection_center() for image in model.images.values()}
    for frame in exported(done, "eval"):
        centre = centres[Path(frame["file_path"]).relative_to("session/images").as_posix()]
        expected = saved["scale"] * (np.array(saved["transform"]) @ [*centre, 1.0])
        np.testing.assert_allclose(np.array(frame["transform"])[:3, 3], expected, atol=1e-5)


def test_points_are_exported_in_the_sessions_world(done: Path) -> None:
    """Around the cameras, which stand far from the origin there."""
    import open3d as o3d

    points = np.asarray(o3d.io.read_point_cloud(str(done / "points" / "point_cloud.ply")).points)
    assert len(points) > 5000
    assert np.linalg.norm(np.median(points, axis=0) - CENTRE) < 6
