from __future__ import annotations

from pathlib import Path

import pytest
from da3_workflows.given_files import settings_of_capture

from da3_pipeline.config import PipelineConfig


@pytest.mark.parametrize(
    ("entry", "is_file", "capture", "own"),
    [
        ("room 2", False, "room 2", True),
        ("room 2.json", True, "room 2", True),
        ("garden.json", True, "garden.mp4", True),
        ("room 3.json", True, "room 2", False),
    ],
)
@pytest.mark.parametrize("option", ["intrinsics", "masks", "poses", "rig"])
def test_a_folder_with_an_entry_of_the_captures_name_stands_for_it(
    tmp_path: Path, entry: str, is_file: bool, capture: str, own: bool, option: str
) -> None:
    given = tmp_path / "given"
    given.mkdir()
    (given / entry).touch() if is_file else (given / entry).mkdir()
    settings = PipelineConfig.model_validate({"ingest": {option: given}}).model_dump(mode="json")
    found = settings_of_capture(settings, capture)
    assert found["ingest"].pop(option) == str(given / entry if own else given)
    assert settings["ingest"].pop(option) == str(given), "the common settings stay as they were"
    assert found == settings


def test_a_file_is_every_captures_and_two_of_one_name_are_nobodys(tmp_path: Path) -> None:
    for name in ("room.npz", "room.json"):
        (tmp_path / name).touch()
    config = {"ingest": {"masks": tmp_path / "room.json"}, "infer": {"predictions": tmp_path}}
    settings = PipelineConfig.model_validate(config).model_dump(mode="json")
    assert settings_of_capture(settings, "room") == settings


def test_where_nothing_is_given_all_captures_share_their_settings() -> None:
    settings = PipelineConfig().model_dump(mode="json")
    assert settings_of_capture(settings, "room") is settings
