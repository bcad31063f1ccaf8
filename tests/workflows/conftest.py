from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest
from PIL import Image

WORKER = """
    import json, os, pathlib, signal, subprocess, sys, time

    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # Ray's processes block it

    def say(**message):
        print(json.dumps(message), flush=True)

    def rest(task):
        pathlib.Path(task["output"]).write_text("started")
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            pathlib.Path(task["output"]).write_text("interrupted")
            sys.exit(130)

    for line in sys.stdin:
        task = json.loads(line)
        kind = pathlib.Path(task["source"]).name
        os.dup2(os.open(task["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
        say(begin="infer")
        say(step=[1, 2, kind])
        print("a native library says hello", flush=True)
        for strange in ('{"step": 7}', '{"step": ["a", {}, 1]}', '{"begin": []}', '[1]', '{"result": 1}', '[' * 5000):
            print(strange, flush=True)
        sys.stdout.buffer.write(b"\\xff\\xfe no text at all\\n")
        sys.stdout.buffer.flush()
        say(end="2 frames")
        if kind == "abort":
            os.write(2, b"about to abort\\n")
            os.abort()
        if kind == "real-time":
            os.kill(os.getpid(), 40)
        if kind == "holds":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
            pathlib.Path(task["output"]).write_text(str(child.pid))
            sys.exit(3)
        if kind.startswith("loses") and not os.path.exists(task["output"]):
            pathlib.Path(task["output"]).write_text("begun")
            if kind == "loses Ray's process":
                os.kill(os.getppid(), 9)
            time.sleep(60)
        if kind == "is killed":
            os.kill(os.getpid(), 9)
        if kind == "sleep":
            rest(task)
        told = {"threads": os.environ.get("OMP_NUM_THREADS"), "pid": os.getpid()}
        if kind == "legs":
            began = time.monotonic()
            time.sleep(0.2)
            ray = {"gpu": os.environ.get("CUDA_VISIBLE_DEVICES"), "raylet": os.environ.get("RAY_RAYLET_PID")}
            leg = {"through": task["through"], "overwrite": task.get("overwrite"), **ray}
            with open(task["output"], "a") as legs:
                legs.write(json.dumps({**leg, "began": began, "ended": time.monotonic()}) + "\\n")
            if task["through"]:
                told["status"] = "part done"
        if kind == "grows":
            told["resident_mb"] = 5000
        say(result={"status": "done", "reason": task["config"].get("greeting"), **told})
"""
"""A process that answers as `python -m da3_workflows` does, and ends each capture as its name says."""


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    script = tmp_path / "worker.py"
    script.write_text(textwrap.dedent(WORKER))
    return [sys.executable, str(script)]


@pytest.fixture
def captures(tmp_path: Path) -> Path:
    """Two folders of photographs, one nested, and a video; beside them what is no capture."""
    root = tmp_path / "captures"
    for name in ("room 10/a.jpg", "room 2/left/a.png", "room 2/left/b.png", "loose.jpg"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6), "teal").save(path)
    (root / "garden.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    (root / "notes").mkdir()
    (root / "notes" / "list.txt").write_text("tripod, charger")
    (root / "readme.txt").write_text("captures of May")
    (root / "old run" / ".da3").mkdir(parents=True)
    (root / ".hidden").mkdir()
    return root
