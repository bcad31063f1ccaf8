"""`--distance`: what it may say, what it means in the scene, and how it says no."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from da3_pipeline.errors import UsageError
from da3_pipeline.geometry import transform_points
from da3_pipeline.georegister import GeoregisterConfig
from da3_pipeline.georegister.config import LengthConfig
from da3_pipeline.georegister.distance import distance_estimate as measured_estimate
from da3_pipeline.georegister.distance_option import End, parse_distance
from da3_pipeline.types import Dropped, Scene, Tracks

Capture = Callable[..., Any]

distance_estimate = partial(measured_estimate, config=LengthConfig())


def test_two_cameras() -> None:
    distance = parse_distance("A.jpg,sub/B.jpg=2.5")
    assert (distance.metres, distance.points, distance.cameras) == (2.5, None, (("A.jpg", "sub/B.jpg"),))
    assert parse_distance(" A.jpg , B.jpg = 2.5m").cameras == (("A.jpg", "B.jpg"),)


def test_two_points() -> None:
    distance = parse_distance("A.jpg@812,604:B@2=x.jpg@12.5,0=1e-1")
    assert distance.metres == 0.1
    assert distance.points == (End("A.jpg", (812, 604)), End("B@2=x.jpg", (12.5, 0)))


def test_names_with_commas_can_be_read_in_several_ways() -> None:
    assert set(parse_distance("a,b,c=1").cameras) == {("a", "b,c"), ("a,b", "c")}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("A.jpg,B.jpg", "no '=METRES'"),
        ("", "no '=METRES'"),
        ("A.jpg,B.jpg=", "no length"),
        ("A.jpg,B.jpg=two", "'two' is no length"),
        ("A.jpg,B.jpg=0", "above 0"),
        ("A.jpg,B.jpg=-1", "above 0"),
        ("A.jpg,B.jpg=nan", "above 0"),
        ("A.jpg,B.jpg=inf", "above 0"),
        ("A.jpg=2", "two different ends"),
        ("A.jpg,A.jpg=2", "two different ends"),
        ("A.jpg@1,2:A.jpg@1,2=2", "same pixel"),
        ("A.jpg@1.2.3,2:A.jpg@1,2=2", "no pixel"),
    ],
)
def test_what_cannot_be_read_is_told_before_anything_runs(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        GeoregisterConfig(distance=(text,))
    assert "A.jpg,B.jpg=2.5" in str(caught.value) and "\n" not in str(caught.value)


def test_metric_distance_without_one() -> None:
    with pytest.raises(UsageError, match="add --distance"):
        GeoregisterConfig(metric="distance")


def test_camera_centres(capture: Capture) -> None:
    truth = capture()
    length = float(np.linalg.norm(truth.centres_m[1] - truth.centres_m[7]))
    estimate = distance_estimate(truth.scene, [f"001.jpg,007.jpg={length}"])
    assert estimate is not None
    assert estimate.metres_per_unit == pytest.approx(7.3)
    assert 0.004 < estimate.relative_sigma < 0.01
    prior = replace(truth.scene, pose_source=("prior",) * 12)
    unsure = distance_estimate(prior, [f"001.jpg,007.jpg={length}"])
    assert unsure is not None and unsure.relative_sigma > 3 * estimate.relative_sigma


def ground_pixels(truth: Any, frame: int, ends: np.ndarray) -> list[str]:
    """`name@x,y` of places on the ground, metres."""
    scene = truth.scene
    world = truth.enu_from_world.inverse().apply(np.column_stack([ends, np.full(len(ends), -30.0)]))
    pixels = scene.cameras["phone"].project(transform_points(scene.cam_from_world[frame], world))
    assert ((pixels > 0) & (pixels < [400, 300])).all()
    return [f"{scene.frames[frame].name}@{x:.2f},{y:.2f}" for x, y in pixels]


ENDS = np.array([[-6.0, 3.0], [7.0, -4.0]])
LENGTH = float(np.linalg.norm(ENDS[1] - ENDS[0]))


@pytest.mark.parametrize("frames", [(2, 2), (2, 9)])
@pytest.mark.parametrize("tracks", [True, False])
def test_points_of_the_surface(capture: Capture, frames: tuple[int, int], tracks: bool) -> None:
    truth = capture()
    scene = truth.scene if tracks else replace(truth.scene, tracks=Tracks.empty())
    ends = ground_pixels(truth, frames[0], ENDS)[0], ground_pixels(truth, frames[1], ENDS)[1]
    estimate = distance_estimate(scene, [f"{ends[0]}:{ends[1]}={LENGTH}"])
    assert estimate is not None
    assert estimate.metres_per_unit == pytest.approx(7.3, rel=0.03)
    assert abs(np.log(estimate.metres_per_unit / 7.3)) < 2 * estimate.relative_sigma
    assert 0.005 < estimate.relative_sigma < (0.1 if tracks else 0.4)


def test_matched_points_correct_a_depth_map_of_wrong_scale(capture: Capture) -> None:
    truth = capture()
    scene = replace(truth.scene, depth_scale=truth.scene.depth_scale * 1.3)
    ends = ground_pixels(truth, 2, ENDS)
    estimate = distance_estimate(scene, [f"{ends[0]}:{ends[1]}={LENGTH}"])
    assert estimate is not None and estimate.metres_per_unit == pytest.approx(7.3, rel=0.03)


def test_a_matched_point_at_the_pixel_is_the_surface_itself(capture: Capture) -> None:
    truth = capture()
    scene = replace(truth.scene, depth_scale=np.full(12, np.nan))
    tracks = scene.tracks
    mine = np.flatnonzero(tracks.observation_frame == 0)[[0, -1]]
    ends = [f"000.jpg@{x:.3f},{y:.3f}" for x, y in tracks.observation_xy[mine]]
    points = truth.enu_from_world.apply(tracks.points[tracks.observation_point[mine]])
    length = float(np.linalg.norm(points[1] - points[0]))
    estimate = distance_estimate(scene, [f"{ends[0]}:{ends[1]}={length}"])
    assert estimate is not None and estimate.metres_per_unit == pytest.approx(7.3, rel=0.02)


def test_several_lengths_are_averaged_and_their_contradiction_is_told(capture: Capture) -> None:
    truth = capture()

    def across(a: int, b: int, factor: float = 1.0) -> str:
        return f"{a:03d}.jpg,{b:03d}.jpg={factor * np.linalg.norm(truth.centres_m[a] - truth.centres_m[b])}"

    one, three = (distance_estimate(truth.scene, [across(k, k + 6) for k in range(n)]) for n in (1, 3))
    assert one is not None and three is not None
    assert three.relative_sigma < 0.7 * one.relative_sigma and three.source == "3 distances"
    split = distance_estimate(truth.scene, [across(0, 6), across(1, 7, 1.2)])
    assert split is not None and split.relative_sigma > 0.05
    assert distance_estimate(truth.scene, []) is None


def names(scene: Scene, *new: str) -> Scene:
    frames = tuple(replace(f, name=name) for f, name in zip(scene.frames, new, strict=True))
    prediction = scene.prediction
    return replace(scene, prediction=replace(prediction, frames=replace(prediction.frames, frames=frames)))


@pytest.mark.parametrize(
    "text", ["clip.mp4/000001.jpg,b/2.JPG=1", "000001.jpg,b/2.JPG=1", "000001.png,2=1", "clip.mp4/000001,B/2.jpg=1"]
)
def test_names_may_be_shortened_where_they_stay_clear(capture: Capture, text: str) -> None:
    scene = names(capture(count=3).scene, "clip.mp4/000001.jpg", "b/2.JPG", "c, d/3.jpg")
    reference = distance_estimate(scene, ["clip.mp4/000001.jpg,b/2.JPG=1"])
    found = distance_estimate(scene, [text])
    assert reference is not None and found is not None
    assert found.metres_per_unit == reference.metres_per_unit
    assert distance_estimate(scene, ["c, d/3.jpg,b/2.JPG=1"]) is not None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("001.jpgg,002.jpg=1", r"no frame '001.jpgg'; there are .*001\.jpg"),
        ("zzz,002.jpg=1", "no frame 'zzz'; there are"),
        ("blurred.jpg,002.jpg=1", r"blurred\.jpg was left out \(too dark\)"),
        ("blurred.jpg@3,4:002.jpg@5,6=1", "was left out"),
        ("003.jpg,002.jpg=1", "no pose was found for 003.jpg"),
        ("002.jpg,002=1", r"both names mean 002\.jpg"),
        ("001.jpg@-3,10:002.jpg@10,10=1", "is 400x300 pixels, -3,10 is outside"),
        ("001.jpg@3,10:002.jpg@401,10=1", "outside"),
        ("001.jpg@200,150:001.jpg@200.01,150=1", "cannot be told apart"),
    ],
)
def test_what_cannot_be_measured_says_why(capture: Capture, text: str, why: str) -> None:
    truth = capture()
    poses = truth.scene.cam_from_world.copy()
    poses[3] = np.nan
    scene = replace(truth.scene, cam_from_world=poses, dropped=(Dropped("blurred.jpg", "too dark"),))
    with pytest.raises(UsageError, match=why) as caught:
        distance_estimate(scene, [text])
    assert str(caught.value).startswith(f"--distance {text}: ")


def test_sky_is_no_surface(capture: Capture) -> None:
    truth = capture()
    sky = np.ones(truth.scene.prediction.depth.shape, bool)
    scene = replace(truth.scene, prediction=replace(truth.scene.prediction, sky=sky), tracks=Tracks.empty())
    with pytest.raises(UsageError, match=r"no surface is known at 001\.jpg@200,150"):
        distance_estimate(scene, ["001.jpg@200,150:002.jpg@200,150=1"])


def test_names_that_fit_several_frames_are_not_guessed(capture: Capture) -> None:
    scene = names(capture(count=3).scene, "a/1.jpg", "b/1.jpg", "c.jpg")
    with pytest.raises(UsageError, match=r"can be a/1\.jpg, b/1\.jpg; write the whole path"):
        distance_estimate(scene, ["1.jpg,c.jpg=1"])
    twins = names(capture(count=4).scene, "a", "b,c", "a,b", "c")
    with pytest.raises(UsageError, match="several ways"):
        distance_estimate(twins, ["a,b,c=1"])
