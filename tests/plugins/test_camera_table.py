"""The table of cameras as nerfstudio's own reader of RealityCapture's takes it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.nerfstudio


def test_nerfstudio_reads_the_poses_and_lenses_of_the_session(session: Path, tmp_path: Path) -> None:
    from nerfstudio.process_data.realitycapture_utils import realitycapture_to_json

    from da3_pipeline.interchange import convert

    convert(session, tmp_path, ["csv"])
    (tmp_path / "images").symlink_to(session / "images")
    names = {path.stem: Path("images") / path.name for path in sorted((session / "images").iterdir())}
    realitycapture_to_json(names, tmp_path / "cameras.csv", None, tmp_path)
    found = {frame["file_path"]: frame for frame in json.loads((tmp_path / "transforms.json").read_text())["frames"]}
    ours = json.loads((session / "transforms.json").read_text())["frames"]
    assert len(found) == len(ours) == 18
    for frame in ours:
        theirs = found[frame["file_path"]]
        np.testing.assert_allclose(theirs["transform_matrix"], frame["transform_matrix"], atol=1e-9)
        assert theirs["fl_x"] == pytest.approx((frame["fl_x"] + frame["fl_y"]) / 2)
        for key in ("cx", "cy", "w", "h", "k1", "k2", "p1", "p2"):
            assert theirs[key] == pytest.approx(frame[key]), key
