"""The viewer without a browser, on whichever viser is installed: what is sent, what the controls do, how it ends."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from da3_pipeline.errors import MissingExtraError, UsageError
from da3_pipeline.gaussians import write_gaussians_ply
from da3_pipeline.types import GaussianCloud
from da3_pipeline.viewer import Viewer, serve

NODES = ("cameras", "prior", "moves", "points", "chosen", "tracks", "gaussians")
needs_viser = pytest.mark.skipif(
    importlib.util.find_spec("viser") is None, reason="viser is not installed: pip install 'da3-pipeline[viewer]'"
)


@pytest.fixture
def viewer(session: Path, free_port: int) -> Iterator[Viewer]:
    """A running viewer of a session with one Gaussian."""
    one = np.ones((1, 3), np.float32)
    turn = np.array([[1, 0, 0, 0]], np.float32)
    cloud = GaussianCloud(one, one, turn, one[:, :, None], one[:, 0], np.zeros(1, np.int32))
    write_gaussians_ply(session / "gaussians.ply", cloud)
    running = serve(session, port=free_port)
    yield running
    running.stop()
    assert not running.thumbnails.is_alive()


@needs_viser
def test_the_page_is_served_on_this_machine_alone(viewer: Viewer) -> None:
    assert viewer.url.startswith("http://127.0.0.1:")
    assert b"<html" in urllib.request.urlopen(viewer.url, timeout=5).read().lower()
    assert viewer.server.get_host() == "127.0.0.1"


def shows(viewer: Viewer, *nodes: str) -> bool:
    """Whether these nodes come to be shown, and no others: controls are answered by other threads."""
    shown: list[str] = []
    for _ in range(100):
        shown = [node for node in NODES if viewer.panel.drawing.visible(node)]
        if shown == list(nodes):
            return True
        time.sleep(0.05)
    raise AssertionError(f"shown: {shown}")


@needs_viser
def test_controls_answer(viewer: Viewer) -> None:
    panel, controls = viewer.panel, viewer.panel.controls
    assert shows(viewer, "cameras", "points")
    controls["Name"].value = "04.png"
    assert shows(viewer, "cameras", "points", "chosen", "tracks")
    controls["Its tracks in 3-D"].value = False
    assert shows(viewer, "cameras", "points", "chosen")
    controls["Poses"].value = "both"
    assert shows(viewer, "cameras", "prior", "moves", "points", "chosen")
    controls["Poses"].value = "before refinement"
    assert shows(viewer, "prior", "points", "chosen")
    controls["Points"].value = False
    assert shows(viewer, "prior", "chosen")
    controls["Number of points"].value = 100
    controls["Gaussians"].value = True
    assert shows(viewer, "prior", "chosen", "gaussians")
    controls["Cameras"].value = False
    assert shows(viewer, "gaussians")
    controls["Camera size"].value = 2.0
    controls["Thumbnails"].value = False
    for overlay in ("tracks", "depth", "confidence"):
        controls["Show"].value = overlay
    panel.choose(7)
    assert controls["Name"].value == "07.png"
    assert shows(viewer, "gaussians")


@needs_viser
def test_a_damaged_file_of_gaussians_is_told_in_the_panel(viewer: Viewer) -> None:
    assert viewer.scene.gaussians is not None
    viewer.scene.gaussians.write_bytes(b"ply\n")
    viewer.panel.controls["Gaussians"].value = True
    for _ in range(100):
        if viewer.panel.controls["Gaussians"].disabled:
            break
        time.sleep(0.05)
    assert viewer.panel.controls["Gaussians"].disabled
    assert not viewer.panel.drawing.visible("gaussians")


@needs_viser
def test_what_is_not_there_is_disabled(session: Path, free_port: int) -> None:
    import shutil

    shutil.rmtree(session / ".da3")
    viewer = serve(session, port=free_port)
    try:
        assert viewer.panel.controls["Poses"].disabled and viewer.panel.controls["Gaussians"].disabled
        assert "confidence" not in viewer.panel.controls["Show"].options
    finally:
        viewer.stop()


@needs_viser
def test_a_port_in_use_is_one_clear_line(session: Path, cli: Callable[..., tuple[int, str, str]]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match="choose another --port"):
            serve(session, port=port)
        code, _, told = cli("view", session, "--port", port)
    assert code == 2 and f"127.0.0.1:{port}" in told and len(told.strip().splitlines()) == 1


@needs_viser
def test_an_address_of_another_machine_is_one_clear_line(session: Path, free_port: int) -> None:
    with pytest.raises(UsageError, match="--host"):
        serve(session, host="192.0.2.1", port=free_port)


def test_without_viser_the_extra_is_named(session: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "viser", None)
    with pytest.raises(MissingExtraError, match=r"da3-pipeline\[viewer\]"):
        serve(session)


def test_a_folder_that_is_no_session_is_one_clear_line(
    tmp_path: Path, cli: Callable[..., tuple[int, str, str]]
) -> None:
    code, _, told = cli("view", tmp_path)
    assert code == 2 and "no session" in told and len(told.strip().splitlines()) == 1


@needs_viser
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_it_cleanly(session: Path, free_port: int, number: signal.Signals) -> None:
    code = "from da3_pipeline.cli import main; main()"
    command = [sys.executable, "-u", "-c", code, "view", str(session), "--port", str(free_port)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, encoding="utf-8"
    )
    assert process.stdout is not None
    while "Ctrl-C" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(number)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 0 and "Traceback" not in told
