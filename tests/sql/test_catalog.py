"""The statements about PostgreSQL itself: read by PostgreSQL's own parser, each one reads only and says what it is."""

from __future__ import annotations

import re
from importlib import resources

import pglast
import pytest
from pglast import ast

from queen import sql as files

NAMES = sorted(file.name[:-4] for file in (resources.files("queen.sql") / "catalog").iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_each_is_one_query_with_a_header(name: str) -> None:
    text = files.catalog(name)
    assert text.startswith("-- ")
    assert "Tables written: none." in text
    plain = re.sub(r"%\(\w+\)s", "'x'", text.replace("{schema}", "queen"))
    statements = pglast.parse_sql(plain)
    assert [type(statement.stmt) for statement in statements] == [ast.SelectStmt]
