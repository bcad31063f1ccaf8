"""One camera per physical camera: what is known beats EXIF, EXIF beats the prior, the prior beats a guess."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from da3_pipeline.geometry import Camera
from da3_pipeline.infer.cameras import plausible_focal, shared_cameras, view_focals_px, view_intrinsics
from da3_pipeline.infer.config import CameraConfig
from da3_pipeline.types import Frame

CONFIG = CameraConfig()


def frame(camera_id: str = "phone", exif_focal_px: float | None = None, known: Camera | None = None) -> Frame:
    return Frame("a.jpg", Path("a.jpg"), 1000, 800, camera_id, "", exif_focal_px=exif_focal_px, known_camera=known)


def matrices(*focals_px: float) -> np.ndarray:
    return np.array([[[f, 0, 500], [0, f, 400], [0, 0, 1]] for f in focals_px])


def shared(frames: list[Frame], *focals_px: float, weights: list[float] | None = None) -> Camera:
    weight = np.ones(len(frames)) if weights is None else np.array(weights)
    return shared_cameras(frames, matrices(*focals_px), weight, CONFIG)[frames[0].camera_id]


def test_the_median_of_the_predictions_ignores_a_stray_view() -> None:
    camera = shared([frame()] * 5, 900, 905, 910, 915, 300)
    assert camera == Camera.pinhole(1000, 800, 905)


def test_confident_views_decide() -> None:
    assert shared([frame()] * 3, 700, 900, 1100, weights=[1, 1, 5]).focal_px == pytest.approx(1100)


def test_weights_that_say_nothing_count_alike() -> None:
    assert shared([frame()] * 3, 700, 900, 1100, weights=[0, 0, 0]).focal_px == pytest.approx(900)


def test_exif_beats_the_predictions() -> None:
    assert shared([frame(exif_focal_px=1200.0), frame()], 700, 700).focal_px == 1200.0


def test_a_contradiction_between_exif_and_prior_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    shared([frame(exif_focal_px=2000.0)], 700)
    assert "EXIF says a focal length of 2000 px, the prior 700 px" in caplog.text


def test_an_impossible_exif_value_is_passed_over() -> None:
    assert shared([frame(exif_focal_px=35.0)], 700).focal_px == pytest.approx(700)


def test_a_known_camera_beats_everything() -> None:
    known = Camera("OPENCV", 1000, 800, (901.0, 902.0, 505.0, 395.0, 0.1, 0.0, 0.0, 0.0))
    assert shared([frame(exif_focal_px=1200.0), frame(known=known)], 700, 700) == known


@pytest.mark.parametrize("focal_px", [np.nan, -700.0, 0.0, 50.0, 9000.0])
def test_implausible_predictions_fall_back_to_a_guess(focal_px: float) -> None:
    assert shared([frame()], focal_px) == Camera.pinhole(1000, 800, 1200.0)


def test_each_physical_camera_is_its_own() -> None:
    frames = [frame("phone"), frame("drone"), frame("phone")]
    cameras = shared_cameras(frames, matrices(800, 1500, 800), np.ones(3), CONFIG)
    assert {name: camera.focal_px for name, camera in cameras.items()} == pytest.approx({"phone": 800, "drone": 1500})


def test_views_keep_their_own_prediction_unless_it_is_implausible_or_known() -> None:
    known = Camera.from_matrix(matrices(950)[0], 1000, 800)
    frames = [frame("phone"), frame("phone"), frame("drone", known=known)]
    predicted = matrices(800, np.nan, 700)
    own = view_intrinsics(frames, predicted, shared_cameras(frames, predicted, np.ones(3), CONFIG), CONFIG)
    np.testing.assert_allclose(own, matrices(800, 800, 950))


def test_unequal_focals_count_by_their_geometric_mean() -> None:
    matrix = np.array([[[800.0, 0, 0], [0, 450.0, 0], [0, 0, 1]], [[800.0, 0, 0], [0, -450.0, 0], [0, 0, 1]]])
    np.testing.assert_allclose(view_focals_px(matrix), [600, np.nan])


@given(st.lists(st.floats(200, 3000), min_size=1, max_size=9), st.floats(0.5, 2))
def test_the_shared_focal_lies_among_the_predictions_and_scales_with_them(focals: list[float], factor: float) -> None:
    frames = [frame()] * len(focals)
    focal_px = shared(frames, *focals).focal_px
    assert min(focals) * (1 - 1e-9) <= focal_px <= max(focals) * (1 + 1e-9)
    larger = [f * factor for f in focals]
    if all(plausible_focal(f, 1000, 800, CONFIG) for f in larger):
        assert shared(frames, *larger).focal_px == pytest.approx(focal_px * factor)
