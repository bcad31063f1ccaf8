"""What is done to samples: quarter turns keep the geometry, spoilt depth is spoilt as it says."""

from __future__ import annotations

import torch

from da3_pipeline.training.correspondence import correspondences
from da3_pipeline.training.samples import Batch, spoilt


def test_a_quarter_turn_moves_pixels_and_cameras_together(rendered: Batch) -> None:
    """A point of the world falls on the same content; two and two halves are nothing."""
    turned = rendered.turned(1)
    assert turned.size == (rendered.size[1], rendered.size[0])
    point = torch.tensor([0.1, -0.2, 0.3])
    for batch in (rendered, turned):
        seen = (batch.cam_from_world[..., :3] @ point + batch.cam_from_world[..., 3])[..., None]
        pixel = (batch.K @ seen)[..., 0]
        if batch is rendered:
            x, y = (pixel[..., :2] / pixel[..., 2:]).unbind(-1)
        else:
            torch.testing.assert_close(
                pixel[..., :2] / pixel[..., 2:], torch.stack([y, rendered.size[1] - x], -1), rtol=1e-3, atol=1e-2
            )
    assert torch.equal(turned.images[..., 0, 0], rendered.images[..., 0, -1])
    shared = [
        correspondences(part.depth, part.cam_from_world, part.K).visible.float().mean() for part in (rendered, turned)
    ]
    torch.testing.assert_close(shared[0], shared[1], atol=0.03, rtol=0)
    back = turned.turned(3)
    assert torch.equal(back.images, rendered.images) and torch.equal(back.depth, rendered.depth)
    torch.testing.assert_close(back.K, rendered.K)
    torch.testing.assert_close(back.cam_from_world, rendered.cam_from_world)


def test_spoilt_depth() -> None:
    depth = torch.full((20, 2, 80, 96), 5.0)
    found = spoilt(depth, 0.05, torch.Generator().manual_seed(0))
    holes = found == 0
    assert abs(float(holes.float().mean()) - 0.25) < 0.02
    known = found[~holes] / 5
    assert abs(float(((known - 1).abs() < 0.05).float().mean()) - 0.9 * 0.683) < 0.03
    assert float(known.min()) > 0.3 and float(known.max()) < 2.6
    assert torch.equal(found, spoilt(depth, 0.05, torch.Generator().manual_seed(0)))
