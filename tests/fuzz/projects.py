"""One small project of each program as text: what fuzzing begins with."""

from __future__ import annotations

import json

__all__ = ["PROJECTS"]

_EYE = [[1.0, 0.0, 0.0, 0.5], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 2.0], [0.0, 0.0, 0.0, 1.0]]
_ROW = " ".join(str(value) for row in _EYE for value in row)
_LENS = {"fl_x": 50.0, "fl_y": 50.0, "cx": 32.0, "cy": 24.0, "w": 64, "h": 48, "k1": 0.01}
_ROWS = "\n".join(" ".join(map(str, row)) for row in _EYE).encode()
_PICTURE = b"\x89PNG"


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


_METASHAPE = f"""<document version="1.2"><chunk label="c"><sensors><sensor id="0" label="s" type="frame">
<resolution width="64" height="48"/><calibration type="frame" class="adjusted"><resolution width="64" height="48"/>
<f>50</f><cx>1</cx><cy>-1</cy><k1>0.01</k1></calibration></sensor></sensors><cameras><camera id="0" sensor_id="0"
label="a.png"><transform>{_ROW}</transform></camera></cameras><transform><rotation>1 0 0 0 1 0 0 0 1</rotation>
<translation>1 2 3</translation><scale>2.5</scale></transform></chunk></document>"""

_XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xcr:Version="3" xcr:DistortionModel="brown3" xcr:FocalLength35mm="30.5"
xcr:PrincipalPointU="0.01" xcr:PrincipalPointV="0.0" xcr:Skew="0" xcr:AspectRatio="1"
xmlns:xcr="http://www.capturingreality.com/ns/xcr/1.1#"><xcr:Rotation>1 0 0 0 1 0 0 0 1</xcr:Rotation>
<xcr:Position>1 2 3</xcr:Position><xcr:DistortionCoeficients>0.1 0 0 0 0 0</xcr:DistortionCoeficients>
</rdf:Description></rdf:RDF></x:xmpmeta>"""

_SHOT = {"rotation": [0.1, 0.2, 0.3], "translation": [1.0, 2.0, 3.0], "camera": "c"}
_CAMERA = {"projection_type": "brown", "width": 64, "height": 48, "focal_x": 0.8, "focal_y": 0.8, "k1": 0.01, "p1": 0.0}
_POLYCAM = {f"t_{row}{column}": _EYE[row][column] for row in range(3) for column in range(4)}
_POLYCAM |= {"fx": 50.0, "fy": 50.0, "cx": 32.0, "cy": 24.0, "width": 64, "height": 48}
_RECORD3D = {"poses": [[0, 0, 0, 1, 1, 2, 3]], "K": [50, 0, 0, 0, 50, 0, 32, 24, 1], "w": 64, "h": 48, "dw": 8, "dh": 6}
_RECORD3D |= {"perFrameIntrinsicCoeffs": [[50, 50, 32, 24]]}
_ARKIT = [value for row in _EYE for value in row]
_ARCORE = {"frame_num": 0, "t_ns": 5, "pose": {"pos": [1, 2, 3], "quat": [0, 0, 0, 1]}, "w": 64, "h": 48}
_ARCORE |= {"intrinsics": {"fx": 50.0, "fy": 50.0, "cx": 32.0, "cy": 24.0}}
_OPF = {
    "items": [
        {"resources": [{"format": "application/opf-calibrated-cameras+json", "uri": "calibrated.json"}]},
        {"resources": [{"format": "application/opf-camera-list+json", "uri": "list.json"}]},
        {"resources": [{"format": "application/opf-input-cameras+json", "uri": "input.json"}]},
    ]
}
_OPF_SENSOR = {
    "id": 1,
    "internals": {
        "type": "perspective", "focal_length_px": 50.0, "principal_point_px": [32.0, 24.0],
        "radial_distortion": [0.0, 0.0, 0.0], "tangential_distortion": [0.0, 0.0],
    },
}  # fmt: skip
_OPF_CAMERA = {"id": 7, "sensor_id": 1, "orientation_deg": [10.0, 20.0, 30.0], "position": [1.0, 2.0, 3.0]}

PROJECTS: dict[str, dict[str, bytes]] = {
    "transforms.json": {
        "transforms.json": _json(
            {**_LENS, "applied_transform": _EYE[:3], "applied_scale": 2.0, "camera_model": "OPENCV", "frames": [
                {"file_path": "images/a.png", "transform_matrix": _EYE},
                {"file_path": "images/b.png", "transform_matrix_start": _EYE, "transform_matrix_end": _EYE},
            ]}
        ),
    },
    "Blender": {"transforms_train.json": _json({"camera_angle_x": 0.7, "frames": [
        {"file_path": "./r_0", "transform_matrix": _EYE}]})},
    "Polycam": {"keyframes/cameras/1.json": _json(_POLYCAM), "keyframes/images/1.jpg": _PICTURE},
    "Record3D": {"metadata": _json(_RECORD3D), "rgbd/0.jpg": _PICTURE},
    "3d Scanner App": {"frame_00000.json": _json({"cameraPoseARFrame": _ARKIT, "intrinsics": [50, 0, 32, 0, 50, 24,
                                                                                                0, 0, 1]}),
                       "frame_00000.jpg": _PICTURE},
    "Stray Scanner": {"odometry.csv": b"timestamp, frame, x, y, z, qx, qy, qz, qw\n0.1, 000000, 1, 2, 3, 0, 0, 0, 1\n",
                      "camera_matrix.csv": b"50,0,32\n0,50,24\n0,0,1\n", "rgb.mp4": b""},
    "iOS Logger": {"Frames.txt": b"1.0,0,50,50,32,24\n1.1,1,50,50,32,24\n", "Frames.m4v": b"",
                   "ARposes.txt": b"1.0,1,2,3,1,0,0,0\n1.1,1,2,3,1,0,0,0\n"},
    "AR Recorder": {"session_1.jsonl": _json(_ARCORE), "frame_5_0.jpg": _PICTURE},
    "RTAB-Map": {"a_camera_poses.txt": b"1.0 1 2 3 0 0 0 1 1\n", "a_rgb/1.jpg": _PICTURE,
                 "a_calib/1.yaml": b"image_width: 64\nimage_height: 48\ncamera_matrix:\n   data: [ 50, 0, 32, 0,"
                                   b" 50, 24, 0, 0, 1 ]\ndistortion_coefficients:\n   data: [ 0.1, 0, 0, 0, 0 ]\n"},
    "COLMAP text": {"cameras.txt": b"1 OPENCV 64 48 50 50 32 24 0.01 0 0 0\n",
                    "images.txt": b"1 1 0 0 0 1 2 3 1 a.png\n10 12 1 20 22 -1\n",
                    "points3D.txt": b"1 1 2 3 9 9 9 0.5 1 0\n"},
    "Metashape": {"cameras.xml": _METASHAPE.encode()},
    "OPF": {"project.opf": _json(_OPF), "calibrated.json": _json({"sensors": [_OPF_SENSOR], "cameras": [_OPF_CAMERA]}),
            "list.json": _json({"cameras": [{"id": 7, "uri": "a.jpg"}]}),
            "input.json": _json({"sensors": [{"id": 1, "image_size_px": [64, 48]}]})},
    "OpenSfM": {"reconstruction.json": _json([{"cameras": {"c": _CAMERA}, "shots": {"a.jpg": _SHOT}}])},
    "RealityCapture CSV": {"cameras.csv": b"#name,x,y,alt,heading,pitch,roll,f,px,py,k1,k2,k3,k4,t1,t2\n"
                                          b"a.jpg,1,2,3,10,20,30,28,0,0,0,0,0,0,0,0\n"},
    "RealityCapture XMP": {"a.xmp": _XMP.encode()},
    "TUM RGB-D": {"rgb.txt": b"# t f\n1.0 rgb/1.png\n", "depth.txt": b"1.0 depth/1.png\n",
                  "groundtruth.txt": b"1.0 1 2 3 0 0 0 1\n", "rgb/1.png": _PICTURE},
    "7-Scenes": {"frame-000000.pose.txt": _ROWS, "frame-000000.color.png": _PICTURE},
    "SUN3D": {"frame-000000.pose.txt": _ROWS, "camera-intrinsics.txt": b"50 0 32\n0 50 24\n0 0 1\n",
              "frame-000000.color.jpg": _PICTURE},
    "ScanNet": {"color/0.jpg": _PICTURE, "pose/0.txt": _ROWS,
                "intrinsic/intrinsic_color.txt": _ROWS},
}  # fmt: skip
"""Files by path, by what reads them."""
