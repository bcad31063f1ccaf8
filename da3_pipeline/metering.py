"""What a stage costs: wall time, processor time and peak memory of this process."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

__all__ = ["Meter", "resident_mb"]

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


class Meter:
    """Starts on creation; `seconds`, `cpu_seconds` and `peak_memory_mb` say what happened since.

    Processor time is that of all threads, and of child processes that have ended.

    On Linux the kernel's high-water mark is reset at the start, so the peak is that of the metered stretch;
    elsewhere it is the peak since the process began, and 0 where the system does not tell.
    """

    def __init__(self) -> None:
        with contextlib.suppress(OSError):
            _CLEAR.write_text("5")
        self._started_s = time.perf_counter()
        self._started_cpu_s = _cpu_s()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._started_s

    @property
    def cpu_seconds(self) -> float:
        return _cpu_s() - self._started_cpu_s

    @property
    def peak_memory_mb(self) -> float:
        told = _told("VmHWM")
        return _lifetime_peak_mb() if told is None else told


def resident_mb() -> float:
    """Memory that this process holds now; 0 where the system does not tell."""
    return _told("VmRSS") or 0.0


def _cpu_s() -> float:
    return sum(os.times()[:4])


def _told(name: str) -> float | None:
    try:
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(name))
        return int(line.split()[1]) / 1024
    except (OSError, StopIteration):
        return None


def _lifetime_peak_mb() -> float:
    try:
        import resource
    except ImportError:
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
