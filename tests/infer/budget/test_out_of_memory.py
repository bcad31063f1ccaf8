"""Memory that runs out in a pass: recognised, and answered with smaller chunks."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from da3_pipeline.infer.budget.out_of_memory import memory_ran_out
from da3_pipeline.infer.config import InferConfig
from da3_pipeline.infer.network_pass import NetworkPass
from da3_pipeline.infer.sequence.chunks import ChunkTooLargeError
from da3_pipeline.model import DepthAnything3, build

_LITTLE_SPACE = """
import resource, torch
from da3_pipeline.infer.budget.out_of_memory import memory_ran_out
from da3_pipeline.model import load

torch.set_num_threads(1)
network = load("da3-nano")
images = torch.zeros(1, 120, 3, 126, 168)
with torch.inference_mode():
    network(images[:, :2])
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (48 << 20), resource.RLIM_INFINITY))
    try:
        network(images)
        print("fitted")
    except Exception as error:
        print(memory_ran_out(error))
    network(images[:, :2])
"""


class Limited(DepthAnything3):
    """Runs out of a GPU's memory above `most` views, as CUDA says it."""

    most = 3

    def forward(self, images: torch.Tensor, *args: object, **options: object) -> object:
        if images.shape[1] > self.most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().forward(images, *args, **options)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.cuda.OutOfMemoryError("CUDA out of memory."), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 12 bytes"), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 12 bytes"), True),
        (RuntimeError("could not create a primitive"), True),
        (
            RuntimeError("could not create a primitive descriptor for a convolution forward propagation primitive"),
            False,
        ),
        (RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"), False),
        (ValueError("can't allocate memory"), False),
    ],
)
def test_only_failed_allocations_count(error: BaseException, expected: bool) -> None:
    assert memory_ran_out(error) is expected


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's limit on address space")
def test_the_allocator_of_a_cpu_is_understood() -> None:
    child = subprocess.run([sys.executable, "-c", _LITTLE_SPACE], capture_output=True, text=True)
    assert child.returncode == 0, child.stderr
    assert child.stdout.split() == ["True"], child.stdout


def test_a_pass_that_does_not_fit_is_too_large_and_a_smaller_one_runs() -> None:
    network = build("da3-nano", generator=torch.Generator().manual_seed(0)).eval()
    network.__class__ = Limited
    run = NetworkPass(network, torch.device("cpu"), InferConfig())
    pixels = np.zeros((4, 28, 42, 3), np.uint8)
    with pytest.raises(ChunkTooLargeError, match="4 views of 42 x 28 px"):
        run(pixels, None)
    assert run(pixels[:2], None).depth.shape == (2, 28, 42)
