"""The ray-caster against geometry that is known in closed form."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from da3_pipeline.training.synthetic.raycast import cast, pixel_directions
from da3_pipeline.training.synthetic.solids import Kind, intersect, local_normal

_spec = importlib.util.spec_from_file_location("training_conftest", Path(__file__).with_name("conftest.py"))
assert _spec is not None and _spec.loader is not None
_conftest = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_conftest)
make_solid = _conftest.make_solid


def _shoot(kind: Kind, half: tuple[float, float, float], origin: list[float], direction: list[float]) -> float:
    return float(intersect(make_solid(kind, half), torch.tensor(origin), torch.tensor([direction]))[0, 0])


@pytest.mark.parametrize(
    ("kind", "half", "origin", "direction", "distance"),
    [
        (Kind.BOX, (1, 2, 3), [-5, 0, 0], [1, 0, 0], 4),
        (Kind.BOX, (1, 2, 3), [-5, 0, 0], [2, 0, 0], 2),
        (Kind.BOX, (1, 2, 3), [0, 0, 0], [1, 0, 0], np.inf),
        (Kind.BOX, (1, 2, 3), [-5, 2.1, 0], [1, 0, 0], np.inf),
        (Kind.BOX, (1, 2, 3), [-5, 0, 0], [-1, 0, 0], np.inf),
        (Kind.ROOM, (1, 2, 3), [0.25, 0, 0], [1, 0, 0], 0.75),
        (Kind.ROOM, (1, 2, 3), [0, 0, -1], [0, 0, -1], 2),
        (Kind.ELLIPSOID, (1, 1, 1), [0, 0, -4], [0, 0, 1], 3),
        (Kind.ELLIPSOID, (1, 1, 2), [0, 0, -4], [0, 0, 1], 2),
        (Kind.ELLIPSOID, (1, 1, 1), [0, 0.6, -4], [0, 0, 1], 4 - 0.8),
        (Kind.ELLIPSOID, (1, 1, 1), [0, 1.01, -4], [0, 0, 1], np.inf),
        (Kind.CYLINDER, (1, 1, 2), [-5, 0, 1.5], [1, 0, 0], 4),
        (Kind.CYLINDER, (1, 1, 2), [-5, 0, 2.1], [1, 0, 0], np.inf),
        (Kind.CYLINDER, (1, 1, 2), [0.5, 0.5, 7], [0, 0, -1], 5),
        (Kind.CYLINDER, (1, 1, 2), [0.8, 0.8, 7], [0, 0, -1], np.inf),
        (Kind.CYLINDER, (1, 1, 1), [-3, 0, 2], [1, 0, -0.5], 2),
        (Kind.TORUS, (2, 2, 0.5), [-5, 0, 0], [1, 0, 0], 3),
        (Kind.TORUS, (2, 2, 0.5), [0, 0, 5], [0, 0, -1], np.inf),
        (Kind.TORUS, (2, 2, 0.5), [1.5, 0, 5], [0, 0, -1], 4.5),
        (Kind.RELIEF, (2, 2, 1), [0, 0, 5], [0, 0, -1], 5),
        (Kind.RELIEF, (2, 2, 1), [-5, 0, 0.5], [1, 0, 0], np.inf),
        (Kind.RELIEF, (2, 2, 1), [-5, 0, -0.5], [1, 0, 0], 3),
    ],
)
def test_distances_in_closed_form(kind, half, origin, direction, distance) -> None:  # type: ignore[no-untyped-def]
    found = _shoot(kind, half, [float(x) for x in origin], [float(x) for x in direction])
    assert found == pytest.approx(distance, abs=2e-3)


def _implicit(kind: Kind, half: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Zero on the surface, in metres or nearly so."""
    if kind in (Kind.BOX, Kind.ROOM):
        return (np.abs(point) - half).max(-1)
    if kind == Kind.ELLIPSOID:
        return (np.linalg.norm(point / half, axis=-1) - 1) * half.min()
    if kind == Kind.CYLINDER:
        return np.maximum((np.hypot(*(point[:, :2] / half[:2]).T) - 1) * half[:2].min(), np.abs(point[:, 2]) - half[2])
    ring = np.hypot(point[:, 0], point[:, 1]) - (half[0] - half[2])
    return np.hypot(ring, point[:, 2]) - half[2]


def _at_a_rim(kind: Kind, half: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Where two faces meet: rounding may give the normal of either."""
    if kind in (Kind.BOX, Kind.ROOM):
        return (np.abs(np.abs(point) - half) < 0.01).sum(-1) > 1
    if kind == Kind.CYLINDER:
        side = np.abs(np.hypot(*(point[:, :2] / half[:2]).T) - 1) * half[:2].min() < 0.01
        return side & (np.abs(np.abs(point[:, 2]) - half[2]) < 0.01)
    return np.zeros(len(point), bool)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([Kind.BOX, Kind.ROOM, Kind.ELLIPSOID, Kind.CYLINDER, Kind.TORUS]), st.integers(0, 10_000))
def test_hits_lie_on_the_surface_and_face_the_ray(kind: Kind, seed: int) -> None:
    rng = np.random.default_rng(seed)
    half = rng.uniform(0.5, 2, 3)
    if kind == Kind.TORUS:
        half = np.array([1.5, 1.5, rng.uniform(0.2, 0.5)])
    turn = Rotation.random(random_state=seed).as_matrix()
    centre = rng.normal(0, 1, 3)
    solid = replace(
        make_solid(kind, tuple(half), tuple(centre)), local_from_world=torch.tensor(turn[None], dtype=torch.float32)
    )
    origin = centre if kind == Kind.ROOM else centre + 6 * turn[0]
    rays = rng.normal(0, 0.3, (2000, 3)) + (centre - origin) / 6 + rng.normal(0, float(kind == Kind.ROOM), (2000, 3))
    start, directions = (torch.tensor(x, dtype=torch.float32) for x in (origin, rays))
    hits = cast(solid, start, directions)
    seen = (hits.solid >= 0).numpy()
    assert seen.sum() > 20
    world = origin + hits.depth.numpy()[seen, None] * rays[seen]
    local = (world - centre) @ turn.T
    np.testing.assert_allclose(_implicit(kind, half, local), 0, atol=4e-3)
    normal = local_normal(solid, torch.zeros(int(seen.sum()), dtype=torch.int64), hits.local[seen])
    np.testing.assert_allclose(normal.norm(dim=-1).numpy(), 1, atol=1e-4)
    facing = (hits.world_normal.numpy()[seen] * rays[seen]).sum(-1) / np.linalg.norm(rays[seen], axis=-1)
    assert (facing[~_at_a_rim(kind, half, local)] < 0.02).all()


def test_the_ray_parameter_is_z_depth() -> None:
    """A plane across the optical axis has one depth all over the image."""
    K = torch.tensor([[50.0, 0, 32], [0, 50, 24], [0, 0, 1]])
    pixels = torch.tensor([[0.5, 0.5], [32, 24], [63.5, 47.5], [10, 40]])
    turn = torch.tensor(Rotation.from_euler("xyz", [0.3, -0.2, 0.5]).as_matrix(), dtype=torch.float32)
    directions = pixel_directions(K, turn, pixels)
    wall = replace(make_solid(Kind.BOX, (50, 50, 1)), local_from_world=turn[None], centre=5 * turn[2][None])
    np.testing.assert_allclose(cast(wall, torch.zeros(3), directions).depth.numpy(), 4.0, atol=1e-4)
    np.testing.assert_allclose((directions @ turn.T).numpy()[:, 2], 1, atol=1e-6)
    np.testing.assert_allclose((K @ (directions @ turn.T).T).T[:, :2].numpy(), pixels.numpy(), atol=1e-4)


def test_nearest_solid_wins_and_none_is_culled() -> None:
    """Many small spheres: the cast with its cone test agrees with the plain minimum over all solids."""
    rng = np.random.default_rng(0)
    one = make_solid(Kind.ELLIPSOID, (0.3, 0.3, 0.3))
    crowd = replace(
        one.select(torch.zeros(60, dtype=torch.int64)),
        centre=torch.tensor(rng.uniform(-4, 4, (60, 3)), dtype=torch.float32),
    )
    origin = torch.tensor([0.0, 0, -9])
    directions = torch.tensor(rng.normal([0, 0, 1], 0.3, (400, 3)), dtype=torch.float32)
    depth, index = intersect(crowd, origin, directions).min(0)
    hits = cast(crowd, origin, directions)
    np.testing.assert_allclose(hits.depth.numpy(), depth.numpy())
    assert (hits.solid.numpy() == np.where(np.isfinite(depth.numpy()), index.numpy(), -1)).all()
    assert (hits.solid >= 0).any() and (hits.solid < 0).any()
    assert (cast(crowd, origin, -directions).solid == -1).all()
