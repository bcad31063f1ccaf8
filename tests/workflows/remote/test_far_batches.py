"""A whole batch whose captures and sessions lie on an S3 server: real processes, a real capture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from da3_workflows.batch import run_batch
from da3_workflows.cluster import RayExecutor
from da3_workflows.remote import RemoteFolder
from da3_workflows.tasks import Executor
from PIL import Image

import da3_pipeline
from da3_pipeline.config import PipelineConfig
from da3_pipeline.training.synthetic import render_walk

pytestmark = pytest.mark.filterwarnings("ignore")  # botocore's


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    folder = tmp_path / "walk"
    folder.mkdir()
    for number, picture in enumerate(render_walk(seed=1, frames=3, width=160, height=120).frames()):
        Image.fromarray(picture).save(folder / f"{number}.png")
    return folder


def test_outputs_are_those_of_a_run_on_this_disk_and_are_found_again(bucket: str, walk: Path, scratch: Path) -> None:
    captures, output = f"s3://{bucket}/captures", f"s3://{bucket}/sessions"
    for path in walk.iterdir():
        RemoteFolder(captures).upload(path, f"walk/{path.name}")
    RemoteFolder(captures).write("broken/a.jpg", b"no picture")

    def batch(executor: Executor | None = None, verify: bool = False) -> dict[str, tuple[str, bool]]:
        summary = run_batch(captures, output, PipelineConfig(), executor=executor, verify=verify)
        return {record.name: (record.status, record.reused) for record in summary.records}

    first = batch()
    assert first["broken"] == ("failed", False)
    status, reused = first["walk"]
    assert status in ("done", "below gates") and not reused
    there = RemoteFolder(f"{output}/walk")
    da3_pipeline.run(walk, walk.parent / "here")
    for path in (walk.parent / "here").rglob("*"):
        name = path.relative_to(walk.parent / "here").as_posix()
        if path.is_file() and not name.startswith(".da3") and Path(name).stem not in ("report", "metrics"):
            assert there.read(name) == path.read_bytes(), name
    told = json.loads(RemoteFolder(output).read("batch.json") or b"")
    assert {one["name"]: one["status"] for one in told["captures"]} == {"broken": "failed", "walk": status}
    assert not list(scratch.rglob("walk/*"))  # what is finished is kept here no longer

    assert batch() == {"broken": ("failed", False), "walk": (status, True)}
    transforms = there.read("transforms.json") or b""
    there.write("transforms.json", transforms.replace(b"1", b"2"))
    stages = {name: there.read(f".da3/{name}/stage.json") for name in ("ingest", "infer", "refine")}
    assert batch(verify=True)["walk"] == (status, False)
    assert there.read("transforms.json") == transforms
    assert {name: there.read(f".da3/{name}/stage.json") for name in stages} == stages  # by the least work


@pytest.mark.slow
def test_a_session_that_is_sent_between_its_legs_goes_on(bucket: str, walk: Path) -> None:
    """On Ray, with what it takes for a GPU: three legs, of which each fetches what the one before has sent."""
    ray = pytest.importorskip("ray")
    captures, output = f"s3://{bucket}/captures", f"s3://{bucket}/sessions"
    for path in walk.iterdir():
        RemoteFolder(captures).upload(path, f"walk/{path.name}")
    ray.init("local", num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False)
    try:
        (record,) = run_batch(captures, output, PipelineConfig(), executor=RayExecutor()).records
    finally:
        ray.shutdown()
    assert record.finished, record.reason
    assert json.loads(RemoteFolder(f"{output}/walk").read("transforms.json") or b"")["frames"]
