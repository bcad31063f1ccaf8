"""On a panorama turning is no motion, and what parallax there is counts as in a flat picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from spheres import painted

from da3_pipeline.geometry.equirectangular import Equirectangular, view_from_panorama
from da3_pipeline.select import SelectConfig
from da3_pipeline.select.measures.motion import MotionTracker
from da3_pipeline.select.measures.moved import OnSphere

AREA = Equirectangular.whole(640, 320)
CONFIG = SelectConfig()


def corners(turn: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """(300, 2) where points on a ball of radius 2 m around the origin are seen, in the band, from a place in it."""
    points = np.random.default_rng(0).normal(size=(300, 3))
    points[:, 1] *= 0.3
    points *= 2 / np.linalg.norm(points, axis=1, keepdims=True)
    pixels = AREA.project((points - centre) @ turn.T)
    return np.asarray(pixels - 0.5 - (0, 53), np.float32)


@pytest.mark.parametrize("yaw", [3.0, 40.0])
def test_turning_is_no_motion_and_walking_is(yaw: float) -> None:
    moved = OnSphere(AREA, CONFIG.motion)
    shape = moved.seen(np.zeros((320, 640), np.uint8)).shape
    still, walked = np.zeros(3), np.array([0.1, 0, 0])
    turn = view_from_panorama(yaw, 4)
    before = corners(np.eye(3), still)
    assert np.median(moved.distances(before, corners(turn, still), shape)) < 1e-4
    away = np.median(moved.distances(before, corners(turn, walked), shape)) * CONFIG.motion.sphere_field_deg
    assert away == pytest.approx(np.degrees(0.1 / 2 * np.pi / 4), rel=0.3)


def test_a_film_on_the_spot_goes_nowhere() -> None:
    picture = cv2.cvtColor(painted(AREA), cv2.COLOR_RGB2GRAY)
    moved = OnSphere(AREA, CONFIG.motion)
    on_sphere, flat = MotionTracker(CONFIG, moved), MotionTracker(CONFIG)
    for step in range(12):
        turned = np.roll(picture, 4 * step, axis=1)
        travelled = on_sphere.step(moved.seen(turned)).travelled
        as_flat = flat.step(turned).travelled
    assert travelled < 0.01 < 0.05 < as_flat
