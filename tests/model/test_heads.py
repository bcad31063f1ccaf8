"""The heads' embedding of places as in the published code, whole and in strips."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from da3_pipeline.model.heads import uv_embedding


def test_the_embedding_of_places(golden: Callable[[str], Any]) -> None:
    case = golden("unit_posemb")
    rows, columns, channels = case.arrays["pe"].shape
    embedding = uv_embedding((rows, columns), channels, columns / rows, torch.device("cpu")).permute(1, 2, 0)
    case.compare(1e-5, pe=embedding)


def test_some_rows_of_the_embedding_are_those_of_the_whole() -> None:
    whole = uv_embedding((9, 7), 16, 7 / 9, torch.device("cpu"))
    part = uv_embedding((9, 7), 16, 7 / 9, torch.device("cpu"), slice(3, 8))
    assert torch.equal(part, whole[:, 3:8])
