"""The mistakes that tests/mutants.py plants: what they are, that each is one, and which tests they meet."""

from __future__ import annotations

import ast
from pathlib import Path

import mutants
import pytest
from mutant_operators import Mutant, apply, mutants_of

SOURCE = '''
"""A docstring with 3 numbers."""

__all__ = ["turned"]

LIMIT_PX = 4.0


def turned(points: list[int], seed: int = 0) -> int:
    """Says 5."""
    assert len(points) > 1
    if not points:
        raise ValueError(f"needs {1 + 1} points")
    width, height = size(points)
    first = points[:, 0] - LIMIT_PX
    return -max(first @ height, key=width)
'''


GUARD = "if not points:\n    raise ValueError(f'needs {1 + 1} points')"


def changes(source: str) -> set[tuple[str, str]]:
    return {(mutant.before, mutant.after) for mutant in mutants_of(ast.parse(source))}


def test_what_a_developer_could_get_wrong() -> None:
    assert changes(SOURCE) == {
        ("4.0", "8.0"),
        ("not points", "points"),
        (GUARD, GUARD.replace("not points", "not not points")),
        ("0", "1"),
        ("points[:, 0] - LIMIT_PX", "points[:, 0] + LIMIT_PX"),
        ("-max(first @ height, key=width)", "max(first @ height, key=width)"),
        ("max(first @ height, key=width)", "min(first @ height, key=width)"),
        ("first @ height", "height @ first"),
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a < 3", "a <= 3"),
        ("a < b", "a >= b"),
        ("f(width, height)", "f(height, width)"),
        ("np.isfinite(x)", "~np.isnan(x)"),
        ("camera.width", "camera.height"),
        ("(a.x, a.y)", "(a.y, a.x)"),
        ("x and y", "x or y"),
        ("rotation.T", "rotation"),
        ("x.sum(axis=1)", "x.max(axis=1)"),
        ("np.radians(limit)", "limit"),
    ],
)
def test_more_of_them(before: str, after: str) -> None:
    assert (before, after) in changes(f"value = {before}")


@pytest.mark.parametrize(
    "source",
    [
        "np.hypot(a, b)",
        "a @ a",
        "1e-12",
        "zip(a, strict=True)",
        "logger.info('%d', 1)",
        "try:\n    a\nexcept (OSError, ValueError):\n    b",
    ],
)
def test_what_changes_nothing_is_no_mistake(source: str) -> None:
    assert changes(source) <= {(source, "pass")}


def test_a_mutant_changes_one_place_and_compiles() -> None:
    for number, mutant in enumerate(mutants_of(ast.parse(SOURCE))):
        tree = ast.parse(SOURCE)
        apply(mutants_of(tree)[number])
        changed = ast.unparse(tree)
        compile(tree, "changed", "exec")
        assert changed != ast.unparse(ast.parse(SOURCE))
        assert mutant.line in range(mutant.lines[0], mutant.lines[1] + 1)


def test_a_sample_is_drawn_evenly_and_by_the_seed_alone() -> None:
    found = mutants_of(ast.parse("\n".join([*(f"a{k} = {k}" for k in range(40)), "b = -c", "d = e < f"])))
    kinds = [mutant.kind for mutant in mutants.sampled(found, 6, "0")]
    assert {"sign", "comparison"} < set(kinds) and len(kinds) == 6
    assert mutants.sampled(found, 6, "0") == mutants.sampled(found, 6, "0") != mutants.sampled(found, 6, "1")


def test_a_mutant_meets_the_tests_of_its_lines_the_quickest_first() -> None:
    path = Path("module.py")
    mutant: Mutant = mutants_of(ast.parse("\n\n\na = -b"))[0]
    seconds = {"slow": 9.0, "quick": 0.1, "other": 0.2, "middle": 1.0, "long": 20.0}
    baseline = mutants.Baseline(seconds)
    baseline.tests_of["module.py", 4] |= {"slow", "quick", "middle", "long", "fails"}
    baseline.tests_of["module.py", 9] |= {"other"}
    assert baseline.tests(path, mutant, 5.0) == ["quick", "middle", "slow"]
    assert baseline.tests(path, mutant, 99.0) == ["quick", "middle", "slow", "long"]
    baseline.at_import.add(("module.py", 4))
    assert baseline.tests(path, mutant, 99.0) == ["quick", "other", "middle", "slow", "long"]


def test_it_is_told_when_what_a_lambda_returns_is_passed_over() -> None:
    """It stands in a statement that runs long before, as in a table of rules."""
    tree = mutants.Marked(Path("rules.py")).visit(ast.parse("rules = {\n    1: lambda x: x + 1,\n}\n"))
    told: list[tuple[str, int]] = []
    names = {"_passed_over": lambda file, line: told.append((file, line))}
    exec(compile(tree, "rules.py", "exec"), names)
    assert told == [("rules.py", 1)]
    assert names["rules"][1](2) == 3 and told[1:] == [("rules.py", 2)]  # type: ignore[index]
