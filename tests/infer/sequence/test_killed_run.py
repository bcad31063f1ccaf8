"""A run that is killed between and within chunks, and one that is run again in the same workspace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from da3_pipeline import model
from da3_pipeline.infer import InferConfig, discard_chunks, run
from da3_pipeline.infer.sequence.chunk_store import ChunkStore, recall, remember
from da3_pipeline.model import ModelConfig
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import Frame, FrameSet, Prediction
from da3_pipeline.versions import STAGE_VERSIONS

COUNT = 48
WALK = {"process_res_px": 56, "max_views_per_pass": 10, "chunk_overlap": 4, "sequence": {"anchored_up_to": 0}}
"""Few frames, but treated as a long capture."""

CHILD = """
import torch
from pathlib import Path
torch.set_num_threads(1)
from da3_pipeline.infer import InferConfig, run
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import Frame, FrameSet
paths = sorted(Path({photos!r}).glob("*.png"))
frames = FrameSet(tuple(Frame(p.name, p, 56, 42, "camera", p.stem) for p in paths), ())
config = InferConfig(model={checkpoint!r}, device="cpu", **{settings!r})
run(frames, config, SilentProgress(), Path({workspace!r}))
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(3)
    for index in range(COUNT):
        coarse = rng.integers(0, 255, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((56, 42), Image.Resampling.BICUBIC).save(folder / f"{index:03d}.png")
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    config = ModelConfig(64, 10, 2, (3, 5, 7, 9), 8, (8, 8, 16, 16))
    model.save_checkpoint(model.build(config, generator=torch.Generator().manual_seed(1)), path)
    return path


@pytest.fixture
def predict(photos: Path, checkpoint: Path) -> Callable[..., Prediction]:
    paths = sorted(photos.glob("*.png"))
    frames = FrameSet(tuple(Frame(p.name, p, 56, 42, "camera", p.stem) for p in paths), ())

    def predict(workspace: Path | None, **options: object) -> Prediction:
        config = InferConfig.model_validate({"model": str(checkpoint), "device": "cpu", **WALK, **options})
        return run(frames, config, SilentProgress(), workspace)

    return predict


def assert_equal(a: Prediction, b: Prediction) -> None:
    for name in ("depth", "conf", "cam_from_world", "view_intrinsics", "descriptors"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert a.frames == b.frames


def finished(workspace: Path) -> set[Path]:
    return {path.parent for path in workspace.glob("*/chunk.json") if path.parent.suffix != ".new"}


def test_a_killed_run_goes_on_where_it_was(
    predict: Callable[..., Prediction], photos: Path, checkpoint: Path, tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    workspace = tmp_path / "killed"
    code = CHILD.format(photos=str(photos), checkpoint=str(checkpoint), workspace=str(workspace), settings=WALK)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    child = subprocess.Popen([sys.executable, "-c", code], env=environment)
    deadline_s = time.monotonic() + 120
    while len(finished(workspace)) < 3 and child.poll() is None and time.monotonic() < deadline_s:
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    before = {path: (path / "chunk.json").stat().st_mtime_ns for path in finished(workspace)}
    assert len(before) >= 3
    resumed = predict(workspace)
    after = {path: (path / "chunk.json").stat().st_mtime_ns for path in finished(workspace)}
    assert all(after[path] == time_ns for path, time_ns in before.items())
    assert_equal(resumed, predict(tmp_path / "whole"))


def test_a_finished_run_is_found_whole_and_needs_no_network(
    predict: Callable[..., Prediction], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = predict(tmp_path)
    assert isinstance(first.depth, np.memmap)

    def no_more(*_: object) -> None:
        raise AssertionError("a finished chunk was predicted again")

    monkeypatch.setattr("da3_pipeline.infer.network_pass.NetworkPass.__call__", no_more)
    assert_equal(first, predict(tmp_path))
    predict(tmp_path, sequence={"anchored_up_to": 0, "placement": {"segment_views": 5}}, budget={"share_of_free": 0.7})
    with pytest.raises(AssertionError, match="predicted again"):
        predict(tmp_path, reference_view="first")
    with monkeypatch.context() as patch, pytest.raises(AssertionError, match="predicted again"):
        patch.setitem(STAGE_VERSIONS, "infer", STAGE_VERSIONS["infer"] + 1)
        predict(tmp_path)
    kept = np.array(first.depth[5])
    discard_chunks(tmp_path)
    assert not finished(tmp_path)
    np.testing.assert_array_equal(first.depth[5], kept)


def test_a_run_goes_on_with_the_plan_that_it_began_with(predict: Callable[..., Prediction], tmp_path: Path) -> None:
    """More memory on the second try must not make the finished chunks useless."""
    first = predict(tmp_path / "a", max_views_per_pass=10)
    again = predict(tmp_path / "a", max_views_per_pass=12)
    assert_equal(first, again)


def test_without_a_workspace_everything_is_in_memory(predict: Callable[..., Prediction], tmp_path: Path) -> None:
    prediction = predict(None)
    assert not isinstance(prediction.depth, np.memmap)
    assert_equal(prediction, predict(tmp_path))


def test_a_damaged_chunk_is_as_good_as_absent(predict: Callable[..., Prediction], tmp_path: Path) -> None:
    first = predict(tmp_path)
    expected = np.array(first.depth)
    folders = sorted(finished(tmp_path))
    depth = folders[1] / "depth.npy"
    depth.write_bytes(depth.read_bytes()[:-100])
    (folders[2] / "chunk.json").write_text("{")
    assert ChunkStore(tmp_path, "any", []).find(folders[2].name) is None
    np.testing.assert_array_equal(predict(tmp_path).depth, expected)


def test_a_plan_is_recalled_under_the_key_that_it_was_noted_under(tmp_path: Path) -> None:
    assert recall(tmp_path, "a") == {}
    remember(tmp_path, "a", {"views": 10})
    assert recall(tmp_path, "a") == {"views": 10}
    assert recall(tmp_path, "b") == {}
    remember(tmp_path, "b", {"views": 12})
    assert recall(tmp_path, "b") == {"views": 12}
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]
    for damaged in ("{", "[]", '{"key": "b"}', '{"key": "b", "settings": 3}'):
        (tmp_path / "plan.json").write_text(damaged)
        assert recall(tmp_path, "b") == {}
