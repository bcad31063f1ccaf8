"""Files of a finished session that were emptied, cut, flipped, deleted or exchanged: a rerun makes them again."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import da3_pipeline
from da3_pipeline import PipelineConfig
from da3_pipeline.errors import ExportError
from da3_pipeline.pipeline import Outcome, is_intact

Harm = Callable[[Path], None]
Run = Callable[..., tuple[int, str, str]]

_QUICK = PipelineConfig.model_validate({"refine": {"refine": False}})


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(bytes(content))


def silently_flipped(path: Path) -> None:
    """As a disk does that loses a bit: neither size nor time tell of it."""
    status = path.stat()
    flipped(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def deleted(path: Path) -> None:
    path.unlink()


def turned_to_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


HARMS = (emptied, cut, flipped, deleted)


def exchanged(one: Path, other: Path) -> None:
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


@pytest.fixture(scope="module")
def pictures(rendered_capture: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for index in range(3):
        shutil.copy2(rendered_capture / "images" / f"{index:03d}.png", folder)
    return folder


@pytest.fixture(scope="module")
def finished(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("damage") / "session"
    da3_pipeline.run(pictures, output, _QUICK)
    return output


@pytest.fixture
def session(finished: Path, tmp_path: Path) -> Path:
    """A copy to harm, times and all."""
    shutil.copytree(finished, tmp_path / "session")
    return tmp_path / "session"


def again(pictures: Path, session: Path, *, verify: bool = False) -> Outcome:
    return da3_pipeline.run(pictures, session, _QUICK, verify=verify)


def contents(session: Path) -> dict[str, bytes]:
    """Of all outputs; of the report, which says when it was written and what the run cost, what it says beside, as the
    metrics do."""
    found = {path.relative_to(session).as_posix(): path.read_bytes() for path in outputs(session)}
    report = json.loads(found.pop("report.json"))
    assert found.pop("report.html").startswith(b"<!")
    assert json.loads(found.pop("metrics.json"))["created"] == report["created"]
    del report["created"], report["stages"]
    return found | {"report": json.dumps(report).encode()}


def outputs(session: Path) -> Iterator[Path]:
    return (path for path in sorted(session.rglob("*")) if path.is_file() and ".da3" not in path.parts)


def kept(session: Path) -> list[Path]:
    """What stages keep, less what says that they are finished."""
    files = (path for path in sorted((session / ".da3").rglob("*")) if path.is_file() and path.name != "lock")
    return [path for path in files if path.suffix in (".npz", ".npy", ".json")]


def test_a_session_that_nothing_happened_to_is_left_as_it_is(pictures: Path, session: Path) -> None:
    times = {path: path.stat().st_mtime_ns for path in session.rglob("*") if path.is_file() and path.name != "lock"}
    for verify in (False, True):
        assert is_intact(session, verify=verify)
        assert all(stage.reused for stage in again(pictures, session, verify=verify).stages)
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_every_output_comes_back(pictures: Path, session: Path, finished: Path) -> None:
    """All at once, each in another way; no stage but the last is done again for it."""
    for number, path in enumerate(list(outputs(session))):
        HARMS[number % len(HARMS)](path)
    assert not is_intact(session)
    outcome = again(pictures, session)
    assert [stage.name for stage in outcome.stages if not stage.reused] == ["export"]
    assert contents(session) == contents(finished)
    assert is_intact(session, verify=True)


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("name", ["report.json", "report.html", "metrics.json"])
def test_the_report_is_written_again_and_nothing_else(
    pictures: Path, session: Path, finished: Path, name: str, harm: Harm
) -> None:
    harm(session / name)
    assert all(stage.reused for stage in again(pictures, session).stages)
    assert contents(session) == contents(finished)


def test_a_kill_between_the_data_set_and_its_report_leaves_no_old_report(
    pictures: Path, session: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = PipelineConfig.model_validate({"refine": {"refine": False}, "export": {"downscale": [2]}})

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("da3_pipeline.export.write_report", killed, raising=False)
        da3_pipeline.run(pictures, session, other)
    assert json.loads((session / "report.json").read_text())["config"]["export"]["downscale"] == []
    assert not is_intact(session) or (session / "images_2").is_dir()
    da3_pipeline.run(pictures, session, other)
    assert json.loads((session / "report.json").read_text())["config"]["export"]["downscale"] == [2]


def test_pictures_that_changed_places_are_put_right(pictures: Path, session: Path, finished: Path) -> None:
    exchanged(session / "images" / "000.png", session / "images" / "001.png")
    again(pictures, session)
    assert contents(session) == contents(finished)


def test_a_file_that_became_a_folder_is_replaced(pictures: Path, session: Path, finished: Path) -> None:
    turned_to_folder(session / "transforms.json")
    again(pictures, session)
    assert contents(session) == contents(finished)


def test_what_stages_keep_is_made_again(pictures: Path, session: Path, finished: Path) -> None:
    """The last stage needs those before it only where something is wrong with it, too."""
    for number, path in enumerate(kept(session)):
        if path.name != "outputs-copy.json":
            HARMS[number % len(HARMS)](path)
    deleted(session / "transforms.json")
    again(pictures, session)
    assert contents(session) == contents(finished)


def test_without_any_list_of_outputs_nothing_is_replaced(pictures: Path, session: Path, finished: Path) -> None:
    for name in ("outputs.json", "outputs-copy.json"):
        emptied(session / ".da3" / name)
    flipped(session / "transforms.json")
    before = {path: path.read_bytes() for path in outputs(session)}
    with pytest.raises(ExportError, match="was not written by da3-pipeline; move it away"):
        again(pictures, session)
    assert {path: path.read_bytes() for path in outputs(session)} == before


def test_a_bit_that_a_disk_lost_is_found_where_it_is_asked_for(
    pictures: Path, session: Path, finished: Path, cli: Run
) -> None:
    silently_flipped(session / "sparse" / "0" / "points3D.bin")
    assert all(stage.reused for stage in again(pictures, session).stages)
    assert contents(session) != contents(finished) and not is_intact(session, verify=True)
    code, _, _ = cli("run", pictures, "--output", session, "--no-refine", "--verify", "--quiet")
    assert code == 3
    assert contents(session) == contents(finished)


_MAP_WRITER = "da3_pipeline.infer.sequence.array_file.ArrayWriter.write"
FULL = (OSError(errno.ENOSPC, "No space left on device"), OSError("84672 requested and 8160 written"))


@pytest.mark.parametrize("error", FULL, ids=["the system's", "numpy's"])
@pytest.mark.parametrize("place", ["numpy.save", "numpy.savez", _MAP_WRITER])
def test_a_full_disk_is_one_line_without_debris_and_what_was_done_is_kept(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, error: OSError, finished: Path
) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(place, full)
        with pytest.raises(ExportError, match="free some space and run the same command again") as caught:
            again(pictures, tmp_path / "session")
    assert "\n" not in str(caught.value) and "None" not in str(caught.value)
    left = [path.name for path in (tmp_path / "session").rglob("*") if path.name.endswith(".new")]
    assert left == []
    again(pictures, tmp_path / "session")
    assert contents(tmp_path / "session") == contents(finished)


@pytest.mark.slow
def test_two_hundred_harms(pictures: Path, finished: Path, tmp_path: Path) -> None:
    """Every output and everything that is kept, in every way, one at a time."""
    expected, cases = contents(finished), 0
    names = [path.relative_to(finished) for path in [*outputs(finished), *kept(finished)]]
    for name in names:
        for harm in (*HARMS, silently_flipped, turned_to_folder):
            session = tmp_path / "session"
            shutil.copytree(finished, session)
            harm(session / name)
            again(pictures, session, verify=True)
            assert contents(session) == expected, (name, harm)
            shutil.rmtree(session)
            cases += 1
    assert cases >= 100
