"""Solutions that differ in one known way, and what is said of them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pycolmap
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.transform import Rotation

from da3_pipeline.comparison import Comparison, compare
from da3_pipeline.comparison.telling import as_document, as_table
from da3_pipeline.errors import CaptureError, UsageError
from da3_pipeline.geometry import Camera, Sim3, invert

Float = NDArray[np.float64]
Run = Callable[..., tuple[int, str, str]]
CAMERA = Camera("PINHOLE", 640, 480, (500.0, 500.0, 320.0, 240.0))
EXACT = {"abs": 1e-7}


def poses(count: int = 12) -> dict[str, Float]:
    """Cameras on an arc that climbs, each looking another way."""
    found = {}
    for k in range(count):
        rotation = Rotation.from_euler("yx", [15.0 * k, 4.0 * (k % 3)], degrees=True).as_matrix()
        centre = np.array([3 * math.cos(0.4 * k), 0.2 * k, 3 * math.sin(0.4 * k)])
        found[f"{k:02d}.jpg"] = np.concatenate([rotation, -(rotation @ centre)[:, None]], axis=1)
    return found


def write_model(folder: Path, views: Mapping[str, Float], camera: Camera = CAMERA, points: int = 0) -> Path:
    model = pycolmap.Reconstruction()
    model.add_camera_with_trivial_rig(camera.to_pycolmap())
    for number, (name, pose) in enumerate(views.items(), 1):
        image = pycolmap.Image(name=name, camera_id=1, image_id=number)
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d(pose))
    for _ in range(points):
        model.add_point3D(np.zeros(3), pycolmap.Track())
    folder.mkdir(parents=True)
    model.write_binary(str(folder))
    return folder


def write_session(
    folder: Path,
    views: Mapping[str, Float],
    camera: Camera = CAMERA,
    points: int = 7,
    without_pose: tuple[str, ...] = (),
) -> Path:
    """As far as a comparison reads it. The data set calls N.jpg data_N.png."""
    called = {name: f"data_{name[:-4]}.png" for name in views}
    write_model(folder / "sparse" / "0", {called[name]: pose for name, pose in views.items()}, camera, points)
    frames = [{"name": name, "image": called[name]} for name in views]
    report = {
        "schema": "da3-pipeline/report",
        "verdict": {"passed": True},
        "stages": [{"name": "infer", "seconds": 2.5}, {"name": "refine", "seconds": 4.0}],
        "frames": frames + [{"name": name, "image": None} for name in without_pose],
    }
    (folder / "report.json").write_text(json.dumps(report))
    return folder


def moved(views: Mapping[str, Float], b_from_a: Sim3) -> dict[str, Float]:
    return {name: b_from_a.apply_to_cameras(pose) for name, pose in views.items()}


ELSEWHERE = Sim3(
    7.0, Rotation.from_euler("xyz", [40, -70, 100], degrees=True).as_matrix(), np.array([90.0, -4.0, 11.0])
)


def assert_equal(found: Comparison) -> None:
    assert found.rotation_deg == pytest.approx(0.0, **EXACT)
    assert found.position / found.extent == pytest.approx(0.0, **EXACT)
    assert found.focal_percent == pytest.approx(0.0, **EXACT)
    assert found.auc == found.auc_of_b == (100.0, 100.0, 100.0)
    assert (found.only_a, found.only_b, found.turned) == ((), (), ())


def test_equal_sessions_are_nothing_apart(tmp_path: Path) -> None:
    a, b = (write_session(tmp_path / side, poses()) for side in "ab")
    found = compare(a, b)
    assert_equal(found)
    assert found.names == tuple(poses())
    assert (found.a.kind, found.a.points, found.a.seconds, found.a.passed) == ("session", 7, 6.5, True)


def test_another_world_changes_nothing(tmp_path: Path) -> None:
    a, b = write_session(tmp_path / "a", poses()), write_model(tmp_path / "b", moved(poses(), ELSEWHERE))
    found = compare(a, b)
    assert_equal(found)
    assert found.b_from_a.scale == pytest.approx(7.0)
    assert found.b_from_a.rotation == pytest.approx(ELSEWHERE.rotation, **EXACT)
    assert compare(b, a).b_from_a.scale == pytest.approx(1 / 7)


@pytest.mark.parametrize("angle_deg", [0.5, 12.0, 170.0])
def test_a_camera_that_is_turned_is_that_far_off_and_named(tmp_path: Path, angle_deg: float) -> None:
    """About itself: it stands where it stood, and no other is touched."""
    turned = poses()
    turn = Rotation.from_rotvec(np.radians(angle_deg) * np.array([0.6, 0.0, 0.8])).as_matrix()
    turned["05.jpg"] = turn @ turned["05.jpg"]
    a, b = write_session(tmp_path / "a", turned), write_model(tmp_path / "b", moved(poses(), ELSEWHERE))
    found = compare(a, b)
    expected = [angle_deg if name == "05.jpg" else 0.0 for name in found.names]
    assert found.rotation_deg == pytest.approx(expected, abs=1e-5)
    assert found.position / found.extent == pytest.approx(0.0, abs=1e-7)
    told = as_document(found)["rotation_deg"]
    assert (told["worst"], told["largest"]) == ("05.jpg", pytest.approx(angle_deg, abs=1e-5))
    assert told["median"] == pytest.approx(0.0, abs=1e-5)


def test_a_camera_that_is_moved_is_that_far_off_in_the_units_of_the_second(tmp_path: Path) -> None:
    shifted = poses()
    shifted["03.jpg"] = shifted["03.jpg"] + np.array([[0, 0, 0, 0.3], [0, 0, 0, 0.0], [0, 0, 0, -0.4]])
    a, b = write_model(tmp_path / "a", shifted), write_model(tmp_path / "b", moved(poses(), ELSEWHERE))
    found = compare(a, b)
    assert found.position[3] == pytest.approx(0.5 * 7.0)
    assert np.delete(found.position, 3) == pytest.approx(0.0, abs=1e-6)
    assert found.rotation_deg == pytest.approx(0.0, abs=1e-6)


def test_what_only_one_has_is_named_and_counts_as_wrong_against_all_of_the_second(tmp_path: Path) -> None:
    fewer = {name: pose for name, pose in poses().items() if name not in ("02.jpg", "07.jpg")}
    more = poses() | {"99.jpg": poses()["03.jpg"]}
    more.pop("11.jpg")
    a, b = write_session(tmp_path / "a", fewer, without_pose=("02.jpg", "07.jpg")), write_model(tmp_path / "b", more)
    found = compare(a, b)
    assert (found.only_a, found.only_b) == (("11.jpg",), ("02.jpg", "07.jpg", "99.jpg"))
    assert found.a.unposed == ("02.jpg", "07.jpg")
    assert found.auc == (100.0,) * 3
    assert found.auc_of_b == pytest.approx([100 * math.comb(9, 2) / math.comb(12, 2)] * 3)
    table = as_table(found)
    assert "9 common, only in A 1 (11.jpg), only in B 3 (02.jpg, 07.jpg, 99.jpg)" in table


def test_focal_lengths_are_compared_in_shares_of_the_picture(tmp_path: Path) -> None:
    a = write_model(tmp_path / "a", poses(), Camera("PINHOLE", 640, 480, (550.0, 550.0, 320.0, 240.0)))
    halved = Camera("PINHOLE", 320, 240, (250.0, 250.0, 160.0, 120.0))
    b = write_model(tmp_path / "b", poses(), halved)
    assert compare(a, b).focal_percent == pytest.approx(10.0)
    assert compare(b, a).focal_percent == pytest.approx(100 / 1.1 - 100)


def test_pictures_are_found_under_the_names_they_came_in_with_or_those_of_the_data_set(tmp_path: Path) -> None:
    session = write_session(tmp_path / "a", poses())
    originals = {f"photos/{name[:-4]}.JPG": pose for name, pose in poses().items()}
    exported = {f"data_{name[:-4]}.png": pose for name, pose in poses().items()}
    for side, views in (("originals", originals), ("exported", exported)):
        assert_equal(compare(session, write_model(tmp_path / side, views)))


def write_truth(path: Path, views: Mapping[str, Float]) -> Path:
    images = {name: {"w2c": pose.tolist(), "K": CAMERA.K.tolist()} for name, pose in views.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": images}))
    return path


def write_transforms(path: Path, views: Mapping[str, Float]) -> Path:
    frames = []
    for name, pose in views.items():
        world_from_cam = np.vstack([invert(pose), [0, 0, 0, 1]]) @ np.diag([1.0, -1, -1, 1])
        frames.append({"file_path": f"images/{name}", "transform_matrix": world_from_cam.tolist()})
    camera = {"w": 640, "h": 480, "fl_x": 500.0, "fl_y": 500.0, "cx": 320.0, "cy": 240.0}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**camera, "frames": frames}))
    return path


def test_truth_and_other_programs_poses_are_read(tmp_path: Path) -> None:
    session, elsewhere = write_session(tmp_path / "a", poses()), moved(poses(), ELSEWHERE)
    truth = write_truth(tmp_path / "scene" / "truth.json", elsewhere)
    named_otherwise = write_truth(tmp_path / "room.json", elsewhere)
    transforms = write_transforms(tmp_path / "poses" / "transforms.json", elsewhere)
    kinds = {}
    for other in (truth, truth.parent, named_otherwise, transforms, transforms.parent):
        found = compare(session, other)
        assert_equal(found)
        kinds[other] = found.b.kind
    assert list(kinds.values()) == ["truth"] * 3 + ["poses"] * 2


def test_two_common_frames_are_enough_for_figures_and_one_for_a_turn(tmp_path: Path) -> None:
    for count in (1, 2):
        some = dict(list(poses().items())[:count])
        a, b = write_model(tmp_path / f"a{count}", some), write_model(tmp_path / f"b{count}", moved(some, ELSEWHERE))
        found = compare(a, b)
        assert found.rotation_deg == pytest.approx(0.0, abs=1e-6)
        assert found.position == pytest.approx(0.0, abs=1e-6)
        assert as_table(found)


def test_pictures_that_lie_on_their_side_in_one_of_both_are_told(tmp_path: Path) -> None:
    a = write_model(tmp_path / "a", poses())
    b = write_model(tmp_path / "b", poses(), Camera("PINHOLE", 480, 640, (500.0, 500.0, 240.0, 320.0)))
    found = compare(a, b)
    assert found.turned == found.names
    assert "EXIF" in as_table(found)
    assert found.focal_percent == pytest.approx(0.0)


def test_what_cannot_be_compared_is_one_line(tmp_path: Path) -> None:
    a = write_model(tmp_path / "a", poses())
    other = write_model(tmp_path / "b", {f"other_{name}": pose for name, pose in poses().items()})
    with pytest.raises(UsageError, match=r"no picture has a pose in both .*00\.jpg.*other_00\.jpg"):
        compare(a, other)
    with pytest.raises(CaptureError, match="no such file or folder"):
        compare(a, tmp_path / "nowhere")
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "report.json").write_text('{"schema": "da3-pipeline/report"}')
    with pytest.raises(CaptureError, match="no data set"):
        compare(empty, a)


def svg_dots(path: Path, colour: str) -> Float:
    root = ElementTree.parse(path).getroot()
    dots = [one.attrib for one in root.iter("{http://www.w3.org/2000/svg}circle") if one.attrib["fill"] == colour]
    return np.array([[float(one["cx"]), float(one["cy"])] for one in dots])


def test_the_drawing_shows_both_and_how_far_a_frame_is_off(tmp_path: Path, cli: Run) -> None:
    shifted = poses()
    shifted["03.jpg"] = shifted["03.jpg"] + np.array([[0, 0, 0, 0.0], [0, 0, 0, 0.0], [0, 0, 0, -0.5]])
    a, b = write_session(tmp_path / "<a&\x1b>", shifted), write_model(tmp_path / "b", poses())
    assert cli("compare", a, b, "--plot", tmp_path / "both.svg")[0] == 0
    ours, theirs = (svg_dots(tmp_path / "both.svg", colour) for colour in ("#0b6fb8", "#d9730d"))
    assert ours.shape == theirs.shape == (24, 2)
    apart = np.linalg.norm(ours - theirs, axis=1)
    assert set(np.flatnonzero(apart > 0.11)) == {3, 15}  # from above, and from the side
    assert min(apart[3], apart[15]) > 5
    assert cli("compare", a, b, "--plot", tmp_path / "both.PNG")[0] == 0
    with Image.open(tmp_path / "both.PNG") as drawn:
        colours = {colour for _, colour in drawn.convert("RGB").getcolors(1 << 24) or ()}
    assert {(11, 111, 184), (217, 115, 13), (192, 57, 43)} <= colours


def test_the_command_tells_people_and_programs(tmp_path: Path, cli: Run) -> None:
    a, b = write_session(tmp_path / "a", poses()), write_model(tmp_path / "b", moved(poses(), ELSEWHERE))
    code, said, _ = cli("compare", a, b)
    assert code == 0 and "12 frames posed, 7 points, 6.5 s, passed its gates" in said
    document = json.loads(cli("compare", a, b, "--json")[1])
    assert (document["common"], document["b"]["kind"], len(document["frames"])) == (12, "COLMAP model", 12)
    assert document["auc"] == {"1": 100.0, "3": 100.0, "5": 100.0}


def test_errors_of_the_command_come_before_work(tmp_path: Path, cli: Run) -> None:
    code, said, complained = cli("compare", tmp_path / "nowhere", tmp_path, "--plot", tmp_path / "x.pdf", "--json")
    assert code == 2 and ".svg" in json.loads(said)["error"] and "x.pdf" in complained
    a = write_model(tmp_path / "a", poses())
    code, _, complained = cli("compare", a, a, "--plot", tmp_path / "not there" / "x.png")
    assert code == 2 and "choose another --plot" in complained
