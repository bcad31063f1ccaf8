"""One lens behind several cameras: who shares one, and that adjusting it as one turns nothing the wrong way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scenes import LANDSCAPE, Make, Synthetic

from da3_pipeline.geometry import Camera, rotation_angle_deg
from da3_pipeline.refine.config import AdjustmentConfig, LensConfig, SolveConfig, TwoViewConfig
from da3_pipeline.refine.initialisation.two_view import guessed_cameras
from da3_pipeline.refine.matching.verification import sampson_error_px
from da3_pipeline.refine.solve.adjustment import Adjustment, adjust, focal_sigmas
from da3_pipeline.refine.solve.lens_model import fully_free, widen_models
from da3_pipeline.refine.solve.lenses import lenses_of, turned
from da3_pipeline.refine.solve.priors import Priors
from da3_pipeline.refine.solve.problem import Estimate
from da3_pipeline.refine.solve.rounds import fit_points, refine_estimate
from da3_pipeline.refine.solve.sharing import Sharing, shared_problem
from da3_pipeline.types import Frame, RigPlace

LENS = Camera("RADIAL", 3200, 2400, (3000.0, 1640.0, 1175.0, -0.07, 0.02))
FISHEYE = Camera("OPENCV_FISHEYE", 3200, 2400, (1500.0, 1510.0, 1640.0, 1175.0, 0.01, 0.0, 0.0, 0.0))
SOLVE = SolveConfig()


def of_one_lens(capture: Synthetic, turns: tuple[int | None, int | None] = (None, None)) -> Synthetic:
    return capture.with_frames(
        replace(frame, lens="one", quarter_turns=turns[k % 2]) for k, frame in enumerate(capture.frames)
    )


@pytest.mark.parametrize(
    "camera", [LENS, LANDSCAPE, Camera.pinhole(3200, 2400, 3000.0), FISHEYE], ids=lambda c: c.model
)
def test_a_turned_camera_sees_the_turned_picture(camera: Camera) -> None:
    """Clockwise: what was on the left is above; the camera's x is minus what was its y."""
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(-0.4, 0.4, (50, 2)), np.ones(50)])
    pixels = camera.project(points)
    clockwise = turned(camera, 1)
    assert (clockwise.width, clockwise.height) == (camera.height, camera.width)
    seen = clockwise.project(np.column_stack([-points[:, 1], points[:, 0], points[:, 2]]))
    np.testing.assert_allclose(seen, np.column_stack([camera.height - pixels[:, 1], pixels[:, 0]]), atol=1e-8)
    assert turned(clockwise, 3) == turned(camera, 4) == camera
    assert turned(camera, 2) == turned(clockwise, 1)


def test_tangential_distortion_is_not_turned() -> None:
    with pytest.raises(ValueError, match="OPENCV cannot be turned"):
        turned(Camera("OPENCV", 10, 10, (9.0, 9.0, 5.0, 5.0, 0.0, 0.0, 0.1, 0.0)), 1)


def picture(width: int, height: int, exif_px: float | None = None, **more: object) -> Frame:
    frame = Frame(
        "a.jpg", Path("a.jpg"), width, height, f"{width}x{height}", "print", exif_focal_px=exif_px, lens="one"
    )
    return replace(frame, **more)  # type: ignore[arg-type]


WIDE = picture(3000, 2000)
RIG = RigPlace("rig1", "left", "1", True)


@pytest.mark.parametrize(
    ("other", "quarters"),
    [
        (picture(2000, 3000), 1),
        (picture(2000, 3000, lens="other"), None),
        (picture(2000, 3000, lens=None), None),
        (picture(2000, 3000, known_camera=LENS), None),
        (picture(2000, 3000, rig=RIG), None),
        (picture(2000, 3000, 2500.0), None),  # the others were cropped
        (picture(1500, 1000), None),  # by whom, nobody says
        (picture(1000, 1500), None),
        (picture(2250, 3000), None),
    ],
)
def test_who_shares_a_lens_without_focal_lengths(other: Frame, quarters: int | None) -> None:
    lenses = lenses_of([WIDE, WIDE, other], LensConfig())
    assert (lenses.views[other.camera_id].quarters if lenses else None) == quarters


@pytest.mark.parametrize(
    ("other", "quarters"),
    [
        (picture(2000, 3000, 2500.0), 1),
        (picture(2000, 3000, 2450.0), 1),
        (picture(2000, 3000, 2400.0), None),
        (picture(2000, 3000), None),
        (picture(1500, 1000, 1250.0), 0),
        (picture(1000, 1500, 1250.0), 1),
        (picture(1024, 683, 2500 * 1024 / 3000), 0),
        (picture(1500, 1000, 2500.0), None),  # twice as long: a digital zoom
        (picture(1500, 1010, 1250.0), None),
    ],
)
def test_who_shares_a_lens_with_focal_lengths(other: Frame, quarters: int | None) -> None:
    wide = replace(WIDE, exif_focal_px=2500.0)
    lenses = lenses_of([other, wide, wide], LensConfig())
    assert (lenses.views[other.camera_id].quarters if lenses else None) == quarters
    if lenses:
        assert lenses.first(other.camera_id) == lenses.first(wide.camera_id) == wide.camera_id


@pytest.mark.parametrize(
    ("wide", "tall", "quarters", "certain"),
    [
        ({0}, {1}, 3, True),  # stored on its side, shown turned clockwise: back again
        ({0}, {3}, 1, True),
        ({2}, {1}, 1, True),
        ({None}, {1}, 1, False),
        ({0}, {0}, 1, False),  # turned by a program that forgot it
        ({0}, {1, 3}, 1, False),
    ],
)
def test_exif_tells_the_direction(wide: set[int | None], tall: set[int | None], quarters: int, certain: bool) -> None:
    frames = [replace(WIDE, quarter_turns=turns) for turns in [*wide] * 3]
    frames += [picture(2000, 3000, quarter_turns=turns) for turns in tall]
    lenses = lenses_of(frames, LensConfig())
    assert lenses is not None
    view = lenses.views["2000x3000"]
    assert (view.quarters, view.certain) == (quarters, certain)
    assert lenses.uncertain == (frozenset() if certain else {"3000x2000"})


@pytest.fixture(params=[1, 3], ids=["clockwise", "counter-clockwise"])
def held_both_ways(make_capture: Make, request: pytest.FixtureRequest) -> Synthetic:
    """Every other picture on its side, without noise; EXIF says to which."""
    lenses = (LENS, turned(LENS, request.param))
    capture = make_capture(frames=8, points=500, lenses=lenses, noise_px=0.0, false_matches=0.0)
    return of_one_lens(capture, (0, request.param))


def test_the_pictures_of_a_lens_are_as_its_first_camera_would_have_taken_them(held_both_ways: Synthetic) -> None:
    problem = held_both_ways.problem()
    shared, lenses = shared_problem(problem), problem.lenses
    assert lenses is not None and len(set(shared.camera_index)) == 1
    np.testing.assert_array_equal(shared.size_px, [[1600, 1200]] * 8)
    poses = lenses.turns(problem.camera_names, problem.camera_index) @ held_both_ways.cam_from_world
    camera = held_both_ways.truth.cameras["landscape"]
    assert {shared.camera_of(k) for k in range(8)} == {"landscape"}
    fit = fit_points(replace(shared, lenses=None), Estimate(poses, {"landscape": camera, "portrait": camera}), 1.0)
    assert np.median(fit.errors_px) < 1e-3
    plain = of_one_lens(held_both_ways)
    assert plain.problem().lenses is not None
    matches = shared.matches
    for number in range(0, len(matches.frames), 5):
        mine = matches.pair == number
        own = problem.matches
        errors = sampson_error_px(matches.fundamental[number], matches.xy_first[mine], matches.xy_second[mine])
        before = sampson_error_px(own.fundamental[number], own.xy_first[mine], own.xy_second[mine])
        assert np.median(errors) == pytest.approx(np.median(before), rel=0.5, abs=1e-3)


@pytest.mark.parametrize("held", [False, True], ids=["free", "held by priors"])
def test_an_adjustment_finds_the_one_lens_whichever_way_it_is_turned(held_both_ways: Synthetic, held: bool) -> None:
    """The centre too: it is off the middle, and turns with the device. Priors are told in the cameras' own axes."""
    problem, truth = held_both_ways.problem(), held_both_ways.truth
    off = {
        name: replace(camera, params=(1.03 * camera.params[0], camera.width / 2, camera.height / 2, 0.0, 0.0))
        for name, camera in truth.cameras.items()
    }
    priors = None
    if held:
        nothing = np.full((8, 3), np.nan)
        up = truth.cam_from_world[:, :3, 2]
        known = {"up_in_camera": up, "up_rad": 1e-3, "robust_sigmas": 1e6}
        priors = Priors(truth.cam_from_world, 1e-3, 1e-3, nothing, nothing, **known)
    found = Estimate(truth.cam_from_world, off)
    for _ in range(3):
        fit = fit_points(problem, found, 1.0)
        how = Adjustment(1.0, AdjustmentConfig(), refine_centre=True, max_iterations=200, function_tolerance=1e-12)
        found, points = adjust(problem, found, fit.points, fit.kept, replace(how, priors=priors))
    landscape, portrait = (found.cameras[name] for name in ("landscape", "portrait"))
    lens = problem.lenses
    assert lens is not None and turned(portrait, lens.views["portrait"].quarters) == landscape
    for name, camera in truth.cameras.items():
        assert (found.cameras[name].width, found.cameras[name].height) == (camera.width, camera.height)
        np.testing.assert_allclose(found.cameras[name].params[:3], camera.params[:3], atol=0.2)
        np.testing.assert_allclose(found.cameras[name].params[3:], camera.params[3:], atol=2e-3)
    rotation_deg, shift = held_both_ways.pose_errors(found.cam_from_world)
    assert rotation_deg < 0.02 and shift < 1e-3
    assert rotation_angle_deg(found.cam_from_world[:, :, :3], truth.cam_from_world[:, :, :3]).max() < 0.05
    sigmas = focal_sigmas(problem, found, points, fit.kept, AdjustmentConfig())
    assert sigmas["landscape"] == sigmas["portrait"] < 0.01


def test_what_priors_say_of_up_is_the_same_direction_in_the_lenss_axes(held_both_ways: Synthetic) -> None:
    problem, poses = held_both_ways.problem(), held_both_ways.cam_from_world
    assert problem.lenses is not None
    sharing, nothing = Sharing.of(problem, problem.lenses), np.full((8, 3), np.nan)
    up = np.random.default_rng(0).normal(size=(8, 3))
    shared = sharing.priors(Priors(poses, 1e-3, 1e-3, nothing, nothing, up_in_camera=up, up_rad=1e-3))
    assert shared.up_in_camera is not None
    for told, axes in ((shared.up_in_camera, shared.cam_from_world), (up, poses)):
        in_world = np.einsum("nji,nj->ni", axes[:, :, :3], told)
        np.testing.assert_allclose(in_world, np.einsum("nji,nj->ni", poses[:, :, :3], up), atol=1e-12)
    assert sharing.priors(Priors(poses, 1e-3, 1e-3, nothing, nothing)).up_in_camera is None


def test_poses_that_are_fixed_come_back_to_the_last_bit(held_both_ways: Synthetic) -> None:
    problem, truth = held_both_ways.problem(), held_both_ways.truth
    fixed = np.arange(8) < 4
    fit = fit_points(problem, truth, 1.0)
    found, _ = adjust(problem, truth, fit.points, fit.kept, Adjustment(1.0, AdjustmentConfig(), fixed=fixed))
    np.testing.assert_array_equal(found.cam_from_world[fixed], truth.cam_from_world[fixed])


def test_noise_does_not_give_one_lens_two_focal_lengths(make_capture: Make) -> None:
    capture = make_capture(frames=9, points=300, lenses=(LANDSCAPE, turned(LANDSCAPE, 1)), prior_deg=2.0, noise_px=1.0)
    shared = of_one_lens(capture)
    errors = {}
    for name, some in (("apart", capture), ("shared", shared)):
        problem = some.problem()
        fit = refine_estimate(problem, problem.prior, SOLVE, 0)
        errors[name] = abs(
            np.log(fit.estimate.cameras["portrait"].focal_px / fit.estimate.cameras["landscape"].focal_px)
        )
    assert errors["shared"] < 1e-12 < 1e-4 < errors["apart"]


def test_pictures_at_two_sizes_share_a_focal_length_relative_to_them(make_capture: Make) -> None:
    small = LANDSCAPE.resized(800, 600)
    capture = make_capture(frames=8, lenses=(LANDSCAPE, small), prior_deg=2.0)
    focal = {"landscape": LANDSCAPE.focal_px, "portrait": small.focal_px}
    capture = of_one_lens(capture).with_frames(
        replace(frame, lens="one", exif_focal_px=focal[frame.camera_id]) for frame in capture.frames
    )
    problem = capture.problem()
    found = refine_estimate(problem, problem.prior, SOLVE, 0).estimate.cameras
    assert (found["portrait"].width, found["landscape"].width) == (800, 1600)
    assert found["landscape"].focal_px == pytest.approx(2 * found["portrait"].focal_px, rel=1e-12)
    assert capture.focal_error(found) < 0.005


def test_all_pairs_of_a_lens_vote_on_its_focal_length(make_capture: Make) -> None:
    capture = make_capture(frames=4, lenses=(LANDSCAPE, turned(LANDSCAPE, 1)), noise_px=0.1, false_matches=0.0)
    lone, shared = capture.problem(), of_one_lens(capture).problem()
    config = TwoViewConfig()
    assert guessed_cameras(lone, config)["portrait"].focal_px == pytest.approx(1.15 * 1500), "one pair is no vote"
    guessed = guessed_cameras(shared, config)
    assert guessed["portrait"].focal_px == guessed["landscape"].focal_px == pytest.approx(1500, rel=0.05)
    assert (guessed["portrait"].width, guessed["portrait"].height) == (1200, 1600)


@pytest.mark.parametrize(("turns", "free"), [((0, 1), True), ((None, None), False)])
def test_the_centre_of_a_lens_turned_nobody_knows_how_stays(
    make_capture: Make, turns: tuple[int | None, int | None], free: bool
) -> None:
    capture = of_one_lens(make_capture(frames=10, points=900, lenses=(LENS, turned(LENS, 1))), turns)
    problem = capture.problem()
    everything = np.ones(len(problem.observations), bool)
    estimate = widen_models(problem, problem.prior, everything, "RADIAL", LensConfig())
    assert {camera.model for camera in estimate.cameras.values()} == {"RADIAL"}
    assert fully_free(problem, estimate, LensConfig()) is free
