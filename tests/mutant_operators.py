"""Small mistakes that a developer could make, as changes of a module's syntax tree.

Left out is what no test should look at: messages, types, `__all__`, decorators, assertions, bounds of settings, the
order of the exceptions that are caught.
"""

from __future__ import annotations

import ast
import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Mutant", "apply", "mutants_of"]

_ARITHMETIC = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_NEGATED = {
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_SHIFTED = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
_RENAMED = {
    name: other
    for pair in (
        ("min", "max"),
        ("minimum", "maximum"),
        ("argmin", "argmax"),
        ("any", "all"),
        ("floor", "ceil"),
        ("sin", "cos"),
        ("degrees", "radians"),
        ("zeros", "ones"),
        ("zeros_like", "ones_like"),
        ("nanmin", "nanmax"),
        ("logical_and", "logical_or"),
        ("width", "height"),
    )
    for name, other in (pair, pair[::-1])
} | {"median": "max", "nanmedian": "nanmax", "sum": "max", "log": "abs"}
_SYMMETRIC = frozenset({"maximum", "minimum", "max", "min", "hypot", "isclose", "allclose", "gcd", "array_equal"})
_SKIPPED_AROUND = frozenset(
    {"sqrt", "abs", "clip", "nan_to_num", "invert", "inv", "transpose", "radians", "degrees", "exp", "sorted", "round"}
)
_NO_MATTER = frozenset(
    {"seed", "strict", "dtype", "copy", "exist_ok", "parents", "check", "encoding", "assume_sorted", "stacklevel"}
)

_GUARD = 1e-5  # smaller numbers keep divisors from zero


@dataclass(frozen=True)
class Mutant:
    """`before` becomes `after` in function `where` of a file; lines (first, last) are those of the statement."""

    kind: str
    where: str
    before: str
    after: str
    line: int
    lines: tuple[int, int]
    parent: ast.AST = field(compare=False, repr=False)
    name: str = field(compare=False, repr=False)  # of the parent's field
    index: int | None = field(compare=False, repr=False)
    new: ast.AST = field(compare=False, repr=False)


def apply(mutant: Mutant) -> None:
    """Changes the tree that the mutant was found in."""
    if mutant.index is None:
        setattr(mutant.parent, mutant.name, mutant.new)
    else:
        getattr(mutant.parent, mutant.name)[mutant.index] = mutant.new


def mutants_of(tree: ast.Module) -> list[Mutant]:
    """All mutants of a module, in the order of its lines."""
    found = list(_within(tree, "", (1, 1)))
    return sorted(found, key=lambda mutant: mutant.line)


def _within(node: ast.AST, where: str, lines: tuple[int, int]) -> Iterator[Mutant]:
    for name, value in ast.iter_fields(node):
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(child, ast.AST) or _is_left_out(node, name, child) or _is_a_seed(node, name, index):
                continue
            inside, span = where, lines
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                inside = f"{where}.{child.name}".lstrip(".")
            if isinstance(child, ast.stmt):
                body = getattr(child, "body", None)
                last = max(child.lineno, body[0].lineno - 1) if body else child.end_lineno or child.lineno
                span = (child.lineno, last)
            for kind, new in _changes(child, node, name):
                new = ast.fix_missing_locations(ast.copy_location(new, child))
                line = getattr(child, "lineno", span[0])
                yield Mutant(kind, inside, ast.unparse(child), ast.unparse(new), line, span, node, name, index, new)
            yield from _within(child, inside, span)


def _is_a_seed(node: ast.AST, name: str, index: int | None) -> bool:
    """Whether it is the default of an argument `seed`."""
    if not isinstance(node, ast.arguments) or name != "defaults" or index is None:
        return False
    return node.args[index - len(node.defaults)].arg == "seed"


def _is_left_out(parent: ast.AST, name: str, child: ast.AST) -> bool:
    if name in ("annotation", "returns", "decorator_list", "type_params", "bases") or isinstance(child, ast.JoinedStr):
        return True
    if isinstance(parent, ast.ExceptHandler) and name == "type":
        return True
    if isinstance(child, ast.Raise | ast.Assert | ast.Import | ast.ImportFrom):
        return True
    if isinstance(child, ast.Assign) and ast.unparse(child.targets[0]) == "__all__":
        return True
    if isinstance(child, ast.keyword) and child.arg in _NO_MATTER:
        return True
    if isinstance(child, ast.Expr) and isinstance(child.value, ast.Call):
        return _is_left_out(child, "value", child.value)
    if isinstance(child, ast.Call):
        called = ast.unparse(child.func)
        return called.startswith(("logger.", "logging.", "warnings.")) or called in ("Field", "progress.step", "field")
    return isinstance(parent, ast.If) and "TYPE_CHECKING" in ast.unparse(parent.test)


def _changes(node: ast.AST, parent: ast.AST, name: str) -> Iterator[tuple[str, ast.AST]]:
    match node:
        case ast.BinOp():
            yield from _of_operation(node)
        case ast.UnaryOp(op=ast.USub() | ast.Not() | ast.Invert()) if not isinstance(node.operand, ast.Constant):
            yield "sign", node.operand
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant()) if name != "slice" and not isinstance(
            parent, ast.keyword
        ):
            yield "sign", node.operand
        case ast.Compare():
            yield from _of_comparison(node)
        case ast.BoolOp():
            yield "logic", _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        case ast.Constant():
            yield from _of_constant(node, parent, name)
        case ast.Call():
            yield from _of_call(node)
        case ast.Attribute(attr="T"):
            yield "dropped", node.value
        case ast.Attribute(attr="width" | "height", ctx=ast.Load()):
            yield "name", _with(node, attr=_RENAMED[node.attr])
        case ast.Tuple(ctx=ast.Load()) | ast.List(ctx=ast.Load()):
            yield from (("order", _with(node, elts=elements)) for elements in _swaps(node.elts))
        case ast.AugAssign() if type(node.op) in _ARITHMETIC:
            yield "arithmetic", _with(node, op=_ARITHMETIC[type(node.op)]())
        case ast.Expr(value=ast.Call()):
            yield "statement", ast.Pass()
        case ast.If() | ast.IfExp() | ast.While() if not isinstance(node.test, ast.Compare):
            yield "condition", _with(node, test=ast.UnaryOp(ast.Not(), node.test))
        case ast.comprehension() if node.ifs:
            yield "condition", _with(node, ifs=node.ifs[1:])


def _of_operation(node: ast.BinOp) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node.left, ast.JoinedStr) or isinstance(node.right, ast.JoinedStr):
        return
    if type(node.op) in _ARITHMETIC:
        yield "arithmetic", _with(node, op=_ARITHMETIC[type(node.op)]())
    elif isinstance(node.op, ast.MatMult) and ast.dump(node.left) != ast.dump(node.right):
        yield "order", _with(node, left=node.right, right=node.left)


def _of_comparison(node: ast.Compare) -> Iterator[tuple[str, ast.AST]]:
    """The opposite; and, where whole numbers are compared, one more or one less."""
    operators = list(node.ops)
    yield "comparison", _with(node, ops=[_NEGATED[type(operators[0])](), *operators[1:]])
    sides = (node.left, *node.comparators)
    counted = any(isinstance(side, ast.Constant) and type(side.value) is int and side.value for side in sides)
    counted |= any(isinstance(side, ast.Call) and ast.unparse(side.func) == "len" for side in sides)
    if counted and type(operators[0]) in _SHIFTED:
        yield "limit", _with(node, ops=[_SHIFTED[type(operators[0])](), *operators[1:]])


def _of_constant(node: ast.Constant, parent: ast.AST, name: str) -> Iterator[tuple[str, ast.AST]]:
    value = node.value
    if isinstance(value, bool):
        yield "constant", ast.Constant(not value)
    elif isinstance(value, int) and (name == "slice" or isinstance(parent, ast.Slice | ast.keyword)):
        yield "index", ast.Constant(0 if value == 1 else value - 1 if value > 1 else 1)
    elif isinstance(value, int):
        yield "constant", ast.Constant(value + 1)
    elif isinstance(value, float) and (value == 0 or abs(value) > _GUARD):
        yield "constant", ast.Constant(2 * value if value else 1.0)


def _of_call(node: ast.Call) -> Iterator[tuple[str, ast.AST]]:
    called = node.func
    short = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
    if short in _RENAMED:
        new = _with(called, **{"attr" if isinstance(called, ast.Attribute) else "id": _RENAMED[short]})
        yield "name", _with(node, func=new)
    if short == "isfinite" and node.args:
        known = _with(node, func=_with(called, attr="isnan"))
        yield "name", ast.UnaryOp(ast.Invert(), known)
    if short == "isnan" and node.args:
        known = _with(node, func=_with(called, attr="isfinite"))
        yield "name", ast.UnaryOp(ast.Invert(), known)
    if short in _SKIPPED_AROUND and node.args and not isinstance(node.args[0], ast.Starred):
        yield "dropped", node.args[0]
    if short in _SYMMETRIC or short in ("replace", "get", "pop", "getattr", "isinstance", "enumerate", "Path", "join"):
        return
    yield from (("order", _with(node, args=arguments)) for arguments in _swaps(node.args))


def _swaps(items: list[ast.expr]) -> Iterator[list[ast.expr]]:
    """The list with two neighbours exchanged that could be taken for each other."""
    plain = (ast.Name, ast.Attribute, ast.Subscript)
    for k, (first, second) in enumerate(itertools.pairwise(items)):
        if isinstance(first, plain) and isinstance(second, plain) and ast.dump(first) != ast.dump(second):
            yield [*items[:k], second, first, *items[k + 2 :]]


def _with(node: ast.AST, **changes: object) -> ast.AST:
    new = copy.copy(node)
    for name, value in changes.items():
        setattr(new, name, value)
    return new
