"""Each program's layout in a tiny tree with a known camera: a point of the world is seen at a known pixel."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from project_truth import CAMERA, POSES, WORLD_POINT, opencv, opengl, project_point, seen_where_it_is
from scipy.spatial.transform import Rotation

from da3_pipeline.errors import CaptureError
from da3_pipeline.geometry import centres
from da3_pipeline.geometry.cameras import Camera
from da3_pipeline.ingest.projects import metashape, opensfm, opf, reality
from da3_pipeline.ingest.projects.phones import polycam, record3d
from da3_pipeline.ingest.projects.registry import find_project
from da3_pipeline.ingest.projects.views import Project

FX, FY, CX, CY = CAMERA.params
BENT = Camera("OPENCV", 640, 480, (*CAMERA.params, -0.05, 0.02, 0.003, -0.004))


def picture(path: Path, size: tuple[int, int] = (640, 480)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)
    return path


def found(folder: Path, program: str, names: Sequence[str]) -> Project:
    """The project that the registry finds, which is of this program and knows where these images are."""
    project = find_project(folder)
    assert project is not None and project.program == program
    assert [view.path for view in project.views] == [folder / name for name in names]
    return project


def polycam_tree(folder: Path, kind: str) -> list[str]:
    names = []
    for index, pose in enumerate(POSES):
        fields = {f"t_{r}{c}": opengl(pose)[r, c] for r in range(3) for c in range(4)}
        fields |= {"fx": FX, "fy": FY, "cx": CX, "cy": CY, "width": 640, "height": 480, "blur_score": 90.0}
        path = folder / "keyframes" / f"{kind}cameras" / f"{index + 9}000.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(fields))
        names.append(f"keyframes/{kind}images/{index + 9}000.jpg")
        picture(folder / names[-1])
        for layer in ("depth", "confidence"):
            picture(folder / "keyframes" / layer / f"{index + 9}000.png", (256, 192))
    return names


@pytest.mark.parametrize("kind", ["", "corrected_"])
def test_polycam(kind: str, tmp_path: Path) -> None:
    polycam_tree(tmp_path, "")
    project = found(tmp_path, "Polycam", polycam_tree(tmp_path, kind))
    seen_where_it_is(project.views)
    assert project.metric and project.up == (0.0, 1.0, 0.0)
    depth = project.views[0].depth
    assert depth is not None and (depth.unit, depth.metric, depth.least_confidence) == (0.001, True, 127)
    assert depth.confidence == tmp_path / "keyframes" / "confidence" / "9000.png"
    other = "images" if kind else "corrected_images"
    assert {tmp_path / "keyframes" / name for name in (other, "depth", "confidence")} <= set(project.beside)


def record3d_tree(folder: Path, **changes: Any) -> list[str]:
    poses = []
    for pose in POSES:
        placed = opengl(pose)
        poses.append([*Rotation.from_matrix(placed[:3, :3]).as_quat(), *placed[:3, 3]])
    fields = {"w": 640, "h": 480, "dw": 192, "dh": 256, "fps": 60, "poses": poses, "K": [FX, 0, 0, 0, FY, 0, CX, CY, 1]}
    picture(folder / "rgbd" / "0.jpg")
    (folder / "metadata").write_text(json.dumps(fields | changes))
    for index in range(len(POSES)):
        picture(folder / "rgbd" / f"{index}.jpg")
        (folder / "rgbd" / f"{index}.depth").touch()
        (folder / "rgbd" / f"{index}.conf").touch()
    return [f"rgbd/{index}.jpg" for index in range(len(POSES))]


def test_record3d(tmp_path: Path) -> None:
    project = found(tmp_path, "Record3D", record3d_tree(tmp_path))
    seen_where_it_is(project.views)
    depth = project.views[1].depth
    assert depth is not None and (depth.shape, depth.unit, depth.least_confidence) == ((256, 192), 1.0, 1)
    assert project.metric and project.up == (0.0, 1.0, 0.0)


def test_record3ds_own_intrinsics_of_a_frame_go_before_the_shared_ones(tmp_path: Path) -> None:
    own = [[FX + index, FY, CX, CY] for index in range(len(POSES))]
    record3d_tree(tmp_path, perFrameIntrinsicCoeffs=own)
    intrinsics = record3d.read(tmp_path).views[2].intrinsics
    assert intrinsics is not None and intrinsics.params == (FX + 2, FY, CX, CY)


def metashape_document(camera: Camera, chunk: str = "", chunk_from_world: np.ndarray | None = None) -> str:
    fx, fy, cx, cy, k1, k2, p1, p2 = (*camera.params, 0.0, 0.0, 0.0, 0.0)[:8]
    terms = {"f": fy, "cx": cx - 320, "cy": cy - 240, "b1": fx - fy, "k1": k1, "k2": k2, "p1": p2, "p2": p1}
    calibration = "".join(f"<{key}>{value}</{key}>" for key, value in terms.items())
    rows = []
    for index, pose in enumerate(POSES):
        placed = opencv(pose) if chunk_from_world is None else chunk_from_world @ opencv(pose)
        if chunk_from_world is not None:
            placed[:3, :3] /= np.cbrt(np.linalg.det(chunk_from_world[:3, :3]))
        numbers = " ".join(map(repr, placed.ravel().tolist()))
        rows.append(f'<camera id="{index}" sensor_id="0" label="{index}"><transform>{numbers}</transform></camera>')
    return (
        '<?xml version="1.0" encoding="UTF-8"?><document version="2.0.0"><chunk label="Chunk 1"><sensors>'
        '<sensor id="0" label="x" type="frame"><resolution width="640" height="480"/>'
        f'<calibration type="frame" class="adjusted"><resolution width="640" height="480"/>{calibration}</calibration>'
        f'</sensor></sensors><cameras>{"".join(rows)}<camera id="9" sensor_id="0" label="lost"/></cameras>{chunk}'
        "</chunk></document>"
    )


def test_metashape(tmp_path: Path) -> None:
    (tmp_path / "cameras.xml").write_text(metashape_document(BENT))
    project = find_project(tmp_path)
    assert project is not None and project.program == "Metashape" and not project.metric
    assert [view.name for view in project.views] == ["0", "1", "2", "lost"]
    assert project.views[-1].cam_from_world is None
    seen_where_it_is(project.views[:3], BENT)


def test_metashapes_chunk_leads_on_to_the_world(tmp_path: Path) -> None:
    turn, scale, shift = Rotation.from_euler("xyz", (20, -30, 40), degrees=True).as_matrix(), 2.5, (4.0, -3.0, 1.0)
    world_from_chunk = np.eye(4)
    world_from_chunk[:3, :3], world_from_chunk[:3, 3] = scale * turn, shift
    chunk = (
        f"<transform><rotation>{' '.join(map(repr, turn.ravel().tolist()))}</rotation>"
        f"<translation>{' '.join(map(repr, shift))}</translation><scale>{scale}</scale></transform>"
    )
    document = metashape_document(CAMERA, chunk, np.linalg.inv(world_from_chunk))
    (tmp_path / "doc.xml").write_text(document)
    project = metashape.read(tmp_path)
    assert project.metric
    seen_where_it_is(project.views[:3])


def test_a_lens_of_metashapes_that_we_lack_is_solved_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cameras.xml").write_text(metashape_document(CAMERA).replace("<k1>", "<k4>0.1</k4><k1>"))
    view = metashape.read(tmp_path).views[0]
    assert view.intrinsics is None and view.cam_from_world is not None
    assert "with k4" in caplog.text


def xmp(
    pose: np.ndarray, distortion: str = "0 0 0 0 0 0", model: str = "brown3", aspect: float = 1.0, skew: float = 0.0
) -> str:
    turn, centre = pose[:, :3], centres(pose)
    return f"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
      <rdf:Description xcr:Version="3" xcr:PosePrior="initial" xcr:Coordinates="absolute" xcr:DistortionModel="{model}"
       xcr:FocalLength35mm="{FX / 640 * 36!r}" xcr:Skew="{skew}" xcr:AspectRatio="{aspect!r}"
       xcr:PrincipalPointU="{(CX - 320) / 640!r}" xcr:PrincipalPointV="{(CY - 240) / 640!r}" xmlns:xcr="http://www.capturingreality.com/ns/xcr/1.1#">
      <xcr:Rotation>{" ".join(map(repr, turn.ravel().tolist()))}</xcr:Rotation>
      <xcr:Position>{" ".join(map(repr, centre.tolist()))}</xcr:Position>
      <xcr:DistortionCoeficients>{distortion}</xcr:DistortionCoeficients></rdf:Description></rdf:RDF></x:xmpmeta>"""


def test_realitycapture_xmp(tmp_path: Path) -> None:
    square = Camera("PINHOLE", 640, 480, (FX, FX, CX, CY))
    for index, pose in enumerate(POSES):
        picture(tmp_path / f"{index}.jpg")
        (tmp_path / f"{index}.xmp").write_text(xmp(pose))
    project = found(tmp_path, "RealityCapture", ["0.jpg", "1.jpg", "2.jpg"])
    seen_where_it_is(project.views, square)
    assert all(view.calibrated for view in project.views)


@pytest.mark.parametrize(
    ("model", "told", "camera"),
    [
        ("brown3", "-0.05 0.02 -0.01 0 0 0", ("FULL_OPENCV", (-0.05, 0.02, 0.0, 0.0, -0.01, 0.0, 0.0, 0.0))),
        ("brown3t2", "-0.05 0.02 0 0 0.003 -0.004", ("OPENCV", (-0.05, 0.02, -0.004, 0.003))),
        ("brown4t2", "-0.05 0.02 -0.01 0 0.003 -0.004", ("FULL_OPENCV", (-0.05, 0.02, -0.004, 0.003, -0.01, 0, 0, 0))),
    ],
)
def test_realitycaptures_browns_lenses(model: str, told: str, camera: tuple[str, Any], tmp_path: Path) -> None:
    """t1 and t2 are OpenCV's p2 and p1; pixels need not be square."""
    bent = Camera(camera[0], 640, 480, (FX, FY, CX, CY, *camera[1]))
    for index, pose in enumerate(POSES):
        picture(tmp_path / f"{index}.jpg")
        (tmp_path / f"{index}.xmp").write_text(xmp(pose, told, model, FY / FX))
    project = found(tmp_path, "RealityCapture", ["0.jpg", "1.jpg", "2.jpg"])
    seen_where_it_is(project.views, bent)
    assert all(view.calibrated for view in project.views)


@pytest.mark.parametrize(
    ("model", "told", "skew", "said"),
    [
        ("division", "-0.1 0 0 0 0 0", 0.0, "the distortion model division has no camera here"),
        ("brown4", "-0.1 0 0 0.01 0 0", 0.0, "brown4 with k4 has no camera here"),
        ("brown3", "0 0 0 0 0 0", 0.01, "skew has no camera here"),
    ],
)
def test_lenses_of_realitycaptures_that_are_solved_anew(
    model: str, told: str, skew: float, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for index, pose in enumerate(POSES):
        picture(tmp_path / f"{index}.jpg")
        (tmp_path / f"{index}.xmp").write_text(xmp(pose, told, model, skew=skew))
    views = found(tmp_path, "RealityCapture", ["0.jpg", "1.jpg", "2.jpg"]).views
    assert not any(view.calibrated for view in views)
    assert all(view.intrinsics is not None and view.intrinsics.params == (FX, FX, CX, CY) for view in views)
    assert len(caplog.records) == 1 and f"{said}: the lens is solved anew" in caplog.text


def test_realitycapture_csv(tmp_path: Path) -> None:
    """World: x east, y north, z up. A level camera that looks north-east has heading 45 and pitch 90."""
    turn = Rotation.from_euler("ZXY", (-45, 90, 0), degrees=True).as_matrix()
    right, up, back = turn.T
    assert back == pytest.approx([-(0.5**0.5), -(0.5**0.5), 0]) and up == pytest.approx([0, 0, 1])
    assert right == pytest.approx([0.5**0.5, -(0.5**0.5), 0])
    picture(tmp_path / "images" / "a.jpg")
    head = "#name,x,y,alt,heading,pitch,roll,f,px,py,k1,k2,k3,k4,t1,t2"
    (tmp_path / "cameras.csv").write_text(f"{head}\na.jpg,10,20,1.5,45,90,0,{FX / 640 * 36},0,0,0,0,0,0,0,0\n")
    (view,) = found(tmp_path, "RealityCapture", ["images/a.jpg"]).views
    assert view.intrinsics is not None and view.cam_from_world is not None and not view.calibrated
    camera = view.intrinsics.at(640, 480)
    # 4 m ahead, 1 m to the right and half a metre down.
    ahead = np.array([10, 20, 1.5]) + 4 * np.array([0.5**0.5, 0.5**0.5, 0]) + right - 0.5 * up
    assert project_point(camera, view.cam_from_world, ahead) == pytest.approx((320 + FX / 4, 240 + FX / 8))


def test_opensfm(tmp_path: Path) -> None:
    k1, k2, p1, p2 = BENT.params[4:]
    camera = {"projection_type": "brown", "width": 640, "height": 480, "focal_x": FX / 640, "focal_y": FY / 640}
    camera |= {"c_x": (CX - 320) / 640, "c_y": (CY - 240) / 640, "k1": k1, "k2": k2, "k3": 0.0, "p1": p1, "p2": p2}
    shots = {
        f"{index}.jpg": {
            "rotation": Rotation.from_matrix(pose[:, :3]).as_rotvec().tolist(),
            "translation": pose[:, 3].tolist(),
            "camera": "v2",
        }
        for index, pose in enumerate(POSES)
    }
    small = {"cameras": {"v2": camera}, "shots": {"0.jpg": shots["1.jpg"]}, "points": {}}
    whole = {"cameras": {"v2": camera}, "shots": shots, "points": {}}
    for place in ("reconstruction.json", "opensfm/reconstruction.json"):
        folder = tmp_path / place.replace("/", " ")
        (folder / place).parent.mkdir(parents=True)
        (folder / place).write_text(json.dumps([small, whole]))
        for name in shots:
            picture(folder / "images" / name)
        seen_where_it_is(found(folder, "OpenSfM", [f"images/{name}" for name in shots]).views, BENT)
    camera["projection_type"] = "spherical"
    (folder / place).write_text(json.dumps([whole]))
    with pytest.raises(CaptureError, match="equirectangular"):
        opensfm.read(folder)


def test_opf(tmp_path: Path) -> None:
    k1, k2, p1, p2 = BENT.params[4:]
    square = Camera("OPENCV", 640, 480, (FX, FX, *BENT.params[2:]))
    internals = {"type": "perspective", "principal_point_px": [CX, CY], "focal_length_px": FX}
    internals |= {"radial_distortion": [k1, k2, 0.0], "tangential_distortion": [p1, p2]}
    cameras = [
        {
            "id": 40 + index,
            "sensor_id": 7,
            "orientation_deg": Rotation.from_matrix(opengl(pose)[:3, :3]).as_euler("XYZ", degrees=True).tolist(),
            "position": opengl(pose)[:3, 3].tolist(),
        }
        for index, pose in enumerate(POSES)
    ]
    parts: dict[str, Any] = {
        "calibrated-cameras": {"cameras": cameras, "sensors": [{"id": 7, "internals": internals}]},
        "camera-list": {"cameras": [{"id": 40 + index, "uri": f"images/a%20{index}.jpg"} for index in range(3)]},
        "input-cameras": {"sensors": [{"id": 7, "image_size_px": [640, 480]}], "captures": []},
    }
    items = []
    for name, part in parts.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(part))
        items.append({"resources": [{"uri": f"{name}.json", "format": f"application/opf-{name}+json"}]})
    (tmp_path / "project.opf").write_text(json.dumps({"items": items}))
    names = [str(picture(tmp_path / "images" / f"a {index}.jpg").relative_to(tmp_path)) for index in range(3)]
    seen_where_it_is(found(tmp_path, "OPF", names).views, square)
    (tmp_path / "camera-list.json").unlink()
    with pytest.raises(CaptureError, match=r"camera-list\.json is not there"):
        opf.read(tmp_path)


@pytest.mark.parametrize(
    ("path", "content", "read"),
    [
        ("keyframes/cameras/1.json", "{}", polycam.read),
        ("metadata", "{}", record3d.read),
        ("cameras.xml", "<document><chunk>", metashape.read),
        ("opensfm/reconstruction.json", "[]", opensfm.read),
        ("a.opf", "{", opf.read),
        ("a.csv", "#name,x,y,alt,heading,pitch,roll,f\na.jpg,1,2,3,x,5,6,7\n", reality.read_csv),
        ("a.xmp", '<a xmlns="capturingreality.com xcr:Rotation">', reality.read_xmp),
    ],
)
def test_a_damaged_project_is_one_line(path: str, content: str, read: Any, tmp_path: Path) -> None:
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(content)
    with pytest.raises(CaptureError, match=r"again|correct") as refusal:
        read(tmp_path)
    assert "\n" not in str(refusal.value) and str(tmp_path) in str(refusal.value)


def test_the_point_is_in_front_of_every_camera() -> None:
    assert all((pose[2, :3] @ WORLD_POINT + pose[2, 3]) > 1 for pose in POSES)
