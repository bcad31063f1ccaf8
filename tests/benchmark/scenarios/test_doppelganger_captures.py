"""Worlds with equal parts: the parts are equal to the pixel, and the pictures are taken from where the truth says."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from da3_pipeline.benchmark.scenarios import doppelganger_worlds as worlds
from da3_pipeline.benchmark.scenarios.doppelganger_captures import (
    DOPPELGANGERS,
    doppelganger_poses,
    doppelganger_scenario,
)
from da3_pipeline.benchmark.scenarios.rendering import Shot, take
from da3_pipeline.benchmark.scenarios.worlds import World
from da3_pipeline.geometry import Camera, centres, rotation_angle_deg
from da3_pipeline.training.synthetic.atlas import Atlas, build_atlas
from da3_pipeline.training.synthetic.viewpoints import look_at

CAMERA = Camera.pinhole(96, 72, 90.0)
ORBITED = ("can", "can among things", "carton", "tower", "cupola among houses", "fountain")


@cache
def atlas() -> Atlas:
    return build_atlas(1, 27)


def seen(world: World, centre: tuple[float, float, float], target: tuple[float, float, float]) -> Shot:
    return take(world.scene, atlas(), look_at(np.array(centre), np.array(target)), CAMERA, seed=0)


def around(world: World, turn_rad: float, away: float, height: float) -> Shot:
    return seen(world, (away * np.cos(turn_rad), away * np.sin(turn_rad), height), (0, 0, 0.8 * height))


def alike(one: Shot, other: Shot, ground: int) -> float:
    """Share of the pixels of what stands on the ground that are the same, noise apart."""
    both = (one.solid >= 0) & (other.solid >= 0) & (one.solid != ground) & (other.solid != ground)
    return float((np.abs(one.rgb.astype(int) - other.rgb).max(2)[both] < 16).mean())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("make", "away", "height"), [(worlds.can, 1.9, 0.5), (worlds.tower, 12.0, 3.0)])
def test_equal_sides_look_the_same_and_others_do_not(make: object, away: float, height: float, seed: int) -> None:
    world = make(atlas(), seed)  # type: ignore[operator]
    ground = len(world.scene.solids) - 1
    first = around(world, 0.1, away, height)
    turned = {k: alike(first, around(world, 0.1 + 2 * np.pi / k, away, height), ground) for k in (2, 3, 4, 8)}
    assert max(turned.values()) > 0.95, "a part of a turn shows the same"
    assert alike(first, around(world, 0.1 + np.pi / 7.3, away, height), ground) < 0.9, "but not any turn"


@pytest.mark.parametrize(("make", "height"), [(worlds.bays, 3.5), (worlds.doors, 1.5)])
def test_one_bay_looks_as_the_next(make: object, height: float) -> None:
    world = make(atlas(), 1)  # type: ignore[operator]
    texture, place = world.scene.solids.texture[:, 0].numpy(), world.scene.solids.centre.numpy()
    ground = len(world.scene.solids) - 1
    same = np.flatnonzero((texture == texture[0]) & np.isclose(place[:, 1], place[0, 1]))
    step = float(np.diff(np.sort(place[same, 0])).min())
    first, second = (seen(world, (x, -1.0, height), (x + 0.7, 1.3, height)) for x in (0.2, 0.2 + step))
    between = seen(world, (0.2 + 0.4 * step, -1.0, height), (0.9 + 0.4 * step, 1.3, height))
    assert alike(first, second, ground) > 0.9 > alike(first, between, ground)


@pytest.mark.parametrize("name", sorted(DOPPELGANGERS))
def test_every_world_has_solids_that_are_copies_in_all_but_place(name: str) -> None:
    solids = DOPPELGANGERS[name].world(atlas(), 4).scene.solids
    print_ = np.hstack([solids.half, solids.texture, solids.offset, solids.tint, solids.texels_per_m])
    _, count = np.unique(print_.round(5), axis=0, return_counts=True)
    assert count.max() >= 2 and count.sum() - len(count) >= 3
    assert len(np.unique(solids.centre.numpy().round(4), axis=0)) > 0.9 * len(solids), "at places of their own"


@pytest.mark.parametrize("name", sorted(DOPPELGANGERS))
@pytest.mark.parametrize("video", [False, True])
def test_ways_are_smooth_on_video_in_order_or_not_on_photographs_and_of_their_seed(name: str, video: bool) -> None:
    one = DOPPELGANGERS[name]
    poses = doppelganger_poses(one, 3, video)
    np.testing.assert_array_equal(poses, doppelganger_poses(one, 3, video))
    assert not np.allclose(poses, doppelganger_poses(one, 4, video))
    turns_deg = rotation_angle_deg(poses[1:, :, :3], poses[:-1, :, :3])
    steps = np.linalg.norm(np.diff(centres(poses), axis=0), axis=1)
    if video:
        assert turns_deg.max() < 12 and steps.max() < 3 * np.median(steps) + 0.05 * np.ptp(centres(poses), axis=0).max()
    elif one.in_order:
        assert np.median(turns_deg) < 25
    else:
        assert np.median(turns_deg) > 40, "the next name is of any place"
    if name in ORBITED:
        x, y, _ = centres(poses).T
        assert len(np.unique(np.floor(np.degrees(np.arctan2(y, x)) / 45))) == 8, "from all sides"


def test_pictures_carry_their_own_pose() -> None:
    pictures = list(doppelganger_scenario("twin houses", False).pictures(2))
    poses = doppelganger_poses(DOPPELGANGERS["twin houses"], 2, False)
    assert [picture.name for picture in pictures] == sorted(picture.name for picture in pictures)
    np.testing.assert_array_equal([picture.cam_from_world for picture in pictures], poses)
