"""Pools from data on disk and from shards: the same views, the same cameras, and clear words where they do not fit."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from da3_pipeline.errors import CaptureError, UsageError
from da3_pipeline.training.config import StudentConfig
from da3_pipeline.training.run_files import CHECKPOINT
from da3_pipeline.training.samples import Batch, ScenePool
from da3_pipeline.training.sources import mixture
from da3_pipeline.training.sources.mixture import draw_pool, open_source, open_sources
from da3_pipeline.training.sources.posed import PosedSource
from da3_pipeline.training.sources.shards import ShardSource, write_shards
from da3_pipeline.training.student import train
from da3_pipeline.training.synthetic.atlas import Atlas

SIZE = (70, 56)


def lay_wildrgbd(root: Path, rendered: Batch, scenes: int = 2) -> Path:
    """Rendered scenes as WildRGB-D publishes its own."""
    for scene in range(scenes):
        folder = root / "chair" / "scenes" / f"scene_{scene:03d}"
        for kind in ("rgb", "depth"):
            (folder / kind).mkdir(parents=True)
        lines = []
        for view in range(rendered.images.shape[1]):
            bgr = rendered.images[scene, view].permute(1, 2, 0).numpy()[..., ::-1]
            cv2.imwrite(str(folder / "rgb" / f"{view:05d}.png"), np.ascontiguousarray(bgr))
            millimetres = (rendered.depth[scene, view].numpy() * 1000).clip(0, 65535).astype(np.uint16)
            cv2.imwrite(str(folder / "depth" / f"{view:05d}.png"), millimetres)
            pose = np.eye(4)
            pose[:3] = rendered.cam_from_world[scene, view].numpy()
            lines.append(" ".join(str(value) for value in (view, *np.linalg.inv(pose).ravel())))
        (folder / "cam_poses.txt").write_text("\n".join(lines))
        (folder / "metadata").write_text(json.dumps({"K": rendered.K[scene, 0].numpy().T.ravel().tolist()}))
    return root


def test_a_pool_of_a_data_set_is_what_was_laid(tmp_path: Path, rendered: Batch) -> None:
    source = PosedSource("wildrgbd", lay_wildrgbd(tmp_path, rendered))
    drawn = source.draw(np.random.default_rng(0), 3, 2, SIZE)
    assert drawn.images.shape == (3, 2, 3, 56, 70) and source.metric
    for pose, depth in zip(drawn.cam_from_world.flatten(0, 1), drawn.depth.flatten(0, 1), strict=True):
        gap = (rendered.cam_from_world[:2].flatten(0, 1) - pose).abs().flatten(1).amax(1)
        assert gap.min() < 1e-4
        truth = rendered.depth[:2].flatten(0, 1)[gap.argmin()]
        assert float(((depth - truth).abs() < 2e-3).float().mean()) > 0.99
    again = source.draw(np.random.default_rng(0), 3, 2, SIZE)
    assert torch.equal(drawn.images, again.images)
    with pytest.raises(CaptureError, match="fewer than 9"):
        source.draw(np.random.default_rng(0), 1, 9, SIZE)


def test_shards_give_back_what_was_written(tmp_path: Path, rendered: Batch) -> None:
    source = PosedSource("wildrgbd", lay_wildrgbd(tmp_path / "data", rendered))
    assert write_shards(source, tmp_path / "shards", sets=5, views=3, size=SIZE, a_shard=2) == 3
    shards = ShardSource(tmp_path / "shards")
    drawn = shards.draw(np.random.default_rng(1), 2, 2, SIZE)
    assert shards.metric and drawn.images.shape == (2, 2, 3, 56, 70)
    for view in range(2):
        gap = (rendered.cam_from_world[:2].flatten(0, 1) - drawn.cam_from_world[0, view]).abs().flatten(1).amax(1)
        at = int(gap.argmin())
        truth, picture = rendered.depth[:2].flatten(0, 1)[at], rendered.images[:2].flatten(0, 1)[at]
        near = (drawn.depth[0, view] - truth).abs() <= 2e-3 * truth + 2e-3
        assert float(near.float().mean()) > 0.99
        assert float((drawn.images[0, view].float() - picture.float()).abs().mean()) < 8
        torch.testing.assert_close(drawn.K[0, view], rendered.K[:2].flatten(0, 1)[at], rtol=1e-4, atol=1e-3)
    same = shards.draw(np.random.default_rng(1), 1, 2, SIZE)
    half = shards.draw(np.random.default_rng(1), 1, 2, (35, 28))
    torch.testing.assert_close(half.K[0, 0, :2] * 2, same.K[0, 0, :2])
    with pytest.raises(CaptureError, match="aspect"):
        shards.draw(np.random.default_rng(1), 1, 2, (56, 70))
    with pytest.raises(CaptureError, match="sets of 3 views"):
        shards.draw(np.random.default_rng(1), 1, 4, SIZE)
    with pytest.raises(UsageError, match="already"):
        write_shards(source, tmp_path / "shards", 1, 2, SIZE)


def test_a_student_learns_from_shards(
    tmp_path: Path, rendered: Batch, tiny: StudentConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And from nothing else."""
    source = PosedSource("wildrgbd", lay_wildrgbd(tmp_path / "data", rendered))
    write_shards(source, tmp_path / "shards", sets=3, views=4, size=SIZE)
    monkeypatch.setattr(mixture, "render_scenes", None)
    phases = (tiny.phases[0].model_copy(update={"until": 1}),)
    data = (f"shards={tmp_path / 'shards'}",)
    train(tiny.model_copy(update={"phases": phases, "decay_from": 1, "data": data}), tmp_path / "run")
    assert int(torch.load(tmp_path / "run" / CHECKPOINT, weights_only=True)["step"]) == 1


def test_shares_and_names(tmp_path: Path, rendered: Batch, atlas: Atlas) -> None:
    source = PosedSource("wildrgbd", lay_wildrgbd(tmp_path, rendered))
    kept = {
        pose.tolist()[0][3] for pose in source.draw(np.random.default_rng(0), 9, 2, SIZE).cam_from_world.flatten(0, 1)
    }
    for share, wanted in ((1.0, True), (0.0, False)):
        drawn = draw_pool(np.random.default_rng(4), atlas, (source,), share, 1, 2, SIZE)
        assert all((pose.tolist()[0][3] in kept) == wanted for pose in drawn.cam_from_world[0])
        assert ScenePool(drawn).draw(np.random.default_rng(0), 1, 2).images.shape == (1, 2, 3, 56, 70)
    with pytest.raises(UsageError, match="NAME=FOLDER"):
        open_source("wildrgbd")
    with pytest.raises(UsageError, match="holds no scene of tartanair"):
        open_source(f"tartanair={tmp_path}")
    assert len(open_sources([f"wildrgbd={tmp_path}"], in_metres=True)) == 1
