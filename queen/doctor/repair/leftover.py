"""Invalid indexes that a failed CREATE or REINDEX … CONCURRENTLY leaves behind: found by comparison, and dropped."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from queen.store.operate import Operator

_CONCURRENTLY: Final = re.compile(r"\s*(?:CREATE|REINDEX)\b.*\bCONCURRENTLY\b.*", re.IGNORECASE | re.DOTALL)
_INVALID = """
SELECT format('%I.%I', n.nspname, c.relname) AS name
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE NOT i.indisvalid AND pg_has_role(current_user, c.relowner, 'member')
   AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = c.oid)
 ORDER BY 1
"""


def may_leave(statement: str) -> bool:
    """Whether a statement leaves an invalid index behind when it fails."""
    return _CONCURRENTLY.fullmatch(statement) is not None


def invalid(operator: Operator) -> tuple[str, ...]:
    """Every invalid index of ours that nobody is building now. Raises CannotChange, StoreUnavailable."""
    return tuple(row["name"] for row in operator.rows(_INVALID))


def drop_new(operator: Operator, before: Collection[str]) -> list[str]:
    """Drop the invalid indexes that were not there before; returns them. Raises CannotChange, StoreUnavailable."""
    new = [name for name in invalid(operator) if name not in before]
    for name in new:
        operator.run(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    return new
