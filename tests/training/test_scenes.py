"""Scenes, their renderings and the batches drawn from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from da3_pipeline.geometry import rotation_angle_deg
from da3_pipeline.training.correspondence import correspondences
from da3_pipeline.training.samples import Batch, ScenePool, render_scenes
from da3_pipeline.training.synthetic.atlas import Atlas, build_atlas
from da3_pipeline.training.synthetic.photographs import find_photographs
from da3_pipeline.training.synthetic.photometry import photograph
from da3_pipeline.training.synthetic.render import render_view
from da3_pipeline.training.synthetic.scenes import SCENES, make_scene
from da3_pipeline.training.synthetic.textures import SIZE, STYLES, procedural_texture
from da3_pipeline.training.synthetic.viewpoints import look_at, place_cameras


def _fields(batch: Batch) -> list[np.ndarray]:
    return [value.numpy() for value in vars(batch).values()]


def test_a_scene_is_a_function_of_its_seed(atlas: Atlas, rendered: Batch) -> None:
    again = render_scenes([4, 1], atlas, 4, (70, 56))
    for all_scenes, some in zip(_fields(rendered), _fields(again), strict=True):
        np.testing.assert_array_equal(all_scenes[[4, 1]], some)
    assert not np.array_equal(rendered.images[0], rendered.images[1])
    assert torch.equal(build_atlas(7, 18).texels, atlas.texels)


@pytest.mark.parametrize("name", sorted(SCENES))
def test_scenes_of_each_kind_fill_the_picture(name: str, atlas: Atlas) -> None:
    """Cameras stand clear of solids, and most of what they see is not sky and not flat."""
    for seed in range(3):
        scene = make_scene(seed, atlas, name)
        assert scene.name == name
        cameras = place_cameras(np.random.default_rng(seed), scene, 3, (56, 42))
        rotation = cameras.cam_from_world[:, :, :3]
        np.testing.assert_allclose(
            rotation @ rotation.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (3, 3, 3)), atol=1e-9
        )
        np.testing.assert_allclose(np.linalg.det(rotation), 1, atol=1e-9)
        view = render_view(
            scene, atlas, torch.tensor(cameras.cam_from_world[0]).float(), torch.tensor(cameras.K[0]).float(), (56, 42)
        )
        assert (view.depth > 0).float().mean() > 0.5
        assert float(view.colour.min()) >= 0 and float(view.colour.max()) <= 1
        assert float(view.colour.std()) > 0.02
        assert float(view.depth[view.depth > 0].min()) > 0.02


def test_depth_and_poses_agree_between_views(atlas: Atlas) -> None:
    """Colours carried over by depth and pose match where the other view sees the point, and not by accident.

    Lambertian surfaces under fixed lights have one colour from everywhere; texture filtering leaves a residue.
    """
    batch = render_scenes([2, 3, 5], atlas, 3, (140, 112))
    truth = correspondences(batch.depth, batch.cam_from_world, batch.K)
    images = torch.stack(
        [torch.from_numpy(cv2.blur(view.permute(1, 2, 0).numpy(), (5, 5))) for view in batch.images.flatten(0, 1)]
    )
    images = images.unflatten(0, (3, 3)).float()
    right, wrong, seen = [], [], 0
    for b, i, j, p in torch.nonzero(truth.visible).tolist():
        row, column = 7 + 14 * (p // 10), 7 + 14 * (p % 10)
        x, y = truth.place[b, i, j, p].floor().long().tolist()
        right.append((images[b, i, row, column] - images[b, j, y, x]).abs().mean())
        wrong.append((images[b, i, row, column] - images[b, j, (y + 40) % 112, (x + 50) % 140]).abs().mean())
        seen += 1
    assert seen > 300
    assert float(np.median(right)) < 8
    assert float(np.median(wrong)) > 2.5 * float(np.median(right))


def test_look_at_centres_the_target_and_stays_upright() -> None:
    centre, target = np.array([3.0, -2, 1]), np.array([0.5, 4, 2])
    pose = look_at(centre, target)
    seen = pose[:, :3] @ target + pose[:, 3]
    np.testing.assert_allclose(seen[:2], 0, atol=1e-9)
    assert seen[2] == pytest.approx(np.linalg.norm(target - centre))
    assert (pose[:, :3] @ [0, 0, 1])[1] < 0  # up in the world is up in the picture, where y points down
    np.testing.assert_allclose(pose[:, :3] @ centre + pose[:, 3], 0, atol=1e-9)
    rolled = look_at(centre, target, np.radians(20))
    assert rotation_angle_deg(pose[:, :3], rolled[:, :3]) == pytest.approx(20)


def test_mirrored_views_are_consistent(rendered: Batch) -> None:
    """A mirrored sample is as good a sample: places map onto mirrored places."""
    mirrored = rendered.mirrored(torch.ones(6, dtype=torch.bool))
    np.testing.assert_allclose(torch.linalg.det(mirrored.cam_from_world[..., :3]).numpy(), 1, atol=1e-4)
    plain = correspondences(rendered.depth, rendered.cam_from_world, rendered.K)
    other = correspondences(mirrored.depth, mirrored.cam_from_world, mirrored.K)
    # patch centres lie on pixel borders, so a mirrored patch samples the pixel beside: compare loosely
    assert abs(float(plain.visible.float().mean() - other.visible.float().mean())) < 0.03
    flipped = other.place.unflatten(3, (4, 5)).flip(4).flatten(3, 4)
    both = plain.visible & other.visible.unflatten(3, (4, 5)).flip(4).flatten(3, 4)
    error = (plain.place[both] - torch.stack([70 - flipped[both][:, 0], flipped[both][:, 1]], -1)).norm(dim=-1)
    assert float(error.median()) < 2.5
    assert torch.equal(rendered.mirrored(torch.zeros(6, dtype=torch.bool)).images, rendered.images)


def test_pool_draws_overlapping_views_reproducibly(rendered: Batch) -> None:
    pool = ScenePool(rendered)
    one, two = (pool.draw(np.random.default_rng(5), 4, 3) for _ in range(2))
    for a, b in zip(_fields(one), _fields(two), strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.images.shape == (4, 3, 3, 56, 70)
    assert not torch.equal(one.images, pool.draw(np.random.default_rng(6), 4, 3).images)
    shared = correspondences(one.depth, one.cam_from_world, one.K).visible.float().mean(-1)
    assert (shared.amax(2) > 0).float().mean() > 0.9


def test_photographs_differ_but_show_the_same(rendered: Batch) -> None:
    image = rendered.images[0, 0].permute(1, 2, 0).numpy()
    shots = [photograph(image, np.random.default_rng(seed)) for seed in range(12)]
    assert all(shot.shape == image.shape and shot.dtype == np.uint8 for shot in shots)
    correlation = [np.corrcoef(shot.ravel(), image.ravel())[0, 1] for shot in shots]
    assert min(correlation) > 0.8 and max(correlation) < 0.9999


@pytest.mark.parametrize("style", sorted(STYLES))
def test_procedural_textures(style: str) -> None:
    one, two = (procedural_texture(np.random.default_rng(seed), style) for seed in (0, 1))
    assert one.shape == (SIZE, SIZE, 3) and one.dtype == np.uint8
    assert one.std() > 3 and not np.array_equal(one, two)


def test_atlas_sampling_wraps_and_filters(atlas: Atlas) -> None:
    texture = torch.tensor([3, 3, 3])
    near = atlas.sample(
        texture, torch.tensor([[10.5, 20.5], [10.5 + SIZE, 20.5 - 3 * SIZE], [11.5, 20.5]]), torch.ones(3)
    )
    np.testing.assert_allclose(near[0].numpy(), near[1].numpy(), atol=1e-6)
    between = atlas.sample(texture[:1], torch.tensor([[11.0, 20.5]]), torch.ones(1))
    np.testing.assert_allclose(between[0].numpy(), (near[0] + near[2]).numpy() / 2, atol=1e-5)
    grid = torch.rand(400, 2, generator=torch.Generator().manual_seed(0)) * SIZE
    sharp, soft = (atlas.sample(torch.full((400,), 3), grid, torch.full((400,), size)) for size in (1.0, 200.0))
    assert float(soft.std(0).mean()) < 0.5 * float(sharp.std(0).mean())
    np.testing.assert_allclose(soft.mean(0).numpy(), sharp.mean(0).numpy(), atol=0.06)


def test_photographic_textures_come_from_the_given_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cv2.imwrite(str(tmp_path / "good.png"), rng.integers(0, 255, (300, 400, 3), dtype=np.uint8))
    cv2.imwrite(str(tmp_path / "flat.png"), np.full((300, 400, 3), 90, np.uint8))
    (tmp_path / "broken.jpg").write_bytes(b"not a picture")
    files = [path for path in find_photographs([tmp_path]) if tmp_path in path.parents]
    assert [path.name for path in files] == ["broken.jpg", "flat.png", "good.png"]
    atlas = build_atlas(0, 2, 9, files)
    assert atlas.styles == ("bricks", "cells", "photograph", "photograph", "photograph")
    assert atlas.of_style("photograph").tolist() == [2, 3, 4]
    assert len(build_atlas(0, 2, 9, [])) == 2


def test_a_batch_selects_views(rendered: Batch) -> None:
    chosen = rendered.select(torch.tensor([5, 0]), torch.tensor([[3, 1], [0, 2]]))
    assert torch.equal(chosen.images[0, 1], rendered.images[5, 1])
    assert torch.equal(chosen.cam_from_world[1, 1], rendered.cam_from_world[0, 2])
    assert replace(chosen).size == (56, 70)
