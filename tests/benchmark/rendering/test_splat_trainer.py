"""The small trainer of splats: what it measures, how it moves Gaussians, and that it learns a scene."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from da3_pipeline.benchmark.rendering.image_quality import lpips_metric, psnr_db, ssim
from da3_pipeline.benchmark.rendering.splat_relocation import copies_of, shared_opacity
from da3_pipeline.benchmark.rendering.splat_trainer import TargetView, TrainerOptions, train_splats
from da3_pipeline.gaussians import PinholeView, Splats, rasterise

WIDTH, HEIGHT, FOCAL = 48, 32, 45.0


def picture(seed: int, smooth: bool = True) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    values = rng.random((6, 8, 3)) if smooth else rng.random((40, 60, 3))
    image = torch.as_tensor(values, dtype=torch.float32).movedim(2, 0)[None]
    return torch.nn.functional.interpolate(image, (40, 60), mode="bilinear")[0].movedim(0, 2)


def test_psnr_is_that_of_a_known_error() -> None:
    photograph = torch.full((5, 7, 3), 0.5)
    assert psnr_db(photograph + 0.1, photograph) == pytest.approx(20.0, abs=1e-4)
    assert psnr_db(photograph + 10, photograph) == pytest.approx(-20 * math.log10(0.5), abs=1e-4)  # clamped to white


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.5])
def test_ssim_is_scikit_images(noise: float) -> None:
    photograph = picture(0)
    other = (photograph + noise * (picture(1, smooth=False) - 0.5)).clamp(0, 1)
    reference = structural_similarity(
        *(part.numpy().astype(np.float64) for part in (other, photograph)),
        data_range=1.0,
        channel_axis=2,
        gaussian_weights=True,
        use_sample_covariance=False,
    )
    assert float(ssim(other, photograph)) == pytest.approx(reference, abs=2e-3)


def test_ssim_takes_pictures_smaller_than_its_window() -> None:
    small = picture(0)[:6, :7]
    assert float(ssim(small, small)) == pytest.approx(1.0, abs=1e-5)


def test_lpips_is_not_measured_with_weights_that_are_stand_ins(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("hub")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(folder))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert lpips_metric() is None
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "alexnet-owt-7be5be79.pth").write_bytes(b"random")
    assert lpips_metric() is None


def test_copies_together_are_as_opaque_as_the_one_was() -> None:
    opacities = torch.tensor([0.3, 0.9, 0.5])
    count = torch.tensor([2, 3, 1])
    each, shrink = shared_opacity(opacities, count)
    torch.testing.assert_close(1 - (1 - each) ** count, opacities)
    # Integrals over a line of the blended Gaussians, numerically: what the equation keeps.
    x = torch.linspace(-12, 12, 20001, dtype=torch.float64)
    for before, one, scale, copies in zip(opacities, each, shrink, count, strict=True):
        alone = before * torch.exp(-0.5 * x**2)
        together = 1 - (1 - one * torch.exp(-0.5 * (x / scale) ** 2)) ** copies
        assert float(together.sum()) == pytest.approx(float(alone.sum()), rel=1e-4)


def test_invisible_gaussians_go_to_visible_ones_and_no_others() -> None:
    opacities = torch.tensor([0.01, 0.5, 0.001, 0.9])
    moved, places, count = copies_of(opacities, 0.02, torch.Generator().manual_seed(0))
    assert moved.tolist() == [0, 2] and set(places.tolist()) <= {1, 3}
    assert count.tolist() == [1 + places.tolist().count(place) for place in places.tolist()]
    assert not len(copies_of(torch.tensor([0.5, 0.6]), 0.02, torch.Generator())[0])
    assert not len(copies_of(torch.tensor([0.01, 0.6]), 0.02, torch.Generator())[0])


def camera(across: float, world_scale: float = 1.0) -> PinholeView:
    pose = torch.eye(3, 4)
    pose[0, 3] = -across * world_scale
    return PinholeView(pose, (FOCAL, FOCAL), (WIDTH / 2, HEIGHT / 2), WIDTH, HEIGHT)


def world(world_scale: float = 1.0) -> tuple[list[TargetView], TargetView, np.ndarray, np.ndarray]:
    """A bumpy wall of coloured Gaussians: training views, one held out, and seeds that are off by a pixel."""
    generator = torch.Generator().manual_seed(0)
    count = 400
    at = torch.rand((count, 2), generator=generator) * torch.tensor([4.4, 2.8]) - torch.tensor([2.2, 1.4])
    depth = 3 + 0.4 * torch.sin(2 * at[:, :1])
    means = torch.cat([at, depth], dim=1) * world_scale
    shades = torch.sin(2.5 * at[:, :1] + torch.tensor([0.0, 2.0, 4.0])) * torch.cos(2 * at[:, 1:])
    sizes = torch.full((count, 3), 0.12 * world_scale)
    truth = Splats(
        means, sizes, torch.randn((count, 4), generator=generator), shades[:, :, None], torch.full((count,), 0.9)
    )
    views = [camera(across, world_scale) for across in (-0.6, -0.3, 0.1, 0.3, 0.6)]
    targets = [TargetView(rasterise(truth, view).image.clamp(0, 1), view) for view in views]
    noise = 0.05 * world_scale * torch.randn((count, 3), generator=generator)
    colours = ((0.5 + 0.28 * shades).clamp(0, 1) * 255).numpy().astype(np.uint8)
    return targets[:2] + targets[3:], targets[2], (means + noise).numpy().astype(np.float64), colours


def quality(splats: Splats, target: TargetView) -> float:
    with torch.no_grad():
        return psnr_db(rasterise(splats, target.view).image, target.photograph)


def test_training_learns_views_that_it_has_not_seen() -> None:
    targets, held_out, points, colours = world()
    options = TrainerOptions(iterations=120, gaussians=400)
    seen: list[tuple[int, float, float]] = []
    trained = train_splats(
        targets,
        points,
        colours,
        options,
        0,
        lambda step, seconds, s: seen.append((step, seconds, quality(s, held_out))),
    )
    assert [step for step, _, _ in seen] == list(range(1, 121))
    assert np.all(np.diff([seconds for _, seconds, _ in seen]) > 0) and seen[-1][1] == trained.seconds
    assert np.isfinite(trained.losses).all() and trained.losses[-20:].mean() < 0.5 * trained.losses[:5].mean()
    assert seen[-1][2] > max(27, seen[0][2] + 6)
    assert all(quality(trained.splats, target) > 28 for target in targets)


def test_the_scale_of_the_world_does_not_matter() -> None:
    results = []
    for scale in (1.0, 250.0):
        targets, held_out, points, colours = world(scale)
        trained = train_splats(targets, points, colours, TrainerOptions(iterations=40, gaussians=400), 0)
        results.append(quality(trained.splats, held_out))
    assert results[0] == pytest.approx(results[1], abs=0.5)


def test_seeds_decide_and_equal_ones_give_equal_splats() -> None:
    targets, _, points, colours = world()
    options = TrainerOptions(iterations=5, gaussians=100)
    first, again, other = (train_splats(targets, points, colours, options, seed).splats.means for seed in (0, 0, 1))
    torch.testing.assert_close(first, again)
    assert not torch.equal(first, other)


def test_too_few_seeds_are_filled_up_and_none_are_refused() -> None:
    targets, _, points, colours = world()
    options = TrainerOptions(iterations=60, gaussians=300)
    trained = train_splats(targets, points[:50], colours[:50], options, 0)
    assert len(trained.splats.means) == 300
    assert all(torch.isfinite(part).all() for part in vars(trained.splats).values())
    with pytest.raises(ValueError, match="two seed points"):
        train_splats(targets, points[:1], colours[:1], options, 0)
    with pytest.raises(ValueError, match="needs views"):
        train_splats([], points, colours, options, 0)


@pytest.mark.gpu
def test_a_gpu_trains_as_the_cpu_does() -> None:
    targets, held_out, points, colours = world()
    trained = train_splats(targets, points, colours, TrainerOptions(iterations=120, gaussians=400, device="cuda"), 0)
    on_cpu = Splats(*(part.cpu() for part in vars(trained.splats).values()))
    assert quality(on_cpu, held_out) > 27
