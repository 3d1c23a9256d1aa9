"""Small buffers and views of compiled code, made once instead of in each call.

The compiler's code allocates each buffer and cuts each view anew, half a microsecond apiece: a
tenth of a small network's step, and more than its probes themselves cost.
"""

from __future__ import annotations

import ast
import math
from collections import Counter
from collections.abc import Sequence

import torch

from backlit.lower.layout import span

# Larger ones are worth more as memory that others use meanwhile.
_SMALL_BYTES = 64 * 2**10
# Of a buffer that is given out a copy costs as much as this many views.
_VIEWS_A_COPY = 4
_ALLOCATE, _VIEW = "empty_strided_cpu", "reinterpret_tensor"


def make_once(tree: ast.Module, stay: Sequence[int]) -> None:
    """Changes a compiled module, as PyTorch's compiler writes it, in place.

    Small buffers that nobody sees outside a call become the module's own, and so do their views.
    Views of arguments that stay are made again only where the argument's memory is another. Two
    calls at a time would then write into one buffer.

    Args:
        tree: the module; its function is `Runner.call`. Code of another form is left as it is.
        stay: positions of the arguments that are the same tensors in most calls.
    """
    place = next((i for i, s in enumerate(tree.body) if _is(s, ast.ClassDef, "Runner")), None)
    runner = None if place is None else tree.body[place]
    body = getattr(runner, "body", [])
    call = next((s for s in body if _is(s, ast.FunctionDef, "call")), None)
    simple = (ast.Assign, ast.Expr, ast.Delete, ast.Return)
    if call is None or not all(isinstance(s, simple) for s in call.body):
        return
    unpack, *statements = call.body  # ... = args
    if not isinstance(unpack, ast.Assign):
        return
    arguments = [name.id for name in ast.walk(unpack.targets[0]) if isinstance(name, ast.Name)]
    once = _Once(statements)
    cut = _Cut({arguments[i] for i in stay})
    kept = [cut.visit(new) for old in statements if (new := once.visit(old)) is not None]
    call.body = [*cut.declaration(), unpack, *cut.renewals(), *kept]
    tree.body[place:place] = [*once.made, *cut.beginnings()]
    ast.fix_missing_locations(tree)


class _Once(ast.NodeTransformer):
    """Takes what is the same in every call out of the statements; it is in `made` then."""

    def __init__(self, statements: Sequence[ast.stmt]):
        self.made: list[ast.stmt] = []
        self._views: dict[str, str] = {}
        self._fixed = _fixed(statements)

    def visit_Assign(self, statement: ast.Assign) -> ast.AST | None:
        if _target(statement) in self._fixed:
            self.made.append(statement)
            return None
        return self.generic_visit(statement)

    def visit_Delete(self, statement: ast.Delete) -> ast.AST | None:
        left = [t for t in statement.targets if not _is_named(t, self._fixed)]
        return ast.Delete(left) if left else None

    def visit_Return(self, statement: ast.Return) -> ast.AST:
        elements = getattr(statement.value, "elts", [])
        for i, given in enumerate(elements):
            if _is_named(given, self._fixed):
                elements[i] = ast.Call(ast.Attribute(given, "clone", ast.Load()), [], [])
        return self.generic_visit(statement)

    def visit_Call(self, call: ast.Call) -> ast.AST:
        if _view_of(call) not in self._fixed:
            return self.generic_visit(call)
        text = ast.unparse(call)
        if text not in self._views:
            self._views[text] = f"view_{len(self._views)}"
            self.made += ast.parse(f"{self._views[text]} = {text}").body
        return ast.Name(self._views[text], ast.Load())


class _Cut(ast.NodeTransformer):
    """Gives views of arguments names of the module; a call renews those that changed."""

    def __init__(self, arguments: set[str]):
        self._arguments = arguments
        self._views: dict[str, dict[str, str]] = {}

    def visit_Call(self, call: ast.Call) -> ast.AST:
        argument = _view_of(call)
        if argument not in self._arguments:
            return self.generic_visit(call)
        views = self._views.setdefault(argument, {})
        name = views.setdefault(ast.unparse(call), f"{argument}_view_{len(views)}")
        return ast.Name(name, ast.Load())

    def declaration(self) -> list[ast.stmt]:
        names = [name for views in self._views.values() for name in views.values()]
        names += [f"{argument}_at" for argument in self._views]
        return ast.parse(f"global {', '.join(names)}").body if names else []

    def renewals(self) -> list[ast.stmt]:
        return [
            statement
            for argument, views in self._views.items()
            for statement in ast.parse(
                f"if {argument}.data_ptr() != {argument}_at:\n"
                + "".join(f"    {name} = {text}\n" for text, name in views.items())
                + f"    {argument}_at = {argument}.data_ptr()\n"
            ).body
        ]

    def beginnings(self) -> list[ast.stmt]:
        return [s for argument in self._views for s in ast.parse(f"{argument}_at = None").body]


def _fixed(statements: Sequence[ast.stmt]) -> set[str]:
    """Names of small buffers and of their views that nobody sees outside a call."""
    root: dict[str, str] = {}
    small: set[str] = set()
    seen: set[str] = set()
    views: Counter[str] = Counter()
    times = Counter(name for s in statements if (name := _target(s)) is not None)
    for statement in statements:
        name, value = _target(statement), getattr(statement, "value", None)
        if isinstance(value, ast.Call) and _is_named(value.func, {_ALLOCATE}) and name:
            root[name] = name
            if times[name] == 1 and _bytes(value) <= _SMALL_BYTES:
                small.add(name)
        elif name and isinstance(value, ast.Name):
            root[name] = root.get(value.id, value.id)
        elif name and (viewed := _view_of(value)):
            root[name] = root.get(viewed, viewed)
            views[root[name]] += 1
        elif isinstance(statement, (ast.Assign, ast.Return)):  # what it gives may be of its memory
            copied = {n for n in _given(statement) if views[root.get(n.id, n.id)] >= _VIEWS_A_COPY}
            seen |= {
                n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and n not in copied
            }
    outside = {root.get(name, name) for name in seen}
    return {name for name, of in root.items() if of in small - outside and times[name] == 1}


def _given(statement: ast.stmt) -> list[ast.Name]:
    """What a call returns by its name, not as a view."""
    value = statement.value if isinstance(statement, ast.Return) else None
    return [e for e in getattr(value, "elts", []) if isinstance(e, ast.Name)]


def _bytes(allocation: ast.Call) -> float:
    try:
        shape, stride = map(ast.literal_eval, allocation.args[:2])
        dtype = getattr(torch, allocation.args[2].attr)  # type: ignore[attr-defined]
    except (ValueError, AttributeError, IndexError):
        return math.inf
    return float(dtype.itemsize * span(shape, stride))


def _target(statement: ast.stmt) -> str | None:
    """The one name a statement assigns."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        return target.id if isinstance(target, ast.Name) else None
    return None


def _view_of(value: object) -> str | None:
    """The name that a call of constants makes a view of."""
    if not isinstance(value, ast.Call) or not _is_named(value.func, {_VIEW}) or value.keywords:
        return None
    first, *others = value.args
    known = all(
        isinstance(n, (ast.Constant, ast.Tuple, ast.Load)) for a in others for n in ast.walk(a)
    )
    return first.id if isinstance(first, ast.Name) and known else None


def _is_named(node: ast.AST, names: set[str]) -> bool:
    return isinstance(node, ast.Name) and node.id in names


def _is(statement: ast.stmt, kind: type, name: str) -> bool:
    return isinstance(statement, kind) and getattr(statement, "name", None) == name
