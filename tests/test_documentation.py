"""The commands of README and USAGE do what they say; the documents name what there is, and link to it."""

from __future__ import annotations

import ast
import json
import re
import shlex
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pycolmap
import pytest
import typer
from PIL import Image
from scipy.spatial.transform import Rotation

from da3_pipeline.cli import app
from da3_pipeline.geometry import Camera, centres, compose

ROOT = Path(__file__).parents[1]
README, USAGE = ROOT / "README.md", ROOT / "docs" / "USAGE.md"
DOCUMENTS = (README, *sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("C[HO]*.md")))
Run = Callable[..., tuple[int, str, str]]

NOT_RUN = {
    r"pip install|python -m venv|\S*/bin/pip": "installs packages",
    r"make ": "sets up environments; the tests are what it runs",
    r"ns-": "needs nerfstudio; tests/plugins runs it in its own environment",
    r"da3-pipeline convert": "needs a finished session; tests/interchange has one",
    r"da3-pipeline compare": "needs two solutions; tests/comparison has them",
    r"da3-pipeline view": "serves until it is stopped; tests/viewer opens it",
    r"da3-pipeline batch .*--executor ray": "needs Ray and a store; tests/workflows/cluster and remote have both",
    r"da3-pipeline watch": "waits until it is stopped; tests/workflows drives it",
    r"da3-pipeline run .*--model ": "fetches published weights",
    r"da3-pipeline run .*--mask-people": "fetches weights from download.pytorch.org; tests/mask has a stand-in",
    r"da3-pipeline (bench|train)": "minutes to hours; tests/benchmark and tests/training run them small",
    r"da3-pipeline demo": "tests/test_demo.py runs it",
}
"""Commands of these that are not executed here, by how they begin, and why."""

PYTHON_NOT_RUN = {
    "docs/OUTPUTS.md": "needs a session in survey coordinates; tests/export makes one and checks the offset",
    "docs/PREDICTIONS.md": "needs frames of a capture and published weights",
}
"""Documents whose Python is not executed, and why."""


@dataclass(frozen=True)
class Command:
    """A line of a document's code block, without its comment."""

    document: str
    line: int
    text: str

    def __str__(self) -> str:
        return self.text


def blocks(document: Path) -> Iterator[tuple[int, str, list[str]]]:
    """(line number, language, lines) of each fenced block."""
    opened: tuple[int, str, list[str]] | None = None
    for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), 1):
        if not line.startswith("```"):
            if opened:
                opened[2].append(line)
        elif opened:
            yield opened
            opened = None
        else:
            opened = (number + 1, line[3:].strip(), [])
    assert opened is None, f"{document}: a code block is not closed"


def commands(document: Path) -> list[Command]:
    name = document.relative_to(ROOT).as_posix()
    found = []
    for start, language, lines in blocks(document):
        joined = "\n".join(lines).replace("\\\n", " ").split("\n")
        for offset, line in enumerate(joined):
            text = re.sub(r"(^|\s)#.*", "", line).strip()
            if language in ("", "sh", "bash", "console") and re.match(r"(da3-pipeline|ns-|pip|make|python)\b", text):
                found.append(Command(name, start + offset, text.removeprefix("$ ")))
    return found


def spoken_of(document: Path) -> list[Command]:
    """`da3-pipeline ...` within the text."""
    text, name = document.read_text(encoding="utf-8"), document.relative_to(ROOT).as_posix()
    return [Command(name, 0, found) for found in re.findall(r"`(da3-pipeline [^`\n]+)`", text)]


def reason_not_to_run(command: Command) -> str | None:
    return next((why for start, why in NOT_RUN.items() if re.match(start, command.text)), None)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that README's commands speak of, from one rendered room."""
    from da3_pipeline.training.synthetic import render_walk

    folder = tmp_path_factory.mktemp("readme")
    walk = render_walk(seed=2, frames=8, width=400, height=300)
    pictures = list(walk.frames())
    names = [f"{chr(ord('A') + k)}.jpg" for k in range(len(pictures))]
    for part in ("photos", "more_photos", "masks", "captures/room", "rig/left", "rig/right"):
        (folder / part).mkdir(parents=True)
    for name, picture in zip(names, pictures, strict=True):
        for part in ("photos", "more_photos", "captures/room"):
            Image.fromarray(picture).save(folder / part / name, quality=95)
        Image.fromarray(np.full((300, 400), 255, np.uint8)).save(folder / "masks" / f"{name}.png")
    right = np.array([[1.0, 0, 0, -0.35], [0, 1, 0, 0.02], [0, 0, 1, 0.05]])
    for side, poses in (("left", walk.cam_from_world), ("right", compose(right, walk.cam_from_world))):
        for k, picture in enumerate(replace(walk, cam_from_world=poses).frames()):
            if k < 6:
                Image.fromarray(picture).save(folder / "rig" / side / f"{k}.jpg", quality=95)
    sensors = [{"image_prefix": "left/", "ref_sensor": True}, {"image_prefix": "right/"}]
    (folder / "rig_config.json").write_text(json.dumps([{"cameras": sensors}]))
    camera = Camera.from_matrix(walk.camera.K, walk.camera.width, walk.camera.height)
    for place in ("calibrated/sparse/0", "sparse/0"):
        write_model(folder / place, camera, dict(zip(names, walk.cam_from_world, strict=True)))
    flat = np.ones((len(names), 24, 32), np.float32)
    small = camera.resized(32, 24).K
    np.savez(
        folder / "results.npz",
        depth=3 * flat,
        conf=flat,
        extrinsics=walk.cam_from_world,
        intrinsics=np.tile(small, (len(names), 1, 1)),
        names=np.array(names),
    )
    write_clip(folder / "clip.mp4", pictures)
    write_record3d(folder / "scan.r3d", [folder / "photos" / name for name in names], camera, walk.cam_from_world)
    return folder


def write_record3d(path: Path, photos: list[Path], camera: Camera, cam_from_world: np.ndarray) -> None:
    """Record3D's archive, without depth."""
    turns = Rotation.from_matrix(np.swapaxes(cam_from_world[:, :, :3], 1, 2) @ np.diag([1.0, -1.0, -1.0]))
    poses = np.concatenate([turns.as_quat(), centres(cam_from_world)], axis=1)
    told = {"w": camera.width, "h": camera.height, "K": camera.K.T.ravel().tolist(), "poses": poses.tolist()}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata", json.dumps(told))
        for number, photo in enumerate(photos):
            archive.write(photo, f"rgbd/{number}.jpg")


def write_model(folder: Path, camera: Camera, poses: dict[str, np.ndarray]) -> None:
    model = pycolmap.Reconstruction()
    model.add_camera_with_trivial_rig(camera.to_pycolmap())
    for number, (name, pose) in enumerate(poses.items(), 1):
        image = pycolmap.Image(name=name, camera_id=1, image_id=number)
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d(pose))
    folder.mkdir(parents=True)
    model.write_binary(str(folder))


def write_clip(path: Path, pictures: list[np.ndarray]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=5, options={"crf": "12"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


RUN = [c for document in (README, USAGE) for c in commands(document) if reason_not_to_run(c) is None]


@pytest.mark.parametrize("command", RUN, ids=str)
def test_readmes_commands_work(
    command: Command, stage: Path, tmp_path: Path, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in stage.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command.text)
    assert words[0] == "da3-pipeline"
    code, stdout, stderr = cli(*words[1:])
    assert code == 0, (stdout, stderr)
    if words[1] == "run":
        session = Path(words[words.index("-o" if "-o" in words else "--output") + 1])
        assert json.loads((session / "transforms.json").read_text())["frames"]
        assert (session / "sparse_pc.ply").stat().st_size > 10_000


def test_readme_has_commands_and_every_reason_is_needed() -> None:
    assert len(RUN) >= 3
    everything = [command for document in DOCUMENTS for command in commands(document) + spoken_of(document)]
    assert [start for start in NOT_RUN if not any(re.match(start, command.text) for command in everything)] == []


def options_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the words name, and the words after its name."""
    command: Any = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", ()):
        command, words = command.commands[words[0]], words[1:]
    return command, words


DOCUMENTED = [
    command
    for document in DOCUMENTS
    for command in dict.fromkeys(commands(document) + spoken_of(document))
    if command.text.startswith("da3-pipeline ")
]


@pytest.mark.parametrize("command", DOCUMENTED, ids=lambda command: f"{command.document} {command.text}")
def test_documented_options_exist(command: Command) -> None:
    found, rest = options_of(re.sub(r"[][|,.;]", " ", command.text).split()[1:])
    assert not hasattr(found, "commands") or not rest or rest[0].startswith("-"), f"no command {rest[0]}"
    known = {name for option in found.params for name in (*option.opts, *option.secondary_opts)} | {"--help"}
    assert [word for word in rest if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in known] == []


PYTHON = [
    (document, start, "\n".join(lines))
    for document in DOCUMENTS
    for start, language, lines in blocks(document)
    if language == "python" and document.relative_to(ROOT).as_posix() not in PYTHON_NOT_RUN
]


@pytest.mark.parametrize(("document", "start", "code"), PYTHON, ids=lambda value: getattr(value, "name", ""))
def test_documented_python_runs(
    document: Path, start: int, code: str, stage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in stage.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    exec(compile("\n" * (start - 1) + code, str(document), "exec"), {})


def test_the_notebook_runs_from_top_to_bottom(stage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its code cells in one namespace, as a kernel runs them; what stands last in a cell is shown, in few lines."""
    (tmp_path / "photos").symlink_to(stage / "photos")
    monkeypatch.chdir(tmp_path)
    notebook = json.loads((ROOT / "docs" / "notebook.ipynb").read_text(encoding="utf-8"))
    assert (notebook["nbformat"], {cell["cell_type"] for cell in notebook["cells"]}) == (4, {"markdown", "code"})
    names: dict[str, Any] = {}
    for cell in (cell for cell in notebook["cells"] if cell["cell_type"] == "code"):
        assert cell["outputs"] == []
        *statements, last = ast.parse("".join(cell["source"])).body
        assert isinstance(last, ast.Expr), "a cell ends with what it shows"
        exec(compile(ast.Module(statements, []), "notebook", "exec"), names)
        assert len(repr(eval(compile(ast.Expression(last.value), "notebook", "eval"), names))) < 2500
    assert (tmp_path / "session" / "transforms.json").is_file()
    assert names["outcome"].passed


def headings(document: Path) -> set[str]:
    """As anchors: lower case, no punctuation, spaces as hyphens."""
    lines = [line.lstrip("#").strip() for line in document.read_text(encoding="utf-8").splitlines() if line[:1] == "#"]
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    lost = []
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        there = (document.parent / path).resolve() if path else document
        if "://" not in target and not (there.exists() and (not anchor or anchor in headings(there))):
            lost.append(target)
    assert lost == []


def test_the_index_lists_every_document() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    missing = [path.name for path in (ROOT / "docs").glob("*.md") if f"({path.name})" not in index]
    assert missing == ["README.md"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_lines_are_at_most_120_columns(document: Path) -> None:
    long = []
    for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), 1):
        bare = re.sub(r"\]\([^)]*\)", "]", line)  # where a link leads does not show
        if len(bare) > 120 and not line.startswith(("|", "    ")):
            long.append(f"{number}: {len(bare)} columns")
    assert long == []
