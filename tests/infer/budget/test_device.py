"""Which device runs the network, and at what precision."""

from __future__ import annotations

import contextlib

import pytest
import torch

from da3_pipeline.errors import InferenceError
from da3_pipeline.infer.budget.device import memory_limit_bytes, pick_device, precision, require_fused_attention
from da3_pipeline.infer.config import BudgetConfig, InferConfig


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
    assert memory_limit_bytes(torch.device("cpu"), InferConfig(max_memory_gb=2.0)) == 2 * 2**30
    assert 0 < memory_limit_bytes(torch.device("cpu"), InferConfig()) < 2**50


@pytest.mark.gpu
def test_a_gpu_computes_in_bfloat16() -> None:
    device = pick_device("cuda")
    with precision(device):
        assert (torch.ones(4, 4, device=device) @ torch.ones(4, 4, device=device)).dtype == torch.bfloat16
    assert memory_limit_bytes(device, InferConfig()) > 0


@pytest.mark.parametrize("kernel", ["can_use_flash_attention", "can_use_efficient_attention"])
def test_a_fused_kernel_is_all_that_a_large_run_needs(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _pretend_cuda(monkeypatch)
    monkeypatch.setattr(torch.backends.cuda, kernel, lambda params: True)
    require_fused_attention(torch.device("cuda"), 16, 100_000, BudgetConfig())


def test_a_large_run_on_the_plain_kernel_is_refused_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    _pretend_cuda(monkeypatch)
    with pytest.raises(InferenceError, match=r"100000 tokens would take 596 GB on cuda.*enable_mem_efficient_sdp"):
        require_fused_attention(torch.device("cuda"), 16, 100_000, BudgetConfig())
    require_fused_attention(torch.device("cuda"), 16, 2_000, BudgetConfig())
    require_fused_attention(torch.device("cpu"), 16, 100_000, BudgetConfig())


@pytest.mark.gpu
def test_this_gpu_has_a_fused_kernel() -> None:
    require_fused_attention(torch.device("cuda"), 16, 100_000, BudgetConfig())


def _pretend_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU without any fused kernel: tensors stay where they are."""
    empty = torch.empty
    monkeypatch.setattr(torch, "empty", lambda shape, dtype, device: empty(shape, dtype=dtype))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    for kernel in ("can_use_flash_attention", "can_use_efficient_attention"):
        monkeypatch.setattr(torch.backends.cuda, kernel, lambda params: False)
