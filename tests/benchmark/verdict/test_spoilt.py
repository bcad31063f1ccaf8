"""`bench spoilt`: pictures and truth stay of one capture, whatever is done to them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from da3_pipeline.arrays import Float
from da3_pipeline.benchmark.truth.scene_truth import read_truth, write_truth
from da3_pipeline.benchmark.verdict.spoilt import SPOILT, SpoiltCase, spoilt_cases
from da3_pipeline.errors import UsageError

WIDTH, HEIGHT, FOCAL = 120, 80, 100.0


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    rng, names = np.random.default_rng(0), [f"{'left' if k % 2 else 'right'}/{k}.png" for k in range(8)]
    poses = np.tile(np.eye(3, 4), (8, 1, 1))
    poses[:, 0, 3] = np.arange(8)
    for name in names:
        (tmp_path / "wall/images" / name).parent.mkdir(parents=True, exist_ok=True)
        picture = rng.integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        Image.fromarray(picture).save(tmp_path / "wall/images" / name)
    write_truth(tmp_path / "wall", names, poses, np.tile(np.eye(3), (8, 1, 1)))
    return tmp_path / "wall"


def written(case: SpoiltCase, scratch: Path) -> dict[str, np.ndarray]:
    folder = case.source(scratch)
    return {
        path.relative_to(folder).as_posix(): np.asarray(Image.open(path)).astype(float)
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("kind", SPOILT)
def test_pictures_are_spoilt_by_the_seed_and_have_the_truths_names(
    kind: str, scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (case,) = spoilt_cases([scene], [kind], 3)
    first, again = (written(case, tmp_path / name) for name in ("a", "b"))
    (truth,) = case.truths_of(())
    assert set(first) == set(truth) == {f"{'left' if k % 2 else 'right'}/{k}.jpg" for k in range(8)}
    for name, picture in first.items():
        np.testing.assert_array_equal(picture, again[name])
    monkeypatch.setitem(SPOILT, "not at all", lambda picture, number, rng: picture)
    plain = written(replace(case, kind="not at all"), tmp_path / "c")
    changed = [not np.array_equal(picture, plain[name]) for name, picture in first.items()]
    assert sum(changed) == {"one mirrored": 1, "blur": 5, "turned": 6}.get(kind, 8)


@pytest.mark.parametrize("kind", ["crop", "grain", "zoom"])
def test_another_seed_spoils_otherwise(kind: str, scene: Path, tmp_path: Path) -> None:
    (case,) = spoilt_cases([scene], [kind], 3)
    one, other = written(case, tmp_path / "a"), written(replace(case, seed=4), tmp_path / "b")
    assert all(one[name].shape != other[name].shape or (one[name] != other[name]).any() for name in one)


def test_cameras_turn_with_their_pictures(scene: Path, tmp_path: Path) -> None:
    """A dot is found where the turned camera projects its point to."""
    truth, point = read_truth(scene), np.array([0.3, -0.2, 1.0])
    for name, pose in zip(truth.names, truth.cam_from_world, strict=True):
        picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        column, row = pixel(pose @ [*(point - pose[:, 3]), 1], WIDTH, HEIGHT)
        picture[row - 2 : row + 3, column - 2 : column + 3] = 255
        Image.fromarray(picture).save(scene / "images" / name)
    (case,) = spoilt_cases([scene], ["turned"], 0)
    (poses,) = case.truths_of(())
    for (name, picture), before in zip(
        sorted(written(case, tmp_path / "a").items()), truth.cam_from_world, strict=True
    ):
        height, width = picture.shape[:2]
        column, row = pixel(poses[name] @ [*(point - before[:, 3]), 1], width, height)
        assert picture[row, column].min() > 200, name


def pixel(seen: Float, width: int, height: int) -> tuple[int, int]:
    return round(FOCAL * seen[0] / seen[2] + width / 2 - 0.5), round(FOCAL * seen[1] / seen[2] + height / 2 - 0.5)


def test_a_way_that_there_is_not_is_named_with_those_that_there_are(scene: Path) -> None:
    with pytest.raises(UsageError, match="'fog': pictures are not spoilt so; there are hood, frame"):
        spoilt_cases([scene], ["fog"], 0)
    assert len(spoilt_cases([scene], [], 0)) == len(SPOILT)
