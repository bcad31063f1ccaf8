"""A stage whose code has changed gets another version, or somebody has said that its results are as before."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from da3_pipeline import pipeline
from da3_pipeline.config import PipelineConfig
from da3_pipeline.progress import SilentProgress
from da3_pipeline.select.config import SelectConfig
from da3_pipeline.storage.store import Session
from da3_pipeline.types import FrameSet
from da3_pipeline.versions import STAGE_VERSIONS

spec = importlib.util.spec_from_file_location("stage_digests", Path(__file__).with_name("stage_digests.py"))
assert spec is not None
assert spec.loader is not None
stage_digests = importlib.util.module_from_spec(spec)
spec.loader.exec_module(stage_digests)

MODULES = {
    "versions": 'STAGE_VERSIONS = {\n    "select": 1,\n    "infer": 3,\n}\n',
    "geometry": '"""Lines."""\n\nfrom .errors import Bad\n\nHALF = 0.5\n',
    "errors": "class Bad(Exception): ...\n",
    "model": "def weigh(x: float) -> float:\n    return 2 * x\n",
    "select/__init__": "",
    "select/stage": "from ..geometry import HALF\n\n\ndef run() -> float:\n    return HALF\n",
    "infer/__init__": "",
    "infer/stage": "def run() -> float:\n    from .. import model\n\n    return model.weigh(1)\n",
    "pipeline": "from .select import stage\n",
}
"""Two stages: one computes with geometry, the other with the model."""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name, text in MODULES.items():
        path = tmp_path / "da3_pipeline" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "tests" / "data").mkdir(parents=True)
    stage_digests.record(tmp_path, [])
    return tmp_path


def edit(checkout: Path, module: str, old: str, new: str) -> None:
    path = checkout / "da3_pipeline" / f"{module}.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_recorded_code_of_a_stage_is_that_of_its_version() -> None:
    stages = stage_digests.unrecorded(stage_digests.ROOT)
    assert stages == [], "the code of these stages, or of rooms that they import, has changed: " + "; ".join(
        stage_digests.REMEDY.format(stage) for stage in stages
    )


def test_every_stage_has_a_version_and_a_digest_of_its_own() -> None:
    assert set(STAGE_VERSIONS) == set(PipelineConfig.model_fields) - {"preset"}  # a name, and no stage
    assert stage_digests.versions(stage_digests.ROOT) == STAGE_VERSIONS
    digests = [entry["digest"] for entry in stage_digests.recorded(stage_digests.ROOT).values()]
    assert len(set(digests)) == len(STAGE_VERSIONS)


@pytest.mark.parametrize(
    ("module", "old", "new", "stages"),
    [
        ("select/stage", "return HALF", "return HALF + 1", ["select"]),
        ("geometry", "0.5", "0.25", ["select"]),
        ("model", "2 * x", "x * 2", ["infer"]),
        ("infer/stage", "weigh(1)", "weigh(1.0)", ["infer"]),
        ("geometry", "Lines.", "Lines and planes.", []),
        ("select/stage", "    return HALF", "    # as long as it is\n    return HALF", []),
        ("infer/stage", "model.weigh(1)", 'model.weigh(\n        1\n    )\n\n\n"""Said of a constant."""', []),
        ("errors", "...", "pass", []),
        ("pipeline", "select", "infer", []),
    ],
)
def test_what_decides_a_result_counts_and_nothing_else(
    checkout: Path, module: str, old: str, new: str, stages: list[str]
) -> None:
    assert stage_digests.unrecorded(checkout) == []
    edit(checkout, module, old, new)
    assert stage_digests.unrecorded(checkout) == stages


def test_data_files_and_new_modules_count(checkout: Path) -> None:
    weights = checkout / "da3_pipeline" / "infer" / "table.bin"
    weights.write_bytes(b"1")
    assert stage_digests.unrecorded(checkout) == ["infer"]
    stage_digests.record(checkout, [])
    weights.write_bytes(b"2")
    (checkout / "da3_pipeline" / "select" / "more.py").write_text("MORE = 1\n")
    assert stage_digests.unrecorded(checkout) == ["select", "infer"]


def test_one_command_records_and_raises_the_versions_that_it_is_told(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(checkout, "infer/stage", "weigh(1)", "weigh(2)")
    assert stage_digests.main([], checkout) == 1
    assert "make stages CHANGED=infer" in capsys.readouterr().out
    assert stage_digests.main(["--same"], checkout) == 0
    assert stage_digests.versions(checkout) == {"select": 1, "infer": 3}
    edit(checkout, "infer/stage", "weigh(2)", "weigh(3)")
    assert stage_digests.main(["--changed", "infer"], checkout) == 0
    assert stage_digests.versions(checkout) == {"select": 1, "infer": 4}
    edit(checkout, "versions", '"select": 1', '"select": 2')
    assert stage_digests.unrecorded(checkout) == ["select"]


def test_a_record_with_a_conflict_is_mended_by_the_same_command(checkout: Path) -> None:
    path = checkout / stage_digests.RECORD
    whole = path.read_text()
    path.write_text(f"<<<<<<< ours\n{whole}=======\n{whole}>>>>>>> theirs\n")
    assert stage_digests.unrecorded(checkout) == ["select", "infer"]
    assert stage_digests.main(["--same"], checkout) == 0
    assert json.loads(path.read_text()) == json.loads(whole)


def test_a_raised_version_does_its_stage_and_those_after_it_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def done() -> list[bool]:
        with Session.open(tmp_path / "out") as session:
            stages = pipeline._Stages(session, SilentProgress())
            for name in ("infer", "refine", "georegister"):
                stages.once(name, lambda: FrameSet((), ()), SelectConfig(), str)
            return [record.reused for record in stages.records]

    assert done() == [False, False, False]
    assert done() == [True, True, True]
    monkeypatch.setitem(STAGE_VERSIONS, "refine", STAGE_VERSIONS["refine"] + 1)
    assert done() == [True, False, False]
