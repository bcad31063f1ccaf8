from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from da3_pipeline.export.report.reading import by_reason, figure
from da3_pipeline.export.report.trainers import commands, others


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (1790.4, "1\u202f790"),
        (-123456.7, "-123\u202f457"),
        (12, "12"),
        (0.12345, "0.123"),
        (99.96, "100"),
        (0.00001234, "0.0000123"),
        (2.5e-17, "0.000000000000000025"),
    ],
)
def test_figures_have_three_digits_and_no_exponent(value: float | None, text: str) -> None:
    assert figure(value) == text


def dropped(*reasons: str) -> list[dict[str, str]]:
    return [{"frame": f"{number}.jpg", "reason": reason} for number, reason in enumerate(reasons)]


def test_reasons_that_differ_in_what_was_measured_are_one() -> None:
    blurred = (f"blurred: a sharper frame {seconds} s away was taken" for seconds in ("0.70", "10.03", "0.20"))
    (group,) = by_reason(dropped(*blurred), examples=2)
    assert group.reason == "blurred: a sharper frame 0.20 to 10.03 s away was taken"
    assert (group.total, group.names, group.more) == (3, ("0.jpg", "1.jpg"), 1)


def test_reasons_that_differ_in_words_are_not_and_the_commonest_comes_first() -> None:
    groups = by_reason(dropped("it cannot be decoded", "permission denied", "permission denied"), examples=5)
    assert [(group.reason, group.total, group.more) for group in groups] == [
        ("permission denied", 2, 0),
        ("it cannot be decoded", 1, 0),
    ]


def test_names_of_other_files_are_left_out_where_they_differ_and_their_numbers_are_no_figures() -> None:
    (pair,) = by_reason(dropped("the same file as IMG_0012.jpg", "the same file as IMG_0013.jpg"), examples=5)
    assert pair.reason == "the same file as …"
    (twice,) = by_reason(dropped(*2 * ["the same file as a/7.jpg"]), examples=5)
    assert twice.reason == "the same file as a/7.jpg"


def test_one_number_is_no_range() -> None:
    short = "px: a side is shorter than 32 px"
    (group,) = by_reason(dropped(f"90 x 20 {short}", f"90 x 30 {short}"), examples=5)
    assert group.reason == "90 x 20 to 30 px: a side is shorter than 32 px"


def document(*models: str, undistorted: bool = False) -> dict[str, Any]:
    return {"data_set": {"undistorted": undistorted}, "cameras": [{"model": model} for model in models]}


@pytest.mark.parametrize(
    ("models", "undistorted", "flag", "needs_a_run"),
    [
        (["PINHOLE"], False, False, None),
        (["OPENCV"], True, False, None),
        (["PINHOLE", "SIMPLE_RADIAL"], False, True, "3DGS needs"),
        (["OPENCV_FISHEYE"], False, True, "OpenSplat and 3DGS need"),
    ],
)
def test_trainers_are_told_with_the_flags_that_these_lenses_need(
    models: list[str], undistorted: bool, flag: bool, needs_a_run: str | None
) -> None:
    told = others(document(*models, undistorted=undistorted))
    assert ("--gut" in told) == flag
    assert ("3DGS" in told.partition(" open")[0]) == (needs_a_run is None)
    assert needs_a_run is None or f"{needs_a_run} a run with --undistort" in told


def test_commands_name_the_folder_and_gsplats_factor_and_nothing_is_run_without_a_data_set() -> None:
    folder = Path("/tmp/a b")
    (_, nerfstudio), (_, gsplat) = commands(document("PINHOLE"), folder)
    assert nerfstudio == "ns-train splatfacto --data '/tmp/a b'"
    assert gsplat.endswith("--data_dir '/tmp/a b' --data_factor 1")
    assert commands(document("PINHOLE") | {"data_set": None}, folder) == []
