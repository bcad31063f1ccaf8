"""`bench forward --device cuda` up to the device: the requests, the timed passes, the search and the table."""

from __future__ import annotations

import io
import json
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from da3_pipeline.benchmark.network import forward, forward_process
from da3_pipeline.benchmark.network.forward import ForwardOptions, forward_cases, forward_table, measure_forward

from .conftest import PEAK_BYTES, CudaWithoutGpu


def test_our_network_is_measured_on_the_gpu(
    cuda: CudaWithoutGpu, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(what: str, command: list[str], request: dict[str, Any], environment: dict[str, str]) -> SimpleNamespace:
        monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(request)))
        with cuda:
            assert forward_process.main() == 0
        return SimpleNamespace(answer=json.loads(capsys.readouterr().out.splitlines()[-1]))

    monkeypatch.setattr(forward, "ask", ask)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    options = ForwardOptions(device="auto", threads=torch.get_num_threads(), rounds=1, passes=1, most_views=2)
    rows = measure_forward(forward_cases(["da3-nano"], [2], "28x42"), options)
    assert [row.network for row in rows] == ["ours", "ours+rays"]
    assert {(len(row.seconds), row.peak_mb, row.most_views) for row in rows} == {(1, PEAK_BYTES / 2**20, 2)}
    assert len(forward_table(rows).splitlines()) == 3
    assert {place for place in cuda.seen if place[0] == "attention"} == {("attention", "cuda", torch.bfloat16)}
