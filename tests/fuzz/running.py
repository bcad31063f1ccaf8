"""Runs targets: spoils one of their files at a time and keeps what comes out that should not."""

from __future__ import annotations

import random
import signal
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fuzz.mutations import mutated
from fuzz.targets import Target

__all__ = ["Finding", "Hang", "run"]

HANGS_AFTER_S = 20


class Hang(BaseException):
    """No reader may need so long for a file of some kilobytes. No Exception, so that nothing swallows it."""


@dataclass(frozen=True)
class Finding:
    """What went wrong, and the file that did it."""

    error: str
    name: str
    data: bytes


def run(target: Target, seed: int, goes_on: Callable[[int], bool]) -> tuple[int, dict[str, Finding]]:
    """Executions, and findings by where they come from. The same seed spoils in the same way."""
    chance, done, findings = random.Random(seed), 0, {}
    with tempfile.TemporaryDirectory() as made, tempfile.TemporaryDirectory() as spoilt:
        files = target.seeds(Path(made))
        for name, data in files.items():
            (Path(spoilt) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(spoilt) / name).write_bytes(data)
        names = [name for name, data in files.items() if len(data) > 4]
        target.read(Path(spoilt))  # whole, it must be read
        while goes_on(done):
            name = chance.choice(names)
            data = mutated(files[name], chance)
            (Path(spoilt) / name).write_bytes(data)
            done += 1
            try:
                with _alarm(), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    target.read(Path(spoilt))
            except target.expected as error:
                if "\n" in str(error):
                    findings.setdefault(f"two lines: {error}"[:80], Finding(str(error), name, data))
            except (Exception, Hang) as error:
                last = traceback.extract_tb(error.__traceback__)[-1]
                where = f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"
                findings.setdefault(where, Finding("".join(traceback.format_exception(error)), name, data))
            (Path(spoilt) / name).write_bytes(files[name])
    return done, findings


@contextmanager
def _alarm() -> Iterator[None]:
    def ring(*_: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(HANGS_AFTER_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
