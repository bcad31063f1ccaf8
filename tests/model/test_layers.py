"""Rotary positions as in the published code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from da3_pipeline.model.layers import Rotation, rotate, rotation


def test_rotary_positions(golden: Callable[[str], Any]) -> None:
    case = golden("unit_posemb")
    given = case.tensors()
    tables = rotation(given["rope_pos"])
    per_head = Rotation(tables.cos[:, None], tables.sin[:, None])
    case.compare(1e-5, rope_out=rotate(given["rope_in"], per_head))
