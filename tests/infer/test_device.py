"""Which device runs the network, and at what precision."""

from __future__ import annotations

import contextlib

import pytest
import torch

from da3_pipeline.errors import InferenceError
from da3_pipeline.infer.device import memory_limit_bytes, pick_device, precision


def test_auto_takes_cuda_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("auto").type == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto").type == "cpu"


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "meta", "", "cpu:3"])
def test_an_absent_device_is_one_clear_line(name: str) -> None:
    with pytest.raises(InferenceError, match="device") as raised:
        pick_device(name)
    assert "\n" not in str(raised.value)


def test_the_cpu_computes_in_full_precision() -> None:
    with precision(torch.device("cpu")):
        assert (torch.ones(4, 4) @ torch.ones(4, 4)).dtype == torch.float32
    assert isinstance(precision(torch.device("cpu")), contextlib.nullcontext)


def test_the_users_memory_bound_wins() -> None:
    assert memory_limit_bytes(torch.device("cpu"), 2.0) == 2 * 2**30
    assert 0 < memory_limit_bytes(torch.device("cpu"), None) < 2**50


@pytest.mark.gpu
def test_a_gpu_computes_in_bfloat16() -> None:
    device = pick_device("cuda")
    with precision(device):
        assert (torch.ones(4, 4, device=device) @ torch.ones(4, 4, device=device)).dtype == torch.bfloat16
    assert memory_limit_bytes(device, None) > 0
