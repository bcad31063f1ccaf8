"""How many small mistakes the tests notice: plants them one at a time and runs the tests that pass over the place.

    python tests/mutants.py da3_pipeline/geometry da3_pipeline/ingest/projects --per-file 12 --seed 0

By hand (`make mutants`), for it takes minutes a room. The tests are those of the file's room. They are run once to see
which lines each passes over; a mutant then meets only the tests of its lines, the quickest first, up to the first that
fails. A mutant lives in the memory of a forked process that has the heavy libraries loaded already: no file changes,
and a mutant costs a second or two. (Mutmut 3 leaves out constants and decorated methods and takes no sample;
cosmic-ray and mutatest start pytest anew for each mutant, some ten seconds here.)

Survivors that no test need notice stand in tests/data/mutants_accepted.json, each with its reason. The exit status is
0 where at least `--least` of the others died.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import pickle
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType

import pytest
from mutant_operators import Mutant, apply, mutants_of

ROOT = Path(__file__).parents[1]
ACCEPTED = Path(__file__).parent / "data" / "mutants_accepted.json"
HEAVY = (
    "cv2",
    "hypothesis",
    "pycolmap",
    "pyceres",
    "pydantic",
    "scipy.optimize",
    "scipy.sparse.linalg",
    "scipy.spatial",
)
HEAVY = (*HEAVY, "PIL.Image", "av", "torch", "timm", "jinja2", "pillow_heif", "safetensors.torch", "huggingface_hub")
LOADED = ("-W", "ignore::pytest.PytestAssertRewriteWarning")  # hypothesis is there before pytest is
MEMORY_BYTES = 24 << 30  # address space; a mutant may ask for any
WITHOUT_TESTS = ("__init__.py", "config.py")


@dataclass
class Baseline:
    """Of the unharmed code: seconds of each test that passes, and which tests pass over (file, line).

    at_import: lines that run before any test does; whatever is wrong there may show in any test.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    tests_of: defaultdict[tuple[str, int], set[str]] = field(default_factory=lambda: defaultdict(set))
    at_import: set[tuple[str, int]] = field(default_factory=set)

    def tests(self, path: Path, mutant: Mutant, budget_s: float) -> list[str]:
        """What may notice the mutant, quickest first, as many as take `budget_s` together, at least three."""
        places = [(str(path), line) for line in range(mutant.lines[0], mutant.lines[1] + 1)]
        near = set().union(*(self.tests_of.get(place, set()) for place in places))
        if any(place in self.at_import for place in places):
            of_file = {name for (file, _), names in self.tests_of.items() if file == str(path) for name in names}
            near |= of_file or set(self.seconds)
        chosen: list[str] = []
        spent = 0.0
        for name in sorted(near & self.seconds.keys(), key=self.seconds.__getitem__):
            spent += self.seconds[name]
            if spent > budget_s and len(chosen) >= 3:
                break
            chosen.append(name)
        return chosen


class Recorder:
    """A plugin that writes down which statements each test passes over, and how long it takes."""

    def __init__(self) -> None:
        self.baseline = Baseline()
        self._test = ""

    def passed_over(self, path: str, line: int) -> None:
        if self._test:
            self.baseline.tests_of[path, line].add(self._test)
        else:
            self.baseline.at_import.add((path, line))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._test = nodeid

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self.baseline.seconds[report.nodeid] = report.duration
        if report.failed:
            self.baseline.failed.append(report.nodeid)
            self.baseline.seconds.pop(report.nodeid, None)


class Selection:
    """A plugin that runs the given tests in their order, and no others."""

    def __init__(self, names: Sequence[str]) -> None:
        self._order = {name: k for k, name in enumerate(names)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((i for i in items if i.nodeid in self._order), key=lambda i: self._order[i.nodeid])


class Marked(ast.NodeTransformer):
    """Has every statement, and what a lambda returns, say first that it is passed over."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for name, value in ast.iter_fields(node):
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                setattr(node, name, [new for statement in value for new in self._told(statement)])
        return node

    def _told(self, node: ast.stmt) -> list[ast.stmt]:
        if isinstance(node, ast.ImportFrom) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            return [node]  # __future__ and the docstring stay first
        return [ast.fix_missing_locations(ast.copy_location(ast.Expr(self._call(node.lineno)), node)), node]

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        self.generic_visit(node)
        told = ast.Tuple([self._call(node.lineno), node.body], ast.Load())
        node.body = ast.copy_location(ast.Subscript(told, ast.Constant(1), ast.Load()), node.body)
        return ast.fix_missing_locations(node)

    def _call(self, line: int) -> ast.Call:
        return ast.Call(ast.Name("_passed_over", ast.Load()), [ast.Constant(self._path), ast.Constant(line)], [])


class Planted(importlib.abc.MetaPathFinder):
    """Loads one module from a changed tree."""

    def __init__(self, path: Path, tree: ast.Module) -> None:
        self._name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        self._loader = _FromTree(self._name, str(path), compile(tree, str(path), "exec"))

    def find_spec(self, name: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if name != self._name:
            return None
        return importlib.util.spec_from_file_location(name, self._loader.path, loader=self._loader)


class _FromTree(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, code: CodeType) -> None:
        super().__init__(name, path)
        self._code = code

    def get_code(self, fullname: str) -> CodeType:
        return self._code


def in_child(work: Callable[[Path], int], limit_s: float) -> tuple[int | None, Path]:
    """Runs `work` in a fork, in a folder of its own; its exit status, None where it takes too long."""
    folder = Path(tempfile.mkdtemp(dir=SCRATCH))
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        quiet = os.open(folder / "output.txt", os.O_WRONLY | os.O_CREAT)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        try:
            status = work(folder)
        except BaseException:
            traceback.print_exc()
            status = 70
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), folder
        time.sleep(0.02)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None, folder


def run_tests(folder: Path, paths: Sequence[str], plugin: object, *options: str) -> int:
    common = (
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "--hypothesis-seed=0",
        *LOADED,
        f"--basetemp={folder / 'tmp'}",
    )
    return int(pytest.main([*common, *options, *paths], plugins=[plugin]))


def baseline_of(files: Sequence[Path], tests: Sequence[str]) -> Baseline:
    def work(folder: Path) -> int:
        recorder = Recorder()
        builtins._passed_over = recorder.passed_over  # type: ignore[attr-defined]
        for path in files:
            sys.meta_path.insert(0, Planted(path, Marked(path).visit(parsed(path))))
        run_tests(folder, tests, recorder)
        (folder / "baseline.pkl").write_bytes(pickle.dumps(recorder.baseline))
        return 0

    status, folder = in_child(work, 3600)
    if status != 0:
        sys.exit(f"the tests of the unharmed code could not be run:\n{(folder / 'output.txt').read_text()[-3000:]}")
    baseline: Baseline = pickle.loads((folder / "baseline.pkl").read_bytes())
    return baseline


def outcome(path: Path, tree: ast.Module, mutant: Mutant | None, tests: Sequence[str], expected_s: float) -> str:
    """'killed', 'survived' or 'unreached' (no test passes over it)."""
    if not tests:
        return "unreached"

    def work(folder: Path) -> int:
        if mutant is not None:
            apply(mutant)
        sys.meta_path.insert(0, Planted(path, tree))
        return run_tests(folder, sorted({name.partition("::")[0] for name in tests}), Selection(tests), "-x")

    status, _ = in_child(work, 60 + 5 * expected_s)
    return "survived" if status == 0 else "killed"


def sampled(mutants: Sequence[Mutant], count: int, seed: str) -> list[Mutant]:
    """At most `count`, drawn evenly from the kinds of mistakes."""
    rng = random.Random(seed)
    kinds: dict[str, list[Mutant]] = defaultdict(list)
    for mutant in mutants:
        kinds[mutant.kind].append(mutant)
    for group in kinds.values():
        rng.shuffle(group)
    ranked = [(rank, rng.random(), mutant) for group in kinds.values() for rank, mutant in enumerate(group)]
    chosen = [mutant for _, _, mutant in sorted(ranked, key=lambda item: item[:2])[:count]]
    return sorted(chosen, key=lambda mutant: mutant.line)


def accepted() -> dict[tuple[str, ...], str]:
    entries = json.loads(ACCEPTED.read_text(encoding="utf-8")) if ACCEPTED.exists() else []
    return {(e["file"], e["where"], e["before"], e["after"]): e["reason"] for e in entries}


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def targets(places: Sequence[str]) -> list[Path]:
    files: list[Path] = []
    for place in places:
        path = (ROOT / place).resolve()
        files += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return [path for path in files if path.name not in WITHOUT_TESTS]


def tests_of_rooms(files: Sequence[Path]) -> list[str]:
    """The test folders of the rooms directly in da3_pipeline that hold the files."""
    rooms = sorted({path.relative_to(ROOT / "da3_pipeline").parts[0] for path in files})
    return [f"tests/{room}" for room in rooms if (ROOT / "tests" / room).is_dir()]


def main(arguments: Sequence[str]) -> int:
    options = options_of(arguments)
    files = targets(options.places)
    for name in HEAVY:
        importlib.import_module(name)
    began = time.monotonic()
    baseline = baseline_of(files, options.tests or tests_of_rooms(files))
    print(
        f"{len(baseline.seconds)} tests pass in {time.monotonic() - began:.0f} s", *baseline.failed, sep="\n  fails: "
    )
    quick = sorted(baseline.seconds, key=baseline.seconds.__getitem__)[:20]
    if outcome(files[0], parsed(files[0]), None, quick, 60) != "survived":
        sys.exit("tests fail without any mutant when they run again")
    known, counts, lines = accepted(), defaultdict(Counter), []  # type: ignore[var-annotated]
    for path in files:
        tree = parsed(path)
        name = path.relative_to(ROOT).as_posix()
        for mutant in sampled(mutants_of(tree), options.per_file, f"{options.seed} {name}"):
            tests = baseline.tests(path, mutant, options.budget_s)
            result = outcome(path, tree, mutant, tests, sum(baseline.seconds[test] for test in tests))
            reason = known.get((name, mutant.where, mutant.before, mutant.after))
            counts[path.parent.relative_to(ROOT).as_posix()][
                "accepted" if reason and result != "killed" else result
            ] += 1
            if result != "killed":
                told = f"accepted: {reason}" if reason else result
                line = f"{name}:{mutant.line} {mutant.where} [{mutant.kind}] {mutant.before}  ->  {mutant.after}"
                lines.append(f"{line}  ({told})")
                print(lines[-1], file=sys.stderr, flush=True)
    print(*lines, sep="\n")
    return summed_up(counts, options.least, time.monotonic() - began)


def summed_up(counts: dict[str, Counter[str]], least: float, seconds: float) -> int:
    total = sum(counts.values(), Counter())
    print(f"\n{'folder':44} killed   of   share  survived  unreached  accepted  share with them")
    for folder, count in [*sorted(counts.items()), ("all", total)]:
        asked, every = count.total() - count["accepted"], max(count.total(), 1)
        print(
            f"{folder:44} {count['killed']:6} {asked:4} {count['killed'] / max(asked, 1):7.1%} {count['survived']:9}"
            f" {count['unreached']:10} {count['accepted']:9} {count['killed'] / every:16.1%}"
        )
    print(f"{seconds:.0f} s")
    return 0 if total["killed"] >= least * (total.total() - total["accepted"]) else 1


def options_of(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("places", nargs="+", help="files and folders below da3_pipeline")
    parser.add_argument("--per-file", type=int, default=12, help="mutants drawn from each file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tests", nargs="*", help="test files or folders, in place of the room's")
    parser.add_argument("--budget-s", type=float, default=60, help="seconds of tests that a mutant may meet")
    parser.add_argument("--least", type=float, default=0.9, help="share that must die")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory() as scratch:
        SCRATCH = Path(scratch)
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(SCRATCH / "hypothesis")
        sys.pycache_prefix, sys.dont_write_bytecode = str(SCRATCH / "pycache"), False
        sys.exit(main(sys.argv[1:]))
