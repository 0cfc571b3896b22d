"""Each line of the tables in docs/semantics.md names the test that keeps it, and that test exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "semantics.md").read_text("utf-8")
_NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


def kept_tables() -> list[list[str]]:
    """The lines, without head, of the tables whose last column is the test."""
    tables: list[list[str]] = []
    lines = PAGE.splitlines()
    for at, line in enumerate(lines):
        if line.startswith("|") and line.rstrip().endswith("| test |"):
            body = lines[at + 2 :]
            end = next((n for n, row in enumerate(body) if not row.startswith("|")), len(body))
            tables.append(body[:end])
    return tables


def names_in(file: str) -> set[str]:
    tree = ast.parse((TESTS / file).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_line_names_a_test_that_exists() -> None:
    tables = kept_tables()
    assert len(tables) >= 2
    assert all(tables)
    for line in [line for table in tables for line in table]:
        named = _NAMED.findall(line)
        assert len(named) == 1, line
        [(file, name)] = named
        assert name in names_in(file), line


def test_every_status_of_an_ack_stands_in_a_line() -> None:
    first = [line.split("|")[1] for line in kept_tables()[0]]
    for status in ("completed", "retry", "failed", "dlq"):
        assert any(f"`{status}`" in cell for cell in first), status
