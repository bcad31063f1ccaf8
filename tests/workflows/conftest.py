from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def captures(tmp_path: Path) -> Path:
    """Two folders of photographs, one nested, and a video; beside them what is no capture."""
    root = tmp_path / "captures"
    for name in ("room 10/a.jpg", "room 2/left/a.png", "room 2/left/b.png", "loose.jpg"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6), "teal").save(path)
    (root / "garden.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    (root / "notes").mkdir()
    (root / "notes" / "list.txt").write_text("tripod, charger")
    (root / "readme.txt").write_text("captures of May")
    (root / "old run" / ".da3").mkdir(parents=True)
    (root / ".hidden").mkdir()
    return root
