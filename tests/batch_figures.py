"""What batches cost, by hand, for docs/BATCH.md:

    python tests/batch_figures.py thousand|forty|rates FOLDER [--executor ray]

FOLDER is scratch. Processor seconds stand beside wall time: machines are shared. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from da3_workflows.batch import run_batch
from da3_workflows.cluster import RayExecutor
from da3_workflows.executors import LocalExecutor
from PIL import Image

from da3_pipeline.config import PipelineConfig
from da3_pipeline.metering import resident_mb
from da3_pipeline.training.synthetic import render_walk

STUB = """
    import json, signal, sys

    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    done = {"status": "below gates", "reason": "stub", "frames_posed": 1, "frames": 1}
    for line in sys.stdin:
        print(json.dumps({"result": done}), flush=True)
"""
ROOT = Path(__file__).parents[1]


class Clock:
    """Wall and processor seconds of us and of our children that have ended."""

    def __enter__(self) -> Clock:
        self._began = (time.monotonic(), _processor_s())
        return self

    def __exit__(self, *_: object) -> None:
        wall_s, processor_s = self._began
        self.wall_s, self.processor_s = time.monotonic() - wall_s, _processor_s() - processor_s


def _processor_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def walks(folder: Path, names: list[str], frames: int = 3) -> Path:
    """Small rendered captures, of four rooms in turn."""
    rooms = [render_walk(seed=seed, frames=frames, width=160, height=120).frames() for seed in (1, 2, 3, 4)]
    pictures = [[Image.fromarray(picture) for picture in room] for room in rooms]
    for number, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for index, picture in enumerate(pictures[number % 4]):
            picture.save(folder / name / f"{index}.png")
    return folder


def thousand(folder: Path, executor: str) -> None:
    """Sessions whose stages cost nothing: what the batch itself does."""
    captures = folder / "captures"
    for number in range(1000):
        (captures / f"{number:04d}").mkdir(parents=True)
        Image.new("RGB", (8, 6)).save(captures / f"{number:04d}" / "a.png")
    command = [sys.executable, "-c", textwrap.dedent(STUB)]
    memory: list[float] = []
    for count in (100, 1000):
        few = folder / f"first {count}"
        few.mkdir()
        for entry in sorted(captures.iterdir())[:count]:
            (few / entry.name).symlink_to(entry)
        runner = RayExecutor(2, command) if executor == "ray" else LocalExecutor(1, command)
        memory.append(resident_mb())
        with Clock() as clock:
            summary = run_batch(few, folder / f"out {count}", PipelineConfig(), executor=runner, retries=0)
        assert len(summary.records) == count and all(record.finished for record in summary.records)
        memory.append(resident_mb())
        per_ms = 1000 * clock.wall_s / count, 1000 * clock.processor_s / count
        print(f"{count} on {executor}: {per_ms[0]:.1f} ms each, {per_ms[1]:.1f} ms of a processor", flush=True)
    print(f"MB before and after each: {', '.join(f'{one:.0f}' for one in memory)}", flush=True)


BROKEN: dict[str, Callable[[Path, bytes], Any]] = {
    "one picture": lambda at, picture: (at / "a.png").write_bytes(picture),
    "text": lambda at, _: [(at / f"{number}.jpg").write_text("no picture") for number in range(3)],
    "empty files": lambda at, _: [(at / f"{number}.png").write_bytes(b"") for number in range(3)],
    "cut": lambda at, picture: [(at / f"{number}.png").write_bytes(picture[:300]) for number in range(3)],
    "the same": lambda at, picture: [(at / f"{number}.png").write_bytes(picture) for number in range(3)],
    os.fsdecode(b"latin\xe9"): lambda at, _: (at / "a.jpg").write_bytes(b"\xff\xd8\xff" + bytes(50)),
    "film.mp4": lambda at, _: at.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(100)),
    "packed.zip": lambda at, _: at.write_bytes(b"PK\x03\x04 no archive"),
}


def forty(folder: Path, executor: str) -> None:
    """32 captures and 8 that are broken; once more; and two batches at once."""
    captures = walks(folder / "captures", [f"walk {number:02d}" for number in range(32)])
    picture = (captures / "walk 00" / "0.png").read_bytes()
    for name, spoil in BROKEN.items():
        if "." not in name:
            (captures / name).mkdir()
        spoil(captures / name, picture)
    for words, out, at_once in (("first", "out", 1), ("again", "out", 1), ("two at once", "shared", 2)):
        with Clock() as clock:
            batches = [_batch(captures, folder / out, executor) for _ in range(at_once)]
            told = [json.loads(batch.communicate()[0]) for batch in batches]
        for batch, one in zip(batches, told, strict=True):
            ended = Counter(
                (record["status"], "reused" if record["reused"] else "done here") for record in one["captures"]
            )
            counted = ", ".join(f"{count} {' '.join(words)}" for words, count in sorted(ended.items()))
            print(f"{words}: exit code {batch.returncode}: {counted}; left out {one['left_out']}", flush=True)
        print(f"  {clock.wall_s:.0f} s, {clock.processor_s:.0f} s of processors", flush=True)
    for record in told[0]["captures"]:
        if record["status"] in ("failed", "crashed"):
            print(ascii(f"  {record['name']}: {record['status']}: {record['reason']}"), flush=True)


def _batch(captures: Path, output: Path, *options: str) -> subprocess.Popen[str]:
    paths = ":".join(str(ROOT / name) for name in (".", "plugins", "workflows"))
    command = [
        sys.executable,
        "-c",
        "from da3_pipeline.cli import main; main()",
        "batch",
        str(captures),
        "-o",
        str(output),
    ]
    return subprocess.Popen(
        [*command, "--quiet", "--json", "--executor", *options],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
    )


def rates(folder: Path, executor: str, count: int = 6) -> None:
    """Sessions a minute: a process for each, one that stays, two that stay, and Ray."""
    captures = walks(folder / "captures", [f"walk {number}" for number in range(count)])
    with Clock() as cold:
        for entry in sorted(captures.iterdir()):
            alone = folder / f"only {entry.name}"
            alone.mkdir()
            (alone / entry.name).symlink_to(entry)
            _batch(alone, folder / "cold", "local").communicate()
    _say("a process for each", cold, count)
    ways = {"1 that stays": ("local", "--jobs", "1"), "2 that stay": ("local", "--jobs", "2")}
    for words, options in {**ways, "Ray, 1": ("ray", "--jobs", "1"), "Ray, 2": ("ray", "--jobs", "2")}.items():
        with Clock() as clock:
            told = json.loads(_batch(captures, folder / words, *options).communicate()[0])
        stages_s = sum(_stages_s(folder / words / record["name"]) for record in told["captures"])
        records_s = sum(record["seconds"] for record in told["captures"])
        _say(words, clock, count)
        print(f"  stages {stages_s:.1f} s, captures {records_s:.1f} s", flush=True)


def _stages_s(session: Path) -> float:
    return float(sum(stage["seconds"] for stage in json.loads((session / "report.json").read_text())["stages"]))


def _say(words: str, clock: Clock, count: int) -> None:
    a_minute = 60 * count / clock.wall_s
    told = f"{clock.wall_s:.1f} s, {a_minute:.1f} a minute; {clock.processor_s / count:.2f} s of processors each"
    print(f"{words}: {count} in {told}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("thousand", "forty", "rates"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--executor", choices=("local", "ray"), default="local")
    asked = parser.parse_args()
    shutil.rmtree(asked.folder, ignore_errors=True)
    {"thousand": thousand, "forty": forty, "rates": rates}[asked.what](asked.folder.absolute(), asked.executor)


if __name__ == "__main__":
    main()
