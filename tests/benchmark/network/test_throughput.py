"""Views a second and growth from timed passes, of numbers that are known."""

from __future__ import annotations

import pytest

from da3_pipeline.benchmark.network.forward import ForwardCase, ForwardRow
from da3_pipeline.benchmark.network.throughput import growth_by_network, throughput_table


def row(views: int, seconds: tuple[float, ...], size: tuple[int, int] = (126, 168)) -> ForwardRow:
    return ForwardRow(ForwardCase("da3-nano", views, size), "ours", seconds, seconds, 700.0)


def test_views_a_second_are_those_of_the_quickest_pass() -> None:
    text = throughput_table([row(8, (4.0, 2.0)), row(2, (0.5,))], "cpu")
    lines = [line.split() for line in text.splitlines()]
    assert lines[2] == ["da3-nano", "126x168", "8", "ours", "2.000", "4.00", "700"]
    assert lines[3][4:6] == ["0.500", "4.00"]


def test_growth_is_by_variant_size_and_network() -> None:
    rows = [row(views, (0.1 * views**1.4,)) for views in (2, 4, 8, 16)] + [row(2, (1.0,), (252, 336))]
    growth = growth_by_network(rows)
    assert list(growth) == ["da3-nano, 126x168, ours"]
    assert growth["da3-nano, 126x168, ours"].exponent == pytest.approx(1.4)
    assert "seconds grow as views^1.40" in throughput_table(rows, "cpu")
