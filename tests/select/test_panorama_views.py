"""Views of panoramas show what a pinhole would have seen, say where they stand, and leave out what is no world."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from spheres import painted, painted_pair

from da3_pipeline.arrays import Float
from da3_pipeline.errors import ExportError
from da3_pipeline.geometry import compose, invert
from da3_pipeline.geometry.equirectangular import Equirectangular, view_from_panorama
from da3_pipeline.imageio import read_mask, read_rgb
from da3_pipeline.ingest.panoramas import FisheyePairFile
from da3_pipeline.progress import SilentProgress
from da3_pipeline.select.config import PanoramaViewsConfig, SelectConfig
from da3_pipeline.select.measures.moved import moved_of
from da3_pipeline.select.panorama_views import View, render_view, views_of, with_views
from da3_pipeline.types import Frame

AREA = Equirectangular.whole(1024, 512)
EVERYWHERE = PanoramaViewsConfig(rings=((0.0, 4), (90.0, 1), (-90.0, 1), (40.0, 3)), nadir_deg=0)


def frame(path: Path, area: Equirectangular = AREA, **fields: object) -> Frame:
    return Frame("walk/a.png", path, area.width, area.height, "cam", "print", panorama=area, **fields)  # type: ignore[arg-type]


@pytest.fixture
def panorama(tmp_path: Path) -> Path:
    Image.fromarray(painted(AREA)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def seen_by(view: View) -> NDArray[np.uint8]:
    """The painted world through the pinhole itself."""

    class Pinhole(Equirectangular):
        def rays(self, pixels: Float) -> Float:
            plane = view.camera.unproject(pixels.reshape(-1, 2))
            rays = np.column_stack([plane, np.ones(len(plane))]) @ view.view_from_panorama
            return (rays / np.linalg.norm(rays, axis=1, keepdims=True)).reshape(*pixels.shape[:-1], 3)

    side = view.camera.width
    return painted(Pinhole(side, side, float(side), float(side)))


@pytest.mark.parametrize("name", ["view000", "view180", "view270", "up", "down", "view120up40"])
def test_a_view_is_what_a_pinhole_sees_there(name: str) -> None:
    (view,) = (view for view in views_of(AREA, EVERYWHERE) if view.name == name)
    off = np.abs(render_view(painted(AREA), view).astype(int) - seen_by(view))
    assert np.quantile(off, 0.99) <= 6 and off.mean() < 1.5


def test_the_cone_below_is_masked_where_it_is_seen() -> None:
    views = {
        view.name: view for view in views_of(AREA, PanoramaViewsConfig(rings=((0.0, 4), (-45.0, 1)), nadir_deg=40))
    }
    assert views["view000"].used is not None or views["view000"].camera.fov_deg[1] <= 100.01
    below = views["view000down45"]
    assert below.used is not None
    side = below.camera.width
    middle = below.view_from_panorama @ np.array([0, 1.0, 0])
    at = below.camera.project(middle[None])[0]
    assert not below.used[int(min(at[1], side - 1)), int(at[0])]
    angle = np.degrees(np.arccos(np.clip(_down(below), -1, 1)))
    np.testing.assert_array_equal(below.used, angle > 40)


def _down(view: View) -> Float:
    """(side, side) cosine between each pixel's ray and straight down."""
    y, x = np.mgrid[0 : view.camera.height, 0 : view.camera.width] + 0.5
    plane = view.camera.unproject(np.column_stack([x.ravel(), y.ravel()]))
    rays = np.column_stack([plane, np.ones(len(plane))]) @ view.view_from_panorama
    return (rays[:, 1] / np.linalg.norm(rays, axis=1)).reshape(x.shape)


def test_views_are_cameras_on_a_rig(panorama: Path, tmp_path: Path) -> None:
    pose = np.column_stack([view_from_panorama(20, 5), [0.3, -0.2, 1.0]])
    whole = frame(panorama, video="walk.mp4", time_s=2.0, known_cam_from_world=pose, up_in_camera=(0.0, -1.0, 0.0))
    flat = replace(whole, name="b.png", panorama=None)
    found, dropped = with_views([whole, flat], EVERYWHERE, tmp_path / "views", SilentProgress())
    assert not dropped and found[0] == flat
    names = [view.name for view in found[1:]]
    assert names[:2] == ["walk/view000/a.jpg", "walk/view090/a.jpg"] and len(set(names)) == 9
    assert len({view.camera_id for view in found[1:]}) == len({view.video for view in found[1:]}) == 9
    assert sum(view.rig.reference for view in found[1:] if view.rig) == 1
    for view in found[1:]:
        assert view.rig is not None and view.view_of is not None and view.known_cam_from_world is not None
        own = np.column_stack([view.view_of.view_from_panorama, np.zeros(3)])
        np.testing.assert_allclose(view.rig.cam_from_rig, own, atol=1e-12)
        np.testing.assert_allclose(view.known_cam_from_world, compose(own, pose), atol=1e-12)
        np.testing.assert_allclose(np.array(view.up_in_camera), own[:, :3] @ (0, -1, 0), atol=1e-12)
        assert view.rig.instant == "walk/a.png" and view.mask is None and view.panorama is None
        assert read_rgb(view.path).shape[:2] == (view.height, view.width)


def test_the_rig_is_told_from_its_reference_wherever_that_looks(panorama: Path, tmp_path: Path) -> None:
    config = PanoramaViewsConfig(rings=((30.0, 3),), nadir_deg=0)
    found, _ = with_views([frame(panorama)], config, tmp_path, SilentProgress())
    first, second, _ = found
    assert first.rig and second.rig and first.view_of and second.view_of
    np.testing.assert_allclose(first.rig.cam_from_rig, np.eye(3, 4), atol=1e-12)
    np.testing.assert_allclose(
        second.rig.cam_from_rig[:, :3] @ first.view_of.view_from_panorama,  # type: ignore[index]
        second.view_of.view_from_panorama,
        atol=1e-12,
    )


def test_a_mask_of_the_panorama_is_seen_through_the_views(panorama: Path, tmp_path: Path) -> None:
    used = np.full((512, 1024), 255, np.uint8)
    used[200:300, 480:544] = 0  # ahead
    Image.fromarray(used).save(tmp_path / "mask.png")
    found, _ = with_views([frame(panorama, mask=tmp_path / "mask.png")], EVERYWHERE, tmp_path, SilentProgress())
    masks = {view.name.split("/")[1]: read_mask(view.mask, view.width, view.height) for view in found if view.mask}
    ahead = masks["view000"]
    assert not ahead[ahead.shape[0] // 2, ahead.shape[1] // 2] and 0.005 < 1 - ahead.mean() < 0.08
    assert masks["view180"].all()


def test_of_a_part_there_are_the_views_that_show_it(tmp_path: Path) -> None:
    part = Equirectangular(512, 256, 1024.0, 512.0, left=256.0, top=128.0)  # half around, ahead
    Image.fromarray(painted(part)).save(tmp_path / "a.png")
    found, _ = with_views([frame(tmp_path / "a.png", part)], PanoramaViewsConfig(), tmp_path, SilentProgress())
    names = [view.name.split("/")[1] for view in found]
    assert "view000" in names and "view180" not in names
    beside = next(view for view in found if "view090" in view.name)
    assert beside.mask is not None and beside.rig is not None
    used = read_mask(beside.mask, beside.width, beside.height)
    assert used[:, : beside.width // 4].mean() > 0.5 and not used[:, -beside.width // 4 :].any()


def test_what_is_there_is_not_rendered_again(panorama: Path, tmp_path: Path) -> None:
    config = PanoramaViewsConfig()
    first, _ = with_views([frame(panorama)], config, tmp_path, SilentProgress())
    stamps = [view.path.stat().st_mtime_ns for view in first]
    again, _ = with_views([frame(panorama)], config, tmp_path, SilentProgress())
    assert [view.path.stat().st_mtime_ns for view in again] == stamps
    other, _ = with_views([frame(panorama)], config.model_copy(update={"fov_deg": 80.0}), tmp_path, SilentProgress())
    assert {view.path for view in other}.isdisjoint(view.path for view in first)


def test_a_panorama_that_cannot_be_read_is_left_out_by_name(panorama: Path, tmp_path: Path) -> None:
    panorama.write_bytes(panorama.read_bytes()[:2000])
    found, dropped = with_views([frame(panorama)], PanoramaViewsConfig(), tmp_path, SilentProgress())
    assert not found and dropped[0].frame == "walk/a.png" and "damaged" in dropped[0].reason


def test_views_of_panoramas_that_differ_in_the_suffix_have_names_of_their_own(panorama: Path, tmp_path: Path) -> None:
    one = frame(panorama)
    other = replace(one, name="walk/a.jpg", fingerprint="other")
    found, _ = with_views([one, other], PanoramaViewsConfig(), tmp_path, SilentProgress())
    assert len({view.name for view in found}) == len(found)


def test_views_look_exactly_where_their_names_say() -> None:
    ahead = {view.name: view.view_from_panorama[2] for view in views_of(AREA, EVERYWHERE)}
    half = np.sqrt(0.5)
    expected = {"view000": (0, 0, 1), "view090": (1, 0, 0), "view180": (0, 0, -1), "view270": (-1, 0, 0)}
    expected |= {"up": (0, -1, 0), "down": (0, 1, 0)}
    for name, direction in expected.items():
        np.testing.assert_allclose(ahead[name], direction, atol=1e-12)
    (tilted,) = views_of(AREA, PanoramaViewsConfig(rings=((-45.0, 1),), nadir_deg=0))
    assert tilted.name == "view000down45"
    np.testing.assert_allclose(tilted.view_from_panorama[2], (0, half, half), atol=1e-12)


def test_pictures_of_one_folder_or_video_follow_each_other(panorama: Path, tmp_path: Path) -> None:
    """Those of a view of it: a sequence of pictures of one camera, however they were listed."""
    config = PanoramaViewsConfig(rings=((0.0, 2),), fov_deg=60, nadir_deg=0)

    def named(name: str, **fields: object) -> Frame:
        return replace(frame(panorama, **fields), name=name, fingerprint=name)

    listed = [named("a/1.png"), named("b/1.png"), named("a/2.png"), named("b/2.png")]
    found, _ = with_views(listed, config, tmp_path, SilentProgress())
    views = [f"{folder}/view{yaw}/{k}.jpg" for folder in "ab" for yaw in ("000", "180") for k in (1, 2)]
    assert [view.name for view in found] == [name for folder in ("a", "b") for name in views if name.startswith(folder)]
    clips = [named(f"x/{clip}{k}.png", video=f"{clip}.mp4") for k in (1, 2) for clip in "pq"]
    found, _ = with_views(clips, config, tmp_path, SilentProgress())
    assert [view.video for view in found] == [
        f"{clip}.mp4#view{yaw}" for clip in "pq" for yaw in ("000", "180") for _ in (1, 2)
    ]


@pytest.mark.parametrize(("least", "there"), [(0.4, True), (0.6, False)])
def test_views_that_show_next_to_nothing_are_left_out(least: float, there: bool) -> None:
    """The right edge of the picture is straight ahead of one view: it shows half of it."""
    part = Equirectangular(256, 256, 512.0, 256.0, left=0.0, top=0.0)
    config = PanoramaViewsConfig(rings=((0.0, 4),), nadir_deg=0, least_shown=least)
    assert ("view000" in {view.name for view in views_of(part, config)}) is there


def test_the_edges_of_a_part_are_not_its_other_side() -> None:
    """Left half black, right half white: nothing black beside the right edge, and above the pole nothing from below."""
    part = Equirectangular(256, 256, 512.0, 256.0, left=128.0, top=0.0)
    picture = np.zeros((256, 256, 3), np.uint8)
    picture[:, 128:] = 255
    (view,) = views_of(part, PanoramaViewsConfig(rings=((0.0, 1),), fov_deg=60, nadir_deg=0))
    assert set(np.unique(render_view(picture, view)[:, view.camera.width // 2 + 4 :])) == {255}
    beside = next(
        view for view in views_of(part, PanoramaViewsConfig(rings=((0.0, 4),), nadir_deg=0)) if view.name == "view090"
    )
    assert beside.used is not None and beside.used.any()
    assert (render_view(picture, beside)[beside.used] == 255).all()


def test_beyond_the_pole_is_no_other_pole() -> None:
    """A white sky over a black ground: straight up everything is white."""
    picture = np.zeros((512, 1024, 3), np.uint8)
    picture[:256] = 255
    for name, shade in (("up", 255), ("down", 0)):
        (view,) = (view for view in views_of(AREA, replace_fov(EVERYWHERE, 60.0)) if view.name == name)
        assert (render_view(picture, view) == shade).all()


def replace_fov(config: PanoramaViewsConfig, fov_deg: float) -> PanoramaViewsConfig:
    return config.model_copy(update={"fov_deg": fov_deg})


def test_masks_of_the_cone_and_of_the_panorama_hold_together(panorama: Path, tmp_path: Path) -> None:
    used = np.full((512, 1024), 255, np.uint8)
    used[:, 512:] = 0  # right of straight ahead
    Image.fromarray(used).save(tmp_path / "mask.png")
    config = PanoramaViewsConfig(rings=((-45.0, 1),), nadir_deg=40)
    (view,), _ = with_views([frame(panorama, mask=tmp_path / "mask.png")], config, tmp_path / "v", SilentProgress())
    (plain,) = views_of(AREA, config)
    assert view.mask is not None and plain.used is not None
    both = read_mask(view.mask, view.width, view.height)
    middle = view.width // 2
    assert not both[:, middle + 2 :].any()
    np.testing.assert_array_equal(both[: middle // 2, : middle - 4], plain.used[: middle // 2, : middle - 4])
    assert not both[~plain.used].any()


def test_a_disk_that_takes_nothing_is_named(panorama: Path, tmp_path: Path) -> None:
    (tmp_path / "full").write_text("a file where the folder should be")
    with pytest.raises(ExportError, match="cannot write this view"):
        with_views([frame(panorama)], PanoramaViewsConfig(), tmp_path / "full", SilentProgress())


PAIR = FisheyePairFile(Path("pair.json"), fov_deg=200.0).at(1024, 512)
assert PAIR is not None


@pytest.mark.parametrize("view", views_of(PAIR, PanoramaViewsConfig(nadir_deg=0)), ids=lambda view: view.name)
def test_a_view_of_a_fisheye_is_what_a_pinhole_sees_there(view: View) -> None:
    off = np.abs(render_view(painted_pair(PAIR), view).astype(int) - seen_by(view))
    used = np.full(off.shape[:2], True) if view.used is None else view.used
    assert used.mean() > 0.8
    inner = cv2.erode(used.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert np.quantile(off[inner], 0.99) <= 12 and off[inner].mean() < 3


def test_views_of_two_lenses_stand_where_these_do(tmp_path: Path) -> None:
    first, second = PAIR.lenses
    moved = replace(PAIR, lenses=(first, replace(second, centre=(0.01, -0.02, 0.03))))
    Image.fromarray(painted_pair(PAIR)).save(tmp_path / "a.png")
    pose = np.column_stack([view_from_panorama(20, 5), [0.3, -0.2, 1.0]])
    whole = Frame("a.png", tmp_path / "a.png", 1024, 512, "cam", "print", panorama=moved, known_cam_from_world=pose)
    found, dropped = with_views([whole], PanoramaViewsConfig(), tmp_path / "views", SilentProgress())
    assert not dropped and len(found) == 6
    names = [frame.name.split("/")[0] for frame in found]
    assert names[0] == "lens1view315" and "lens2view000up50" in names
    rig_centre = invert(pose)[:, 3]
    for frame, name in zip(found, names, strict=True):
        assert frame.rig is not None and frame.known_cam_from_world is not None
        centre = invert(frame.known_cam_from_world)[:, 3]
        offset = (0.0, 0.0, 0.0) if name.startswith("lens1") else (0.01, -0.02, 0.03)
        np.testing.assert_allclose(pose[:, :3] @ (centre - rig_centre), offset, atol=1e-12)
        assert found[0].known_cam_from_world is not None
        np.testing.assert_allclose(
            frame.known_cam_from_world, compose(frame.rig.cam_from_rig, found[0].known_cam_from_world), atol=1e-12
        )


def test_turning_two_fisheyes_on_the_spot_is_no_motion() -> None:
    moved = moved_of(PAIR, SelectConfig().motion)
    small = moved.seen(painted_pair(PAIR)[..., 1])
    assert small.shape[1] == 640
    sphere = painted(Equirectangular.whole(640, 320))[..., 1]
    top = (320 - len(small)) // 2
    off = np.abs(small.astype(int) - sphere[top : top + len(small)])
    assert np.median(off) < 8, "seen as the panorama that both make"


def test_of_a_whole_panorama_is_used_what_is_not_below_and_not_masked(panorama: Path, tmp_path: Path) -> None:
    used = np.full((512, 1024), 255, np.uint8)
    used[:, :100] = 0
    Image.fromarray(used).save(tmp_path / "mask.png")
    rows = np.arange(512)[:, None] + 0.5 < 512 * 140 / 180
    for mask, expected in ((None, np.repeat(rows, 1024, 1)), (tmp_path / "mask.png", rows & (used > 0))):
        found, _ = with_views([frame(panorama, mask=mask)], PanoramaViewsConfig(), tmp_path, SilentProgress())
        (path,) = {view.view_of.mask for view in found if view.view_of}
        assert path is not None
        np.testing.assert_array_equal(read_mask(path, 1024, 512), expected)
    found, _ = with_views([frame(panorama)], PanoramaViewsConfig(nadir_deg=0), tmp_path, SilentProgress())
    assert {view.view_of.mask for view in found if view.view_of} == {None}
