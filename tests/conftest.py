"""A rendered capture with known truth, and the command line in this process."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

# Tests see neither the hub nor weights that lie on this machine: what `auto` is must not hang on either.
os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": os.devnull, "DA3_PIPELINE_WEIGHTS": os.devnull}


@pytest.fixture(scope="session")
def rendered_capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten views of a synthetic room: images/ and truth.json ({"images": {name: {"w2c", "K", "width", "height"}}})."""
    from da3_pipeline.training.synthetic import render_walk

    folder = tmp_path_factory.mktemp("capture")
    (folder / "images").mkdir()
    walk = render_walk(seed=1, frames=10, width=480, height=360)
    truth = {}
    for index, image in enumerate(walk.frames()):
        name = f"{index:03d}.png"
        Image.fromarray(image).save(folder / "images" / name)
        truth[name] = {
            "w2c": walk.cam_from_world[index].tolist(),
            "K": walk.camera.K.tolist(),
            "width": walk.camera.width,
            "height": walk.camera.height,
        }
    (folder / "truth.json").write_text(json.dumps({"images": truth}))
    return folder


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """`cli("run", path, ...)` gives (exit code, stdout, stderr) of the `da3-pipeline` command."""
    from da3_pipeline.cli import main

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["da3-pipeline", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return call
