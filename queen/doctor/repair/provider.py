"""Managed PostgreSQL: whose parameter groups decide, so that ALTER SYSTEM is not for us. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from queen.doctor.facts import Facts

# Settings that only servers of these providers have.
_PREFIXES: Final = {
    "rds.": "Amazon RDS",
    "aurora": "Amazon Aurora",
    "cloudsql.": "Google Cloud SQL",
    "alloydb.": "Google AlloyDB",
    "azure.": "Azure Database for PostgreSQL",
    "neon.": "Neon",
    "supautils.": "Supabase",
}
_SET: Final = re.compile(r"\s*ALTER\s+SYSTEM\s+SET\s+([\w.]+)\s*(?:=|TO)\s*(.+?)\s*;?\s*", re.IGNORECASE | re.DOTALL)


def provider(facts: Facts) -> str | None:
    """Who runs this server, by the settings it has; None for one of the user's own."""
    for name in facts.settings:
        for prefix, who in _PREFIXES.items():
            if name.startswith(prefix):
                return who
    return None


def parameter_lines(statements: Iterable[str]) -> tuple[str, ...]:
    """`name = value` for each ALTER SYSTEM SET among the statements."""
    found = (_SET.fullmatch(statement) for statement in statements)
    return tuple(f"{match[1]} = {match[2].strip(chr(39))}" for match in found if match)
