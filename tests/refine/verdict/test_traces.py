"""What the evidence says of each frame, and how the frames that are worst are told: on figures that are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from da3_pipeline.geometry import Camera, identity
from da3_pipeline.refine.assembly import Assembly
from da3_pipeline.refine.config import SolveConfig
from da3_pipeline.refine.solve.problem import Estimate, Matches, Problem
from da3_pipeline.refine.solve.rounds import Fit
from da3_pipeline.refine.solve.tracks import Observations
from da3_pipeline.refine.verdict.explanations import EXPLANATIONS
from da3_pipeline.refine.verdict.folds import Cut
from da3_pipeline.refine.verdict.halves import Spread
from da3_pipeline.refine.verdict.held_out import HeldOut
from da3_pipeline.refine.verdict.jackknife import Scatter
from da3_pipeline.refine.verdict.jumps import Jump
from da3_pipeline.refine.verdict.places import (
    EVERYWHERE,
    across,
    at_jump,
    between_pairs,
    disagreeing_pairs,
    large_errors,
    least,
    lost,
    most,
    short_name,
)
from da3_pipeline.refine.verdict.traces import FewViews, Traces
from da3_pipeline.refine.verdict.uncertainty import LetGo
from da3_pipeline.types import Frame

CAMERAS = {"wide": Camera.pinhole(100, 200, 100.0), "long": Camera.pinhole(200, 100, 1000.0)}
NOTHING = np.zeros(0, np.int64)


def frames(count: int) -> tuple[Frame, ...]:
    return tuple(
        Frame(f"{'abcdefgh'[k]}.jpg", Path(), 100, 200, ("wide", "long")[k > 1], f"print{k}") for k in range(count)
    )


def problem() -> Problem:
    """Two frames of either camera; four tracks, of which two are of three frames."""
    observations = Observations(
        np.array([0, 0, 0, 1, 1, 2, 2, 2, 3, 3]),
        np.array([0, 1, 2, 0, 1, 1, 2, 3, 2, 3]),
        np.zeros(10, np.int64),
        np.zeros((10, 2)),
    )
    pairs = np.array([[0, 1], [1, 2], [2, 3], [0, 3]])
    pair = np.repeat(np.arange(4), [4, 3, 2, 1])
    nowhere = np.zeros((10, 2))
    return Problem(
        observations,
        Matches(pair, pairs, nowhere, nowhere, np.zeros((4, 3, 3)), np.zeros(4)),
        ("wide", "long"),
        np.array([0, 0, 1, 1]),
        Estimate(identity(4), CAMERAS),
        frozenset(),
        {},
        False,
        np.ones((4, 2)),
        np.ones((4, 2)),
    )


def traces(**changes: object) -> Traces:
    """The last frame is not refined; one of its two observations is not kept."""
    estimate = Estimate(identity(4), CAMERAS)
    kept = np.arange(10) < 9
    errors_px = np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 1, 9])
    fit = Fit(estimate, np.zeros((4, 3)), errors_px, kept, 1.0)
    refined = np.arange(4) < 3
    assembly = Assembly(fit, refined, np.zeros(4, bool), kept, identity(4), 1.0, 1)
    plain = Traces(
        frames=frames(4),
        problem=problem(),
        assembly=assembly,
        judged=estimate,
        wanted=np.ones(4, bool),
        errors_px=np.array([0.5, 3, 0.1, 0.2, 1, 1, 2, 0.1, 5, 9]),
        spread_deg=np.array([0.5, 4, 2, 0]),
        cells=np.array([0.1, 0.2, 0.3, 0.4]),
        held_out=HeldOut(np.array([1.0, 3.0, np.inf, 6.0, np.inf]), np.array([0, 0, 0, 2, 3])),
        torn=NOTHING,
        doubled=NOTHING,
        alike=None,
        bare=NOTHING.reshape(0, 2),
        exif={},
        prior={},
        solve=SolveConfig(),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_figures_of_frames_are_of_what_is_kept_in_them() -> None:
    told = traces()
    nan = np.nan
    for figure, expected in (
        (told.agreement, [3 / 5, 5 / 7, 3 / 5, nan]),
        (told.observations, [2, 3, 3, nan]),
        (told.error_px, [2.5, 5, 3, 8]),
        (told.large_errors(3.5), [1 / 2, 2 / 3, 1 / 3, 1]),
        (told.large_errors(4.0), [0, 2 / 3, 1 / 3, 1]),
        (told.track_length, [5 / 2, 8 / 3, 7 / 3, 3]),
        (told.parallax_deg, [2.25, 2, 1.25, 2]),
        (told.covered, [0.1, 0.2, 0.3, nan]),
        (told.known_focal, [0, 0, 0, nan]),
    ):
        np.testing.assert_allclose(figure, expected)
    assert told.held_out_px[0] == 3 and np.isnan(told.held_out_px[1]) and told.held_out_px[2] == 6
    assert 1e300 < told.held_out_px[3] < np.inf, "behind the camera is farther than anything"
    assert told.wrong_matches.tolist() == [1, 1, 2, 1]
    assert told.fov_deg == {"wide": pytest.approx(90), "long": pytest.approx(np.degrees(2 * np.arctan(0.1)))}


def test_what_was_not_measured_is_of_no_frame() -> None:
    told = traces(few=FewViews(problem()))
    for some in (traces(), told):
        for figure in (some.halves_deg, some.halves_position, some.scatter_deg, some.bent_deg, some.let_go_deg):
            assert np.isnan(figure).all() and len(figure) == 4
        assert np.isnan(some.links).all() and some.focal_sigmas == {}
    nothing = replace(traces().held_out, errors_px=np.zeros(0), frame=NOTHING)
    assert np.isnan(traces(held_out=nothing).held_out_px).all()


def test_figures_of_the_refined_frames_alone_stand_at_their_frames() -> None:
    one, other = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])
    scatter = Scatter(np.array([[0, 1], [0, 2]]), np.array([1.0, 3.0]), np.zeros(2))
    few = FewViews(problem(), None, LetGo(0, 0, one, "wide"), LetGo(0, 0, other, "long"))
    told = traces(scatter=scatter, few=few, halves=Spread(0.0, 0.0, one, other))
    np.testing.assert_array_equal(told.halves_deg, [1, 2, 3, np.nan])
    np.testing.assert_array_equal(told.halves_position, [4, 5, 6, np.nan])
    np.testing.assert_array_equal(told.bent_deg, [1, 2, 3, np.nan])
    np.testing.assert_array_equal(told.let_go_deg, [4, 5, 6, np.nan])
    np.testing.assert_array_equal(told.scatter_deg, [2, 1, 3, np.nan])


def test_points_link_that_three_views_hold() -> None:
    fit = replace(traces().assembly.fit, kept=np.arange(10) > 0)  # so that the first track is of two
    told = traces(few=FewViews(problem(), fit))
    np.testing.assert_array_equal(told.links, [0, 1, 1, np.nan])


def test_cropped_are_pictures_whose_camera_is_held_and_nobody_gave() -> None:
    given = tuple(replace(f, known_camera=CAMERAS["long"]) if f.name == "d.jpg" else f for f in frames(4))
    told = traces(frames=given, problem=replace(problem(), known_cameras=frozenset({"long"})))
    assert told.cropped.tolist() == [2]
    assert EXPLANATIONS["cropped pictures"].locate(told, 0.0).frames == ("c.jpg",)
    np.testing.assert_array_equal(told.known_focal, [0, 0, 1, np.nan])


def test_long_names_are_told_by_what_they_end_in() -> None:
    assert short_name("f/" + 30 * "a") == "f/" + 30 * "a"
    assert short_name(20 * "f/" + "a.jpg") == "a.jpg"
    assert short_name("f/" + 32 * "a") == 32 * "a"
    assert short_name("f/" + 16 * "a" + "b" + 16 * "c") == 16 * "a" + "…" + 16 * "c"


FIGURE = np.array([5.0, 1.0, np.nan, 3.0, 2.0, 9.0])


@pytest.mark.parametrize(
    ("figure", "limit", "words", "named"),
    [
        (FIGURE, 2.5, "b.jpg and e.jpg", "be"),
        (FIGURE, 2.0, "b.jpg", "b"),
        (FIGURE, 4.0, "most of the capture (worst: b.jpg and e.jpg)", "bed"),
        (FIGURE, 0.0, "b.jpg and e.jpg", "be"),
        (np.array([6.0, 5, 4, 3, 2, 1]), 3.5, "f.jpg, e.jpg and 1 more", "fed"),
        (np.array([1.0, 2, 3, 4, np.nan, np.nan]), 9.0, "a.jpg, b.jpg and 2 more", "abcd"),
        (np.array([1.0, 2, -np.inf, 4, 5, 6]), 0.5, "c.jpg", "c"),
        (np.full(6, np.nan), 9.0, EVERYWHERE.words, ""),
    ],
)
def test_the_worst_frames_are_named_first(figure: np.ndarray, limit: float, words: str, named: str) -> None:
    six = traces(frames=frames(6))
    for place in (least(lambda _: figure)(six, limit), most(lambda _: -figure)(six, -limit)):
        assert place.words == words
        assert place.frames == tuple(f"{letter}.jpg" for letter in named)


def test_places_of_what_is_lost_wrong_or_apart() -> None:
    told = traces()
    assert lost(told, 0.9).frames == ("d.jpg",)
    assert lost(replace(told, wanted=np.arange(4) < 3), 0.9) == EVERYWHERE
    assert large_errors(told, 3.5).words == "d.jpg, b.jpg and 2 more"
    wrong = disagreeing_pairs(told, 0.0)
    assert wrong.words == "c.jpg and d.jpg, a.jpg and b.jpg, and 1 more"
    assert wrong.frames == ("c.jpg", "d.jpg", "a.jpg", "b.jpg")
    whole = replace(told.assembly, refined=np.ones(4, bool))
    assert disagreeing_pairs(replace(told, errors_px=np.zeros(10), assembly=whole), 0.0) == EVERYWHERE
    jump = at_jump(lambda traces: traces.speed)
    assert jump(told, 1.0) == EVERYWHERE
    assert jump(replace(told, speed=Jump(9.0, 1, 2)), 1.0).words == "b.jpg and c.jpg"


def test_the_cut_is_where_most_matches_cross_it() -> None:
    assert across(lambda traces: traces.cut)(traces(), 0.5) == EVERYWHERE
    half = np.array([True, True, False, False])
    for one, other in ((half, ~half), (~half, half)):
        assert across(lambda traces: traces.cut)(traces(cut=Cut(0.1, one, other)), 0.5).frames == ("b.jpg", "c.jpg")
    some = np.array([True, False, False, False])
    assert across(lambda traces: traces.cut)(traces(cut=Cut(0.1, some, half[::-1])), 0.5).frames == ("a.jpg", "d.jpg")


def test_pairs_are_named_once_in_their_order() -> None:
    pairs = np.array([[2, 1], [1, 2], [0, 3], [3, 0]])
    place = between_pairs(lambda _: pairs)(traces(), 0.0)
    assert place.words == "c.jpg and b.jpg, a.jpg and d.jpg"
    assert place.frames == ("c.jpg", "b.jpg", "a.jpg", "d.jpg")


def located(gate: str, **changes: object) -> tuple[str, ...]:
    return EXPLANATIONS[gate].locate(traces(**changes), 0.0).frames


def test_the_camera_that_is_farthest_off_is_named_to_either_side() -> None:
    wide, long = ("a.jpg", "b.jpg"), ("c.jpg", "d.jpg")
    for gate, source in (("focal vs EXIF", "exif"), ("focal vs prior", "prior")):
        assert located(gate, **{source: {"wide": 1.2, "long": 0.5}}) == long
        assert located(gate, **{source: {"wide": 3.0, "long": 0.5}}) == wide
        assert located(gate) == ()
    assert located("narrow view") == located("wide view") == long
    few = FewViews(problem(), let_go=LetGo(1.0, 0.5, np.zeros(3), "wide"))
    assert located("let go, focal", few=few) == wide
    assert located("let go, focal") == located("let go, focal", few=FewViews(problem())) == ()
    place = EXPLANATIONS["wide view"].locate(traces(), 0.0)
    assert place.words == "the camera of c.jpg and d.jpg"


def test_pairs_that_contradict_are_named() -> None:
    for gate, source in (("refuted neighbours", "torn"), ("refuted overlap", "doubled"), ("look-alikes", "alike")):
        assert located(gate, **{source: np.array([1])}) == ("b.jpg", "c.jpg")
        assert located(gate) == ()
    assert located("bare views", bare=np.array([[3, 1]])) == ("d.jpg", "b.jpg")
