from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from da3_nerfstudio.session import open_session
from da3_nerfstudio.version import check_nerfstudio

from da3_pipeline.errors import CaptureError, PipelineError


@pytest.fixture
def copy(session: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(session, tmp_path / "my session"))


def test_a_finished_session_opens_and_says_that_it_is_below_its_gates(session: Path) -> None:
    opened = open_session(session)
    assert opened.frames == 18
    assert opened.warning == "this scene is below its quality gates: too few tracks"


def test_a_session_that_passed_has_no_warning(copy: Path) -> None:
    (copy / "report.json").write_text(json.dumps({"verdict": {"passed": True, "summary": "good"}}))
    assert open_session(copy).warning is None


@pytest.mark.parametrize("name", ["transforms.json", "sparse_pc.ply", "report.json"])
def test_an_unfinished_session_names_what_is_missing_and_how_to_resume(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(CaptureError, match=rf"not a finished session \(no {name}\); resume it .* --output '{copy}'"):
        open_session(copy)


def test_a_folder_of_photographs_gets_the_command_that_makes_a_session(session: Path) -> None:
    photographs = session / "images"
    with pytest.raises(CaptureError, match=rf"da3-pipeline run '{photographs}' --output '.*images-da3', then --data"):
        open_session(photographs)


def test_missing_images_are_counted(copy: Path) -> None:
    (copy / "images" / "03.png").unlink()
    (copy / "images" / "04.png").unlink()
    with pytest.raises(CaptureError, match=r"images/03.png and 1 more .* cannot be found"):
        open_session(copy)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"frames": [', "cannot be read as JSON"),
        ("[]", "holds no JSON object"),
        ('{"ply_file_path": "sparse_pc.ply", "frames": []}', "lists no frames"),
        ('{"frames": [{"file_path": "images/00.png"}]}', "names no seed points"),
    ],
)
def test_damaged_transforms_are_named(copy: Path, content: str, message: str) -> None:
    (copy / "transforms.json").write_text(content)
    with pytest.raises(CaptureError, match=f"transforms.json: {message}"):
        open_session(copy)


def test_a_file_or_nothing_at_all(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="no such folder"):
        open_session(tmp_path / "nowhere")
    video = tmp_path / "garden.mp4"
    video.touch()
    with pytest.raises(CaptureError, match=r"da3-pipeline run '.*garden.mp4' --output '.*garden-da3'"):
        open_session(video)


WITHOUT_NERFSTUDIO = """
import sys
sys.modules["nerfstudio"] = None
import da3_nerfstudio
assert "torch" not in sys.modules, "the import alone loads torch"
try:
    da3_nerfstudio.DA3_DATAPARSER
except Exception as error:
    print(f"{type(error).__name__}: {error}")
assert "torch" not in sys.modules
"""


def test_without_nerfstudio_the_package_imports_and_its_use_names_the_extra() -> None:
    command = [sys.executable, "-c", WITHOUT_NERFSTUDIO]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("pip install 'da3-pipeline[nerfstudio]'")
    assert done.stdout.startswith("MissingExtraError: ")


@pytest.mark.parametrize(
    ("version", "message"), [("1.0.3", "nerfstudio 1.0.3 is too old"), ("0.3.4", "too old"), (None, r"\[nerfstudio\]")]
)
def test_other_versions_of_nerfstudio_are_one_line(
    monkeypatch: pytest.MonkeyPatch, version: str | None, message: str
) -> None:
    def installed(name: str) -> str:
        if version is None:
            raise metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr("importlib.metadata.version", installed)
    with pytest.raises(PipelineError, match=message):
        check_nerfstudio("the data parser")


@pytest.mark.parametrize("version", ["1.1.5", "1.2.0.dev1", "2.0"])
def test_newer_versions_are_let_through(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: version)
    check_nerfstudio("the data parser")
