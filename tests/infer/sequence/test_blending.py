"""Where chunks overlap, cameras and depth change over together, and one surface stays one surface."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from da3_pipeline.geometry import Sim3, centres, rotation_angle_deg, sim3_exp, sim3_matrix
from da3_pipeline.infer.config import BlendConfig
from da3_pipeline.infer.sequence.array_file import ArrayFile, ArrayWriter
from da3_pipeline.infer.sequence.blending import blended_camera, blended_maps, contributions
from da3_pipeline.infer.sequence.chunk_store import ChunkStore, StoredChunk
from da3_pipeline.infer.sequence.merge import merge_chunks
from da3_pipeline.infer.views import RawViews
from da3_pipeline.progress import SilentProgress

Views = Callable[..., RawViews]
HEIGHT, WIDTH = 6, 8
CONFIG = BlendConfig()


def views(poses: NDArray[np.float64], depth: NDArray[np.float32], conf: float = 1.0) -> RawViews:
    count = len(poses)
    matrix = np.array([[8.0, 0, 4], [0, 8, 3], [0, 0, 1]])
    return RawViews(depth, np.full_like(depth, conf), poses, np.tile(matrix, (count, 1, 1)))


def stored(folder: Path, indices: Sequence[int], content: RawViews) -> StoredChunk:
    store = ChunkStore(folder, "settings", [str(frame) for frame in range(100)])
    return store.keep(f"chunk-{indices[0]}", np.array(indices), content)


def facing(distances: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Cameras before a wall z = 0, at the given distances; the depth is the distance."""
    poses = np.tile(np.eye(3, 4), (len(distances), 1, 1))
    poses[:, 2, 3] = distances
    depth = np.broadcast_to(np.array(distances, np.float32)[:, None, None], (len(distances), HEIGHT, WIDTH))
    return poses, np.ascontiguousarray(depth)


def everywhere(transform: Sim3, count: int) -> NDArray[np.float64]:
    return np.tile(sim3_matrix(transform), (count, 1, 1))


def test_a_wall_that_two_chunks_put_in_different_places_becomes_one_and_does_not_jump(tmp_path: Path) -> None:
    """The second chunk stands 0.3 further back and sees everything 10 % deeper: the changeover is steady."""
    poses, depth = facing(np.linspace(4, 5, 10))
    first = stored(tmp_path, range(6), views(poses[:6], depth[:6]))
    second = stored(tmp_path, range(2, 10), views(poses[2:], depth[2:]))
    placed = [everywhere(Sim3.identity(), 6), everywhere(Sim3(1.1, np.eye(3), np.array([0, 0, 0.1])), 8)]
    ramp = np.array([1, 2, 3, 4]) / 5
    weights = [np.array([1, 1, *ramp[::-1]]), np.array([*ramp, 1, 1, 1, 1])]
    found = contributions([first, second], placed, weights, CONFIG)
    assert list(found) == list(range(10))
    walls, places = [], []
    for frame in found:
        pose, _ = blended_camera(found[frame])
        place = centres(pose[None])[0]
        walls.append(place[2] + float(np.median(blended_maps(found[frame], CONFIG)["depth"])))
        places.append(place[2])
        assert np.ptp(blended_maps(found[frame], CONFIG)["depth"]) < 1e-5
    ends = 0.0, 0.1  # where either chunk puts the wall
    assert walls[0] == pytest.approx(ends[0], abs=1e-5)
    assert walls[-1] == pytest.approx(ends[1], abs=1e-5)
    assert np.abs(np.diff(walls)).max() < 0.04
    assert np.abs(np.diff(np.diff(places))).max() < 0.2


def test_a_blended_camera_lies_between_the_two(tmp_path: Path) -> None:
    poses, depth = facing([5.0])
    turned = sim3_exp(np.array([0.2, 0, 0, 0, 0.1, 0, 0]))
    one = stored(tmp_path / "a", [3], views(poses, depth))
    other = stored(tmp_path / "b", [3], views(poses, depth))
    found = contributions([one, other], [np.eye(4)[None], turned[None]], [np.array([0.75]), np.array([0.25])], CONFIG)
    pose, matrix = blended_camera(found[3])
    assert rotation_angle_deg(pose[:, :3], np.eye(3)) == pytest.approx(np.degrees(0.025), rel=0.01)
    np.testing.assert_allclose(matrix, one.small["intrinsics"][0])
    whole, _ = blended_camera(contributions([other], [turned[None]], [np.ones(1)], CONFIG)[3])
    first, last = centres(poses)[0], centres(whole[None])[0]
    np.testing.assert_allclose(centres(pose[None])[0], 0.75 * first + 0.25 * last, atol=1e-9)


def test_unlike_surfaces_are_not_averaged_and_gaps_are_filled(tmp_path: Path) -> None:
    """Left half: both agree. Right half: a rim is seen at 2 by one and at 4 by the other: the weightier one holds."""
    near = np.full((1, HEIGHT, WIDTH), 4.0, np.float32)
    near[:, :, 6:] = 2.0
    near[:, 0] = np.nan
    far = np.full((1, HEIGHT, WIDTH), 4.0, np.float32)
    pose = np.eye(3, 4)[None]
    one, other = stored(tmp_path / "a", [0], views(pose, near)), stored(tmp_path / "b", [0], views(pose, far))
    eye = np.eye(4)[None]
    maps = blended_maps(contributions([one, other], [eye, eye], [np.array([0.6]), np.array([0.4])], CONFIG)[0], CONFIG)
    np.testing.assert_allclose(maps["depth"][1:, 6:], 2.0, rtol=1e-6)
    np.testing.assert_allclose(maps["depth"][1:, :6], 4.0, rtol=1e-6)
    np.testing.assert_allclose(maps["depth"][0], 4.0, rtol=1e-6)
    assert np.isfinite(maps["conf"]).all()


def test_confidence_decides_where_two_depths_differ_a_little(tmp_path: Path) -> None:
    base = np.full((1, HEIGHT, WIDTH), 4.0, np.float32)
    bumpy = base.copy()
    bumpy[:, 2, 2] = 4.2
    pose, eye = np.eye(3, 4)[None], np.eye(4)[None]
    sure, unsure = views(pose, base, conf=9.0), views(pose, bumpy, conf=1.0)
    one, other = stored(tmp_path / "a", [0], sure), stored(tmp_path / "b", [0], unsure)
    maps = blended_maps(contributions([one, other], [eye, eye], [np.array([0.5]), np.array([0.5])], CONFIG)[0], CONFIG)
    assert maps["depth"][2, 2] == pytest.approx(4 * np.exp(0.1 * np.log(1.05)), rel=1e-4)
    assert maps["conf"][0, 0] == pytest.approx(0.9 * 9 + 0.1 * 1, rel=1e-5)


def test_anchors_speak_only_where_nobody_else_does(tmp_path: Path) -> None:
    poses, depth = facing([5.0, 5.0])
    broken = views(poses, np.stack([depth[0], np.full_like(depth[1], np.nan)]))
    one = stored(tmp_path / "a", [0, 1], broken)
    other = stored(tmp_path / "b", [0, 1], views(poses, 2 * depth))
    eye = np.tile(np.eye(4), (2, 1, 1))
    found = contributions([one, other], [eye, eye], [np.ones(2), np.zeros(2)], CONFIG)
    assert len(found[0]) == len(found[1]) == 1
    np.testing.assert_allclose(blended_maps(found[0], CONFIG)["depth"], 5)
    np.testing.assert_allclose(blended_maps(found[1], CONFIG)["depth"], 10)


def test_merging_nothing_usable_is_none_and_fields_follow(tmp_path: Path) -> None:
    poses, depth = facing([5.0, 6.0])
    nothing = stored(tmp_path / "a", [0, 1], views(poses, np.zeros_like(depth)))
    eye = np.tile(np.eye(4), (2, 1, 1))
    found = contributions([nothing], [eye], [np.ones(2)], CONFIG)
    assert merge_chunks(found, tmp_path / "m", {}, CONFIG, SilentProgress()) is None
    full = views(poses, depth)
    sky = RawViews(**{**full.arrays(), "sky": depth > 5.5, "descriptors": np.eye(2, dtype=np.float32)})
    found = contributions([stored(tmp_path / "b", [4, 7], sky)], [eye], [np.ones(2)], CONFIG)
    merged = merge_chunks(found, tmp_path / "n", {}, CONFIG, SilentProgress())
    assert merged is not None
    np.testing.assert_array_equal(merged.kept, [4, 7])
    assert merged.views.sky is not None
    np.testing.assert_array_equal(merged.views.sky, depth > 5.5)
    np.testing.assert_array_equal(merged.views.descriptors, np.eye(2))


def test_heavy_fields_stay_on_disk_when_chunks_are_compared(tmp_path: Path) -> None:
    poses, depth = facing([5.0, 6.0])
    heavy = RawViews(**{**views(poses, depth).arrays(), "gaussians": np.zeros((2, HEIGHT, WIDTH, 38), np.float32)})
    one = stored(tmp_path, [0, 1], heavy)
    assert set(one.maps) == {"depth", "conf", "gaussians"}
    read = one.views([1])
    assert read.gaussians is None
    np.testing.assert_array_equal(read.depth, depth[1:])


def test_array_files_are_plain_npy_read_entry_by_entry(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(5, 3, 2)).astype(np.float32)
    path = tmp_path / "a.npy"
    writer = ArrayWriter(path, array.shape, array.dtype)
    for entry in array:
        writer.write(entry)
    assert not path.exists()
    writer.finish()
    np.testing.assert_array_equal(np.load(path), array)
    file = ArrayFile(path)
    np.testing.assert_array_equal(file[3], array[3])
    np.testing.assert_array_equal(file.mapped(), array)
    with pytest.raises(IndexError):
        file[5]
    before = file.mapped()
    again = ArrayWriter(path, array.shape, array.dtype)
    again.write(2 * array[0])
    again.abandon()
    assert [one.name for one in tmp_path.iterdir()] == ["a.npy"]
    np.testing.assert_array_equal(before, array)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match="not a whole array file"):
        ArrayFile(path)


def test_views_of_next_to_no_weight_are_not_read(tmp_path: Path) -> None:
    """Shares are of the views that are left, the weightiest first; an anchor alone still speaks."""
    poses, depth = facing([5.0])
    eye = np.eye(4)[None]
    chunks = [stored(tmp_path / str(k), [7], views(poses, (1 + k) * depth)) for k in range(4)]
    weights = [np.array([one]) for one in (0.001, 0.5, 2.0, 0.0)]
    found = contributions(chunks, [eye] * 4, weights, BlendConfig(negligible=0.1))[7]
    assert [one.source for one in found] == [chunks[2], chunks[1]]
    assert [one.weight for one in found] == pytest.approx([0.8, 0.2])
    assert [one.source for one in contributions(chunks, [eye] * 4, weights, BlendConfig(negligible=0.3))[7]] == [
        chunks[2]
    ]
    assert len(contributions(chunks, [eye] * 4, weights, BlendConfig(negligible=0.25))[7]) == 2  # 0.25 is not less
    assert len(contributions(chunks[3:], [eye], weights[3:], CONFIG)[7]) == 1


def test_the_intrinsics_of_two_chunks_are_mixed_as_the_cameras_are(tmp_path: Path) -> None:
    poses, depth = facing([5.0])
    one, other = views(poses, depth), views(poses, depth)
    other.intrinsics[0] = [[12.0, 0, 6], [0, 16, 2], [0, 0, 1]]
    chunks = [stored(tmp_path / "a", [0], one), stored(tmp_path / "b", [0], other)]
    eye = np.eye(4)[None]
    _, matrix = blended_camera(contributions(chunks, [eye, eye], [np.array([0.75]), np.array([0.25])], CONFIG)[0])
    np.testing.assert_allclose(matrix, [[9.0, 0, 4.5], [0, 10, 2.75], [0, 0, 1]])


def mixed(folder: Path, depths: Sequence[Any], confs: Sequence[Any], weights: Sequence[float], **options: Any) -> Any:
    """The blended maps of one frame (HEIGHT, WIDTH) that as many chunks saw, each at scale 1."""
    folder.mkdir()
    chunks = []
    for k, (depth, conf) in enumerate(zip(depths, confs, strict=True)):
        seen = views(np.eye(3, 4)[None], np.broadcast_to(np.float32(depth), (1, HEIGHT, WIDTH)).copy())
        seen.conf[:] = conf
        chunks.append(stored(folder / str(k), [0], seen))
    eye, config = np.eye(4)[None], BlendConfig(**options)
    found = contributions(chunks, [eye] * len(chunks), [np.array([one]) for one in weights], config)[0]
    return blended_maps(found, config)


def test_the_scale_of_a_frame_changes_over_by_weight_and_its_shape_by_confidence_too(tmp_path: Path) -> None:
    """Three quarters of the scale are the first's; of a bump of 4 %, the second's share by weight times confidence."""
    bumpy = np.full((HEIGHT, WIDTH), 4.4)
    bumpy[2, 3] *= 1.04
    maps = mixed(tmp_path / "a", [4.0, bumpy], [2.0, 6.0], [0.75, 0.25])
    level = 4.0 * 1.1**0.25
    assert maps["depth"][0, 0] == pytest.approx(level, rel=1e-6)
    assert maps["depth"][2, 3] == pytest.approx(level * 1.04**0.5, rel=1e-6)  # 0.75 * 2 against 0.25 * 6
    assert maps["conf"][0, 0] == pytest.approx((0.75 * 2 * 2 + 0.25 * 6 * 6) / 3, rel=1e-6)
    assert maps["depth"].dtype == maps["conf"].dtype == np.float32


def test_surfaces_are_one_up_to_the_stated_difference(tmp_path: Path) -> None:
    bumpy = np.full((HEIGHT, WIDTH), 4.0)
    bumpy[2, 3], bumpy[3, 3] = 4 * np.exp(0.07), 4 * np.exp(-0.07)
    for same, expected in ((0.06, [4.0, 4.0]), (0.08, [4 * np.exp(0.035), 4 * np.exp(-0.035)])):
        maps = mixed(tmp_path / str(same), [4.0, bumpy], [1.0, 1.0], [0.5, 0.5], same_surface=same)
        np.testing.assert_allclose(maps["depth"][[2, 3], 3], expected, rtol=1e-6)
        np.testing.assert_allclose(maps["conf"], 1.0, rtol=1e-6)


def test_what_nobody_knows_stays_unknown_and_odd_confidences_do_no_harm(tmp_path: Path) -> None:
    depth, other = np.full((HEIGHT, WIDTH), 4.0), np.full((HEIGHT, WIDTH), 4.0)
    depth[0], other[0] = np.nan, -1.0
    other[1, 1] = 4.1
    conf = np.full((HEIGHT, WIDTH), 2.0)
    conf[1, 1], conf[2, 2], conf[3, 3] = 0.0, np.nan, np.inf
    maps = mixed(tmp_path / "a", [depth, other], [1.0, conf], [0.5, 0.5])
    assert np.isnan(maps["depth"][0]).all()
    np.testing.assert_allclose(maps["conf"][0], 1.0)
    np.testing.assert_allclose(maps["depth"][1:], 4.0, rtol=1e-6)
    assert maps["conf"][1, 1] == pytest.approx(1.0, rel=1e-5)
    np.testing.assert_allclose(maps["conf"][[2, 3], [2, 3]], 1.0)


def test_the_scale_is_told_by_a_sample_of_the_pixels(tmp_path: Path) -> None:
    other = np.full((HEIGHT, WIDTH), 4.0)
    other.ravel()[::12] = 8.0  # four of 48
    for pixels, level in ((4, np.sqrt(32.0)), (48, 4.0)):
        maps = mixed(tmp_path / str(pixels), [4.0, other], [1.0, 1.0], [0.5, 0.5], sampled_pixels=pixels)
        assert maps["depth"][0, 1 if pixels == 48 else 0] == pytest.approx(level, rel=1e-6)


def test_a_merged_frame_takes_what_is_not_blended_from_its_weightiest_view(tmp_path: Path) -> None:
    """Two chunks of frame 3: descriptors and sky of the second, poses that are known, confidence its median."""
    poses, depth = facing([5.0, 6.0])
    chunks = []
    for k in range(2):
        seen = views(poses, depth, conf=1.0 + k)
        seen.conf[:, 0] = np.nan
        extra = {"sky": np.full(depth.shape, bool(k)), "descriptors": np.full((2, 3), k, np.float32)}
        chunks.append(stored(tmp_path / str(k), [3 + k, 4 + k], RawViews(**{**seen.arrays(), **extra})))
    eye = np.tile(np.eye(4), (2, 1, 1))
    found = contributions(chunks, [eye, eye], [np.array([1.0, 0.4]), np.array([0.6, 1.0])], CONFIG)
    known = {4: np.eye(3, 4) + 1}
    merged = merge_chunks(found, tmp_path / "merged", known, CONFIG, SilentProgress())
    assert merged is not None
    np.testing.assert_array_equal(merged.kept, [3, 4, 5])
    np.testing.assert_array_equal(merged.views.descriptors[:, 0], [0, 1, 1])
    np.testing.assert_array_equal(merged.views.sky[:, 0, 0], [False, True, True])
    np.testing.assert_array_equal(merged.views.cam_from_world[1], known[4])
    np.testing.assert_allclose(merged.views.cam_from_world[2], poses[1])
    np.testing.assert_allclose(merged.confidence, [1.0, (0.4 + 0.6 * 2 * 2) / 1.6, 2.0], rtol=1e-5)


@pytest.mark.parametrize(("unknown", "expected"), [(np.nan, 0.0), (np.inf, 0.0), (-np.inf, 0.0), (7.0, 7.0)])
def test_the_confidence_of_a_frame_is_its_middle_one_and_none_where_most_are_unknown(
    unknown: float, expected: float, tmp_path: Path
) -> None:
    poses, depth = facing([5.0])
    seen = views(poses, depth, conf=9.0)
    seen.conf[:, :4] = unknown
    found = contributions([stored(tmp_path / "a", [0], seen)], [np.eye(4)[None]], [np.ones(1)], CONFIG)
    merged = merge_chunks(found, tmp_path / "merged", {}, CONFIG, SilentProgress())
    assert merged is not None
    np.testing.assert_array_equal(merged.confidence, [expected])


def test_a_merge_that_fails_leaves_no_files_behind(tmp_path: Path) -> None:
    poses, depth = facing([5.0, 6.0])
    chunk = stored(tmp_path / "a", [0, 1], views(poses, depth))
    found = contributions([chunk], [np.tile(np.eye(4), (2, 1, 1))], [np.ones(2)], CONFIG)
    (chunk.folder / "conf.npy").unlink()
    with pytest.raises(OSError, match=r"conf\.npy"):
        merge_chunks(found, tmp_path / "merged", {}, CONFIG, SilentProgress())
    assert list((tmp_path / "merged").iterdir()) == []


def test_near_surfaces_are_blended_as_far_ones_are(tmp_path: Path) -> None:
    maps = mixed(tmp_path / "a", [0.4, 0.44], [1.0, 1.0], [0.75, 0.25])
    np.testing.assert_allclose(maps["depth"], 0.4 * 1.1**0.25, rtol=1e-6)


def test_depths_at_infinity_are_unknown(tmp_path: Path) -> None:
    """Of the second more than half; of the first some, where the second knows; in one row neither knows."""
    depth, other = np.full((HEIGHT, WIDTH), 4.0), np.full((HEIGHT, WIDTH), 4.4)
    other[:4], depth[5], depth[0] = np.inf, np.inf, np.nan
    maps = mixed(tmp_path / "a", [depth, other], [1.0, 1.0], [0.5, 0.5])
    np.testing.assert_allclose(maps["depth"][1:], 4.0 * 1.1**0.5, rtol=1e-6)
    assert np.isnan(maps["depth"][0]).all()


def test_halves_that_nobody_compares_stay_as_they_are(tmp_path: Path) -> None:
    upper, lower = np.full((HEIGHT, WIDTH), 4.0), np.full((HEIGHT, WIDTH), 7.0)
    upper[3:], lower[:3] = np.nan, np.nan
    maps = mixed(tmp_path / "a", [upper, lower], [1.0, 1.0], [0.5, 0.5])
    np.testing.assert_allclose(maps["depth"][:3], 4.0, rtol=1e-6)
    np.testing.assert_allclose(maps["depth"][3:], 7.0, rtol=1e-6)


@pytest.mark.parametrize("pixels", [48, 95])
def test_every_pixel_tells_the_scale_where_they_are_few(pixels: int, tmp_path: Path) -> None:
    other = np.full((HEIGHT, WIDTH), 4.0)
    other.ravel()[:44:2] = 8.0  # 22 of 48, and of every second one nearly all
    maps = mixed(tmp_path / "a", [4.0, other], [1.0, 1.0], [0.5, 0.5], sampled_pixels=pixels)
    assert maps["depth"][0, 1] == pytest.approx(4.0, rel=1e-6)


def test_array_files_of_either_version_are_read_and_others_are_not(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.int16).reshape(4, 3, 2)
    for version in ((1, 0), (2, 0)):
        with (tmp_path / "a.npy").open("wb") as file:
            np.lib.format.write_array(file, array, version=version)
        file = ArrayFile(tmp_path / "a.npy")
        assert (len(file), file.shape, file.dtype) == (4, (4, 3, 2), np.int16)
        for index in range(4):
            np.testing.assert_array_equal(file[index], array[index])
        for beyond in (-1, 4):
            with pytest.raises(IndexError, match="among 4"):
                file[beyond]
    np.save(tmp_path / "flat.npy", array.ravel())
    assert ArrayFile(tmp_path / "flat.npy")[5] == 5
    np.save(tmp_path / "turned.npy", np.asfortranarray(array))
    longer = tmp_path / "longer.npy"
    longer.write_bytes((tmp_path / "a.npy").read_bytes() + b"0")
    for wrong in (tmp_path / "turned.npy", longer):
        with pytest.raises(ValueError, match="not a whole array file"):
            ArrayFile(wrong)


def test_array_writers_keep_what_is_finished_and_the_type_that_they_were_given(tmp_path: Path) -> None:
    writer = ArrayWriter(tmp_path / "a.npy", (2, 3), np.float32)
    writer.write(np.arange(3))
    writer.write(np.arange(6, dtype=np.float64)[::2])
    writer.finish()
    writer.abandon()
    found = np.load(tmp_path / "a.npy")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[0, 1, 2], [0, 2, 4]])
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


def test_a_chunk_is_found_as_it_was_kept(tmp_path: Path) -> None:
    poses, depth = facing([5.0, 6.0, 7.0])
    depth[1] = np.nan
    store = ChunkStore(tmp_path / "store", "settings", [str(frame) for frame in range(100)])
    (tmp_path / "store" / "c.new").mkdir()
    (tmp_path / "store" / "c.new" / "depth.npy").write_text("of a run that was killed")
    kept = store.keep("c", np.array([4, 6, 9]), views(poses, depth), {5: "gone", 3: "black"})
    found = store.find("c")
    assert found is not None
    for one in (kept, found):
        assert (one.indices.tolist(), one.usable.tolist(), len(one)) == ([4, 6, 9], [True, False, True], 3)
        assert one.unreadable == {5: "gone", 3: "black"}
        assert set(one.small) == {"cam_from_world", "intrinsics"}
        np.testing.assert_array_equal(one.views([2, 0]).depth, depth[[2, 0]])
        np.testing.assert_array_equal(one.views([2, 0]).cam_from_world, poses[[2, 0]])
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["c"]
    again = store.keep("c", np.array([4]), views(poses[:1], depth[:1]))
    assert (again.indices.tolist(), again.unreadable) == ([4], {})


@pytest.mark.parametrize("damage", ["depth.npy", "cam_from_world.npy", "digest", "indices", "usable", "fields"])
def test_a_chunk_of_which_anything_is_missing_is_absent(damage: str, tmp_path: Path) -> None:
    poses, depth = facing([5.0, 6.0])
    store = ChunkStore(tmp_path, "settings", ["a", "b"])
    folder = store.keep("c", np.arange(2), views(poses, depth)).folder
    assert ChunkStore(tmp_path, "settings", ["a", "b", "c"]).find("c") is not None
    for other in (ChunkStore(tmp_path, "others", ["a", "b"]), ChunkStore(tmp_path, "settings", ["a", "c"])):
        assert other.find("c") is None
    assert ChunkStore(tmp_path, "settings", ["a"]).find("c") is None  # fewer frames than it has seen
    if damage.endswith(".npy"):
        (folder / damage).unlink()
    else:
        record = json.loads((folder / "chunk.json").read_text())
        del record[damage]
        (folder / "chunk.json").write_text(json.dumps(record))
    assert store.find("c") is None


@pytest.mark.parametrize("unknown", [np.nan, np.inf, -np.inf])
def test_where_one_confidence_is_unknown_the_other_view_speaks(unknown: float, tmp_path: Path) -> None:
    bumpy = np.full((HEIGHT, WIDTH), 4.0)
    bumpy[2, 3] = 4.2
    conf = np.full((HEIGHT, WIDTH), 2.0)
    conf[2, 3] = unknown
    for order in (1, -1):
        maps = mixed(tmp_path / str(order), [4.0, bumpy][::order], [1.0, conf][::order], [0.5, 0.5])
        assert maps["depth"][2, 3] == pytest.approx(4.0, rel=1e-6)
        assert maps["conf"][2, 3] == 1.0
