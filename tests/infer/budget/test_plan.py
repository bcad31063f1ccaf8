"""The plan: as sharp and as joint as memory and time allow, never beyond."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from da3_pipeline.errors import InferenceError
from da3_pipeline.infer.budget import memory
from da3_pipeline.infer.budget.memory import NetworkCost, free_memory_bytes, weights_in_use
from da3_pipeline.infer.budget.plan import Limits, Plan, make_plan
from da3_pipeline.infer.config import InferConfig
from da3_pipeline.model import VARIANTS, build, trunk
from da3_pipeline.model.lean import dense_pass

GB = 2**30
CONFIG = InferConfig()
NANO = NetworkCost(VARIANTS["da3-nano"].config)
LARGE = NetworkCost(VARIANTS["da3-large"].config)
PHOTO = (1024, 683)


def plan(count: int, limits: Limits, resolution_px: int = 504, cost: NetworkCost = NANO) -> Plan:
    return make_plan([PHOTO] * count, resolution_px, CONFIG, cost, limits)


def test_few_frames_are_seen_at_once_and_in_full() -> None:
    assert plan(11, Limits(8 * GB), 252) == Plan(252, (252, 168), 11, NANO.peak_bytes(11, 252, 168))


def test_resolution_falls_before_the_frames_are_split() -> None:
    wanted = NANO.peak_bytes(30, 504, 336)
    chosen = plan(30, Limits(int(0.6 * wanted)))
    assert chosen.views_per_pass == 30
    assert 0.5 * 504 <= chosen.resolution_px < 504


def test_frames_are_split_when_the_resolution_would_fall_too_far() -> None:
    chosen = plan(300, Limits(int(1.5 * GB)), cost=LARGE)
    assert 8 <= chosen.views_per_pass < 300
    assert chosen.resolution_px == 504


def test_a_slow_machine_splits_frames_though_memory_is_plenty() -> None:
    chosen = plan(300, Limits(1000 * GB, CONFIG.budget.cpu_attention_ratio), 252)
    assert chosen.views_per_pass < 300
    assert NANO.attention_ratio(chosen.views_per_pass, *chosen.size) <= CONFIG.budget.cpu_attention_ratio
    assert plan(300, Limits(1000 * GB), 252).views_per_pass == 300


def test_sixty_six_photographs_stay_well_under_four_gigabytes() -> None:
    assert plan(66, Limits(16 * GB, CONFIG.budget.cpu_attention_ratio), 504).peak_bytes < 2 * GB


def test_very_little_memory_still_gives_pairs_at_low_resolution() -> None:
    chosen = plan(20, Limits(LARGE.peak_bytes(3, 112, 70)), cost=LARGE)
    assert 2 <= chosen.views_per_pass < 20
    assert chosen.resolution_px < 504


def test_too_little_memory_says_how_much_is_needed() -> None:
    with pytest.raises(InferenceError, match=r"needs 0\.\d\d GB for 2 frames .* may take 0\.01 GB"):
        plan(20, Limits(GB // 100))


def test_the_users_bound_on_views_holds() -> None:
    chosen = plan(20, Limits(64 * GB, views=6))
    assert chosen.views_per_pass == 6
    assert chosen.resolution_px == 504


def test_one_frame_is_a_plan() -> None:
    assert plan(1, Limits(64 * GB, CONFIG.budget.cpu_attention_ratio)).views_per_pass == 1


@given(count=st.integers(1, 400), small_gb=st.floats(0.3, 20), more=st.floats(1, 4))
def test_more_memory_never_gives_less(count: int, small_gb: float, more: float) -> None:
    limits = Limits(int(small_gb * GB), CONFIG.budget.cpu_attention_ratio)
    tight, roomy = (
        plan(count, limits),
        plan(count, Limits(int(small_gb * more * GB), CONFIG.budget.cpu_attention_ratio)),
    )
    assert tight.peak_bytes <= limits.memory_bytes
    joint_tight, joint_roomy = tight.views_per_pass >= count, roomy.views_per_pass >= count
    assert joint_roomy >= joint_tight
    if joint_roomy == joint_tight:
        assert (roomy.resolution_px, roomy.views_per_pass) >= (tight.resolution_px, tight.views_per_pass)


@given(
    views=st.integers(1, 300),
    width=st.integers(2, 40),
    height=st.integers(2, 40),
    grow=st.sampled_from(["v", "w", "h"]),
)
def test_the_cost_grows_with_views_and_size(views: int, width: int, height: int, grow: str) -> None:
    more = (views + (grow == "v"), 14 * (width + (grow == "w")), 14 * (height + (grow == "h")))
    assert NANO.peak_bytes(*more) > NANO.peak_bytes(views, 14 * width, 14 * height)
    assert NANO.attention_ratio(*more) > NANO.attention_ratio(views, 14 * width, 14 * height)


@pytest.mark.parametrize(
    ("name", "views", "width", "height", "measured_mb"),
    [
        ("da3-nano", 8, 168, 126, 36),
        ("da3-nano", 32, 504, 378, 192),
        ("da3-small", 1, 504, 378, 66),
        ("da3-small", 8, 504, 378, 124),
        ("da3-small", 32, 336, 252, 180),
        ("da3-base", 2, 504, 378, 130),
        ("da3-base", 16, 336, 252, 208),
        ("da3-large", 1, 336, 252, 84),
        ("da3-large", 2, 504, 378, 205),
    ],
)
def test_the_formula_meets_what_was_measured(name: str, views: int, width: int, height: int, measured_mb: int) -> None:
    """Activations of a pass after a small one had read the code; weights and code come on top of these."""
    config, code_mb = VARIANTS[name].config, 28
    with torch.device("meta"):
        weights = weights_in_use(build(name), told=False)
    predicted = NetworkCost(config, weights).peak_bytes(views, width, height) / 2**20
    assert 0.85 <= predicted / (measured_mb + code_mb + weights / 2**20) <= 1.15


def test_gaussians_and_told_cameras_take_more() -> None:
    config = VARIANTS["da3-giant"].config
    plain, gaussians = NetworkCost(config), NetworkCost(config, gaussians=True)
    assert gaussians.peak_bytes(4, 504, 378) - plain.peak_bytes(4, 504, 378) > 4 * 504 * 378 * 38 * 4
    network = build("da3-nano")
    encoder = sum(parameter.nbytes for parameter in network.cam_enc.parameters())
    assert weights_in_use(network, told=True) - weights_in_use(network, told=False) == encoder > 0


def test_the_pieces_are_those_that_the_network_works_on() -> None:
    assert memory._PIECES["cpu"] == (trunk._TOKENS_AT_ONCE["cpu"], dense_pass._PIXELS_AT_ONCE["cpu"])
    elsewhere = (trunk._TOKENS_AT_ONCE_ELSEWHERE, dense_pass._PIXELS_AT_ONCE_ELSEWHERE)
    assert elsewhere == memory._PIECES_ELSEWHERE


def test_free_memory_respects_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meminfo, limit, usage = (tmp_path / name for name in ("meminfo", "limit", "usage"))
    meminfo.write_text("MemTotal: 4000 kB\nMemAvailable:    3000 kB\n")
    monkeypatch.setattr(memory, "_MEMINFO", meminfo)
    monkeypatch.setattr(memory, "_CGROUPS", ((limit, usage),))
    assert free_memory_bytes() == 3000 * 1024
    limit.write_text("max\n")
    usage.write_text("5\n")
    assert free_memory_bytes() == 3000 * 1024
    limit.write_text("1000000\n")
    usage.write_text("400000\n")
    assert free_memory_bytes() == 600000


def test_free_memory_without_proc_is_a_guess(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "absent")
    monkeypatch.setattr(memory, "_CGROUPS", ())
    assert free_memory_bytes() > 0
