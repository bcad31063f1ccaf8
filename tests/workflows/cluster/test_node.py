from __future__ import annotations

import _thread
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from da3_workflows.cluster import node
from da3_workflows.tasks import Task


def task(folder: Path, kind: str) -> Task:
    return Task(kind, Path(kind), folder / kind, {"greeting": "hé"}, folder / f"{kind}.log")


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[node._Kept]]:
    """This process as one of Ray's, which keeps ours."""
    kept: list[node._Kept] = []
    monkeypatch.setattr(node, "_kept", kept)
    yield kept
    for worker, _ in kept:
        worker.close()


def test_our_process_stays_for_the_next_capture_of_the_same_gpus_and_threads(
    kept: list[node._Kept], tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "77")  # as Ray sets its own
    used = []
    for kind, gpus in (("good", "0"), ("good", "0"), ("good", "1"), ("is killed", "1"), ("good", "1"), ("grows", "1")):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
        result, status, _, _ = node.have_done(task(tmp_path, kind), command, None, {"OMP_NUM_THREADS": "3"})
        assert (result is None, status) == ((True, -9) if kind == "is killed" else (False, 0))
        used.append(result and result["pid"])
        assert result is None or result["threads"] == "3"
    assert used[0] == used[1] and used[4] == used[5] and len(set(used)) == 4
    assert kept == []  # the last has grown, and made place
    result, _, _, _ = node.have_done(task(tmp_path, "good"), command, None, {})
    assert result is not None and result["threads"] is None


def test_a_cancelled_capture_is_interrupted(kept: list[node._Kept], tmp_path: Path, command: list[str]) -> None:
    sleeping = task(tmp_path, "sleep")

    def cancel() -> None:
        while not (sleeping.output.exists() and sleeping.output.read_text()):
            time.sleep(0.05)
        _thread.interrupt_main()  # as Ray does

    threading.Thread(target=cancel, daemon=True).start()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            node.have_done(sleeping, command, None, {})
    finally:
        signal.signal(signal.SIGINT, before)
    assert sleeping.output.read_text() == "interrupted"
    assert kept == []


def test_what_takes_too_long_and_what_is_not_there_are_told(
    kept: list[node._Kept], tmp_path: Path, command: list[str]
) -> None:
    result, _, seconds, why = node.have_done(task(tmp_path, "sleep"), command, 1.0, {})
    assert result is None and "time limit" in why and 1.0 < seconds < 30.0
    result, _, _, why = node.have_done(task(tmp_path, "good"), ["/no/such/program"], None, {})
    assert result is None and "could not be started" in why


def test_a_machine_says_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    assert node.which_are_here([tmp_path / "not", tmp_path / "there", Path("x" * 5000)]) == {1}
