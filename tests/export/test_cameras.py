"""Cameras in the models that trainers read project exactly as before."""

from __future__ import annotations

import numpy as np
import pytest

from da3_pipeline.errors import ExportError
from da3_pipeline.export.cameras import trainer_camera
from da3_pipeline.geometry import Camera

CASES = [
    ("SIMPLE_PINHOLE", (500.0, 322.0, 239.0), "PINHOLE"),
    ("PINHOLE", (500.0, 510.0, 322.0, 239.0), "PINHOLE"),
    ("SIMPLE_RADIAL", (500.0, 322.0, 239.0, -0.12), "OPENCV"),
    ("RADIAL", (500.0, 322.0, 239.0, -0.12, 0.03), "OPENCV"),
    ("OPENCV", (500.0, 510.0, 322.0, 239.0, -0.12, 0.03, 0.001, -0.002), "OPENCV"),
    ("FULL_OPENCV", (500.0, 510.0, 322.0, 239.0, -0.12, 0.03, 0.001, -0.002, 0.0, 0.0, 0.0, 0.0), "OPENCV"),
    ("OPENCV_FISHEYE", (300.0, 310.0, 322.0, 239.0, 0.1, -0.02, 0.003, 0.001), "OPENCV_FISHEYE"),
    ("SIMPLE_RADIAL_FISHEYE", (300.0, 322.0, 239.0, 0.1), "OPENCV_FISHEYE"),
    ("RADIAL_FISHEYE", (300.0, 322.0, 239.0, 0.1, -0.02), "OPENCV_FISHEYE"),
]


@pytest.mark.parametrize(("model", "params", "expected"), CASES)
def test_same_projection(model: str, params: tuple[float, ...], expected: str) -> None:
    camera = Camera(model, 640, 480, params)
    exported = trainer_camera(camera, "phone")
    assert (exported.model, exported.width, exported.height) == (expected, 640, 480)
    points = np.random.default_rng(0).uniform([-1, -1, 1.5], [1, 1, 6], (200, 3))
    np.testing.assert_allclose(exported.project(points), camera.project(points), atol=1e-9)


def test_a_rational_lens_is_refused_for_any_of_its_further_coefficients() -> None:
    plain = (500.0, 500.0, 320.0, 240.0, -0.1, 0.01, 0.0, 0.0)
    for k in range(4):
        with pytest.raises(ExportError):
            trainer_camera(Camera("FULL_OPENCV", 640, 480, (*plain, *np.eye(4)[k].tolist())), "phone")


@pytest.mark.parametrize("model", ["FULL_OPENCV", "THIN_PRISM_FISHEYE"])
def test_models_that_no_trainer_reads_are_refused(model: str) -> None:
    camera = Camera(model, 640, 480, (500.0, 500.0, 320.0, 240.0, *([0.01] * 8)))
    with pytest.raises(ExportError, match=f"camera phone.*{model}"):
        trainer_camera(camera, "phone")
