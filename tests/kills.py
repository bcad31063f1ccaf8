"""Kills batches at random moments, runs them again, and says what differs from one that nobody killed. By hand:

    python tests/kills.py FOLDER --moments 60 [--captures DIR] [--executor ray] [--seed 1]

FOLDER is scratch. Asked after each kill and second run: are all outputs identical, was no stage done twice that had
been saved, is no unfinished file, process or lock left? Linux only: processes are found by what they inherit.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from PIL import Image

from da3_pipeline.training.synthetic import render_walk

ROOT = Path(__file__).parents[1]
MARK = "DA3_KILLS"
WAYS = {
    "local": ("KILL main", "TERM main", "INT main", "KILL worker", "TERM worker", "INT worker"),
    "ray": ("KILL main", "TERM main", "INT main", "KILL worker", "KILL ray", "TERM ray"),
}
TOLD = {"report.html", "report.json", "metrics.json"}
"""Files that tell of times. report.json is compared without them."""
LEFT_S = 60.0
"""In which whoever is left has to be gone: twice what an interrupted capture gets."""


@dataclass(frozen=True)
class Process:
    """A process; began: in the system's ticks, by which a number that is used again is told apart."""

    pid: int
    parent: int
    began: int
    name: str

    def inherited(self, setting: str) -> bool:
        with contextlib.suppress(OSError):
            return f"{setting}\0".encode() in Path(f"/proc/{self.pid}/environ").read_bytes()
        return False


def all_processes() -> Iterator[Process]:
    """That run: what has ended and waits to be asked for is left out."""
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, IndexError):
            if folder.name.isdigit():
                told = (folder / "stat").read_text().rsplit(")", 1)[1].split()
                name = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                if told[0] != "Z":
                    yield Process(int(folder.name), int(told[1]), int(told[19]), name)


@dataclass(frozen=True)
class Batch:
    """One batch: its captures, its output, and the mark by which its processes are found."""

    captures: Path
    output: Path
    executor: str

    def start(self) -> subprocess.Popen[str]:
        paths = ":".join(str(ROOT / name) for name in (".", "plugins", "workflows"))
        environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", MARK: str(self.output)}
        code = "from da3_pipeline.cli import main; main()"
        options = ["batch", self.captures, "-o", self.output, "--quiet", "--executor", self.executor]
        return subprocess.Popen(
            [sys.executable, "-c", code, *map(str, options)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def processes(self) -> dict[int, Process]:
        """Of this batch, by number: those that inherited the mark, and their children, since Ray's hide theirs."""
        everyone = {process.pid: process for process in all_processes()}
        found = {pid: process for pid, process in everyone.items() if process.inherited(f"{MARK}={self.output}")}
        grown = True
        while grown:
            grown = False
            for pid, process in everyone.items():
                if pid not in found and process.parent in found:
                    found[pid] = process
                    grown = True
        return found

    def sessions(self) -> Iterator[Path]:
        for lock in self.output.glob("*/.da3/lock"):
            yield lock.parents[1]


def rendered(folder: Path) -> Path:
    """Two small captures."""
    for seed in (1, 2):
        (folder / f"walk {seed}").mkdir(parents=True)
        for number, picture in enumerate(render_walk(seed=seed, frames=3, width=160, height=120).frames()):
            Image.fromarray(picture).save(folder / f"walk {seed}" / f"{number}.png")
    return folder


def contents(batch: Batch) -> dict[str, bytes]:
    """What a batch leaves for people and programs, without what tells of times."""
    found = {}
    for session in batch.sessions():
        for path in sorted(session.rglob("*")):
            if path.is_file() and ".da3" not in path.relative_to(session).parts and path.name not in TOLD:
                found[str(path.relative_to(batch.output))] = path.read_bytes()
        report = json.loads((session / "report.json").read_text())
        found[str(session.name)] = json.dumps([report["verdict"], report["frames"]], sort_keys=True).encode()
    return found


def saved(batch: Batch) -> dict[Path, int]:
    """Stages that are finished, and when they were."""
    return {
        path: path.stat().st_mtime_ns for path in batch.output.glob("*/.da3/*/stage.json") if ".new" not in str(path)
    }


def debris(batch: Batch) -> list[str]:
    names = ("*.new", "*.new-*", "*.part", "*.tmp")
    left = [path for name in names for path in batch.output.rglob(name)]
    return [str(path.relative_to(batch.output)) for path in left + list(batch.output.rglob(".da3-staging*"))]


def locked(batch: Batch) -> list[str]:
    held = []
    for session in batch.sessions():
        try:
            with FileLock(session / ".da3" / "lock", blocking=False):
                pass
        except Timeout:
            held.append(session.name)
    return held


def aimed_at(there: dict[int, Process], main: int, way: str) -> list[int]:
    """Whom of a batch's processes "KILL worker" means."""
    called = {"worker": "-m da3_workflows", "ray": "ray::_leg_done"}.get(way.split()[1])
    return [pid for pid, process in there.items() if called in process.name] if called else [main]


def strike(pids: list[int], way: str) -> int:
    """Send the signal that "KILL worker" says; how many it reached."""
    number, reached = getattr(signal, f"SIG{way.split()[0]}"), 0
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            reached += 1
    return reached


def still_there(batch: Batch, before: dict[int, Process]) -> list[Process]:
    now = {process.pid: process for process in all_processes()}
    known = [process for pid, process in before.items() if pid in now and now[pid].began == process.began]
    return [*known, *batch.processes().values()]


def faults_of(batch: Batch, way: str, at_s: float, whole: dict[str, bytes]) -> tuple[list[str], str]:
    """Kill a batch after so many seconds, run it again, and say what is wrong; and what was struck."""
    shutil.rmtree(batch.output, ignore_errors=True)
    main = batch.start()
    with contextlib.suppress(subprocess.TimeoutExpired):
        main.wait(at_s)
    there = batch.processes()
    while main.poll() is None and not aimed_at(there, main.pid, way):  # whoever is meant has yet to begin
        time.sleep(0.05)
        there = batch.processes()
    reached = 0 if main.poll() is not None else strike(aimed_at(there, main.pid, way), way)
    printed = main.communicate(timeout=600)[1]
    faults = [f"prints {printed[-200:]!r}"] if "Aborted at" in printed or "Traceback" in printed else []
    ended_s = time.monotonic()
    while batch.processes() and time.monotonic() - ended_s < LEFT_S:
        time.sleep(0.2)
    faults += [f"orphan {name[:60]}" for name in batch.processes().values()] + [
        f"lock {name}" for name in locked(batch)
    ]
    before, wait_s = saved(batch), time.monotonic() - ended_s
    again = batch.start()
    again.communicate(timeout=600)
    after = saved(batch)
    faults += [f"repeated {path.relative_to(batch.output)}" for path, when in before.items() if after.get(path) != when]
    faults += [f"debris {name}" for name in debris(batch)] + [f"lock {name}" for name in locked(batch)]
    got = contents(batch)
    faults += [f"differs {name}" for name in sorted({*got, *whole}) if got.get(name) != whole.get(name)][:5]
    struck = f"{reached} struck" if reached else "nobody there any more"
    return faults, f"{struck}; {len(before)} stages saved, {wait_s:.1f} s until all were gone"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--moments", type=int, default=60)
    parser.add_argument("--captures", type=Path)
    parser.add_argument("--executor", choices=sorted(WAYS), default="local")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    shutil.rmtree(asked.folder, ignore_errors=True)
    captures = (asked.captures or rendered(asked.folder / "captures")).absolute()
    reference = Batch(captures, asked.folder.absolute() / "whole", asked.executor)
    began_s = time.monotonic()
    unkilled = reference.start()
    printed = unkilled.communicate(timeout=600)[1]
    if unkilled.returncode not in (0, 3):
        raise SystemExit(f"{captures}: its captures fail without being killed: {printed[-300:]}")
    took_s = time.monotonic() - began_s
    whole, rng, tally = contents(reference), random.Random(asked.seed), Counter[str]()
    print(f"{len(whole)} files, {took_s:.1f} s unkilled", flush=True)
    batch = Batch(captures, asked.folder.absolute() / "out", asked.executor)
    for number in range(asked.moments):
        way, at_s = WAYS[asked.executor][number % len(WAYS[asked.executor])], rng.uniform(0.2, took_s)
        faults, told = faults_of(batch, way, at_s, whole)
        tally["good" if not faults else "bad"] += 1
        print(f"{number} {way} after {at_s:.1f} s: {told}: {'; '.join(faults) or 'good'}", flush=True)
    left = list(Path(tempfile.gettempdir()).glob("da3-ray-*"))
    print(f"{tally['good']} good, {tally['bad']} bad; {len(left)} folders of Ray's left", flush=True)
    return int(tally["bad"] > 0)


if __name__ == "__main__":
    sys.exit(main())
