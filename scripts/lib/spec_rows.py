"""Print the rows of docs/spec-rows.md with their state and the tests that name them: one line a row.

A row is `open` until it is built. Fails when a row that is not open has no test, when a test names a row that does not
exist, or, with --strict, while any row is open. Reads the tests as text (AST) and imports none of them.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
STATES = ("open", "built")

_ROW = re.compile(r"\| *(R\d+) *\| *(\w+) *\| *(.*?) *\|")


class Row(NamedTuple):
    """One line of the table."""

    number: str
    state: str
    text: str


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    strict = "--strict" in arguments
    rows = read_rows((root / "docs" / "spec-rows.md").read_text(encoding="utf-8"))
    tests = read_tests(root / "tests")
    for row in rows:
        names = tests.get(row.number, [])
        shown = " ".join([*names[:3], "…"] if len(names) > 3 else names)
        print(f"{row.number:<4} {row.state:<6} {len(names):>3} tests  {shown}")
    problems = find_problems(rows, tests, strict)
    for problem in problems:
        print(f"spec-rows: {problem}", file=sys.stderr)
    return 1 if problems else 0


def read_rows(text: str) -> list[Row]:
    """The rows of the table, in the order of the page."""
    return [Row(*match.groups()) for match in map(_ROW.match, text.splitlines()) if match]


def read_tests(folder: Path) -> dict[str, list[str]]:
    """The tests that name each row, as "file::test"."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*.py")):
        for row, name in _marks(ast.parse(path.read_text(encoding="utf-8"))):
            found.setdefault(row, []).append(f"{path.relative_to(folder.parent)}::{name}")
    return found


def find_problems(rows: Sequence[Row], tests: Mapping[str, Sequence[str]], strict: bool) -> list[str]:
    """What keeps the page from being true."""
    known = {row.number for row in rows}
    problems = [f"{row.number}: unknown state {row.state}" for row in rows if row.state not in STATES]
    problems += [f"{row.number}: is {row.state}, and no test names it" for row in rows if _unproved(row, tests)]
    problems += [
        f"{number}: named by {tests[number][0]}, and there is no such row" for number in sorted(tests.keys() - known)
    ]
    if strict:
        problems += [f"{row.number}: still open" for row in rows if row.state == "open"]
    return problems


def _unproved(row: Row, tests: Mapping[str, Sequence[str]]) -> bool:
    return row.state != "open" and not tests.get(row.number)


def _marks(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(row, test) for each `@pytest.mark.spec("R7")` on a test, on its class, or in the file's `pytestmark`."""
    of_file = [
        row for node in tree.body if isinstance(node, ast.Assign) and _is_pytestmark(node) for row in _rows(node.value)
    ]
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            of_class = of_file + [row for mark in node.decorator_list for row in _rows(mark)]
            for inner in node.body:
                yield from _test_marks(inner, of_class, f"{node.name}::")
        else:
            yield from _test_marks(node, of_file, "")


def _test_marks(node: ast.stmt, inherited: Sequence[str], prefix: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
        for row in dict.fromkeys([*inherited, *(row for mark in node.decorator_list for row in _rows(mark))]):
            yield row, prefix + node.name


def _rows(node: ast.expr) -> Iterator[str]:
    """The rows named by every `….spec("R1", …)` call in an expression."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "spec":
            yield from (arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str))


def _is_pytestmark(node: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
