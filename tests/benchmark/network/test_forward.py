"""`bench forward` and `make gpu` where the device that they ask for is not there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from da3_pipeline.benchmark.network import forward

ROOT = Path(__file__).parents[3]
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")


@without_gpu
@pytest.mark.parametrize("command", ["forward", "memory"])
def test_an_absent_device_is_one_line_before_anything_is_prepared(
    command: str, cli: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward, "write_random_checkpoint", None)
    code, stdout, stderr = cli("bench", command, "da3-nano", "--device", "cuda")
    assert (code, stdout) == (2, "")
    assert stderr.strip().startswith("error: device 'cuda': is not there (PyTorch sees 0 of this kind)")
    assert len(stderr.strip().splitlines()) == 1


@without_gpu
@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_gpu_says_in_one_line_that_there_is_none() -> None:
    command = ["make", "--silent", "gpu", f"GPU_PYTHON={sys.executable}"]
    # Under `make test` this make would be an inner one, and sign its lines "make[1]:".
    outermost = {name: value for name, value in os.environ.items() if name not in ("MAKELEVEL", "MAKEFLAGS", "MFLAGS")}
    done = subprocess.run(command, cwd=ROOT, env=outermost, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    said = [line for line in done.stderr.splitlines() if not line.startswith("make:")]
    assert said == ["make gpu: PyTorch sees no CUDA device here"]


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_gpu_runs_every_test_that_needs_one() -> None:
    command = ["make", "--dry-run", "gpu", f"GPU_PYTHON={sys.executable}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    marked = [path for path in (ROOT / "tests").rglob("test_*.py") if "@pytest.mark.gpu" in path.read_text("utf-8")]
    assert len(marked) >= 4
    assert [path for path in marked if str(path.relative_to(ROOT)) not in done.stdout] == []
    assert "bench forward da3-nano da3-small da3-base --device cuda" in done.stdout
