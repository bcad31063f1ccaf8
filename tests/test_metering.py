"""What a stretch of work cost, against work of known cost."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from da3_pipeline.metering import Meter

WORK_S = 0.1
TICK_S = 0.011  # of the kernel's accounting

BUSY = f"""
import time
while time.process_time() < {WORK_S}:
    pass
"""


def busy(seconds: float) -> None:
    began_s = time.thread_time()
    while time.thread_time() - began_s < seconds:
        pass


def test_processor_time_counts_threads_and_children_and_no_waiting() -> None:
    meter = Meter()
    time.sleep(2 * WORK_S)
    waited_s = meter.cpu_seconds
    assert waited_s < WORK_S
    thread = threading.Thread(target=busy, args=(WORK_S,))
    thread.start()
    thread.join()
    alone_s = meter.cpu_seconds - waited_s
    assert alone_s >= WORK_S - TICK_S
    subprocess.run([sys.executable, "-c", BUSY], check=True)
    assert meter.cpu_seconds - waited_s - alone_s >= WORK_S - TICK_S


def test_the_peak_is_that_of_the_stretch() -> None:
    if sys.platform != "linux":
        pytest.skip("elsewhere it is that of the whole process")
    held = bytearray(200 << 20)
    held[::4096] = b"x" * len(held[::4096])
    del held
    meter = Meter()
    before_mb = meter.peak_memory_mb
    held = bytearray(80 << 20)
    held[::4096] = b"x" * len(held[::4096])
    assert meter.peak_memory_mb - before_mb == pytest.approx(80, abs=20)
