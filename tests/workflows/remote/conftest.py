from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where fetched files go."""
    folder = tmp_path / "scratch"
    monkeypatch.setenv("DA3_PIPELINE_SCRATCH", str(folder))
    return folder


@pytest.fixture(params=["file", "s3"])
def far(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty folder: on this disk, and on an S3 server of this machine."""
    if request.param == "file":
        (tmp_path / "far").mkdir()
        return (tmp_path / "far").as_uri()
    return f"s3://{request.getfixturevalue('bucket')}/below"


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A bucket of its own for each test, and the settings by which processes find it."""
    import s3fs

    for name, value in {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    s3fs.S3FileSystem.clear_instance_cache()
    name = f"b{abs(hash(request.node.nodeid))}"
    s3fs.S3FileSystem().mkdir(name)
    return name


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    pytest.importorskip("s3fs")
    moto = pytest.importorskip("moto.server")
    running = moto.ThreadedMotoServer(port=0, verbose=False)
    running.start()
    yield "http://{}:{}".format(*running.get_host_and_port())
    running.stop()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "left").mkdir(parents=True)
    for name in ("a.png", "left/b.png"):
        Image.new("RGB", (8, 6), "teal").save(folder / name)
    return folder
