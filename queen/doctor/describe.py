"""What a check says of itself, for `--list`, `--explain` and the catalogue page.

The classes of its repairs are read from its source, so that no list of them can go stale: the first argument of each
`Fix(...)` in its file and in the helpers of the doctor that the file uses.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
import types
from collections.abc import Iterator

from queen.doctor.check import Check
from queen.doctor.finding import FIX_CLASSES, Threshold


def fix_classes(check: Check) -> str:
    """The classes of repair that it may offer, such as "AD"; empty when it offers none."""
    module = sys.modules[check.evaluate.__module__]
    tree = _tree(module)
    found = set(_classes(tree))
    for name in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}:
        helper = getattr(module, name, None)
        if isinstance(helper, types.FunctionType) and helper.__module__.startswith("queen.doctor."):
            found |= set(_classes(_tree(helper)))
    return "".join(sorted(found))


def needs(check: Check) -> list[str]:
    """What it must see, one sentence each."""
    return [" ".join((need.__doc__ or "").split("\n\n")[0].split()) for need in check.needs]


def limits(threshold: Threshold) -> str:
    """`60 / 600 s`: warning and critical; a dash where there is none."""
    warn, crit = (number(value) if value is not None else "–" for value in (threshold.warn, threshold.crit))
    return f"{warn} / {crit} {threshold.unit}".strip()


def number(value: float) -> str:
    """A limit as it is read: `60`, `0.5`, `100 000`."""
    if value == int(value):
        return f"{int(value):,}".replace(",", " ")
    return f"{value:g}"


@functools.cache
def _tree(of: types.ModuleType | types.FunctionType) -> ast.AST:
    try:
        return ast.parse(inspect.getsource(of))
    except OSError:  # installed without sources
        return ast.Module(body=[], type_ignores=[])


def _classes(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Fix":
            first = [*node.args[:1], *(word.value for word in node.keywords if word.arg == "kind")]
            for part in (part for value in first for part in ast.walk(value)):
                if isinstance(part, ast.Constant) and part.value in FIX_CLASSES:
                    yield str(part.value)
