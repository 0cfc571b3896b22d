"""Settings as sessions of another role begin with them.

Our own session shows its own values. What ALTER ROLE and ALTER DATABASE say for the other role is put over them; what
our own role alone has changed is put back to what PostgreSQL comes with, for what the files say below it is hidden.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from queen.store.inspect import Row

OVERRIDES: Final = """
SELECT split_part(e.entry, '=', 1) AS name, substr(e.entry, strpos(e.entry, '=') + 1) AS value,
       CASE WHEN s.setrole <> 0 AND s.setdatabase <> 0 THEN 'database user' WHEN s.setrole <> 0 THEN 'user'
            WHEN s.setdatabase <> 0 THEN 'database' ELSE 'global' END AS source
  FROM pg_db_role_setting s CROSS JOIN LATERAL unnest(s.setconfig) e (entry)
 WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
   AND s.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = %s))
 ORDER BY s.setrole <> 0, s.setdatabase <> 0
"""
"""What is set for a role in this database, the stronger last. The sources are those of pg_settings."""

_OURS: Final = ("user", "database user")
_VALUE: Final = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")
_SIZES: Final = {"B": 1, "kB": 1 << 10, "8kB": 1 << 13, "MB": 1 << 20, "16MB": 16 << 20, "GB": 1 << 30, "TB": 1 << 40}
_TIMES: Final = {"us": 0.001, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_FACTORS: Final = {**_SIZES, **_TIMES}
_ON: Final = ("on", "true", "yes", "1")


def settings_of(rows: Iterable[Row], overrides: Iterable[Row]) -> list[Row]:
    """Rows of pg_settings as a session of the other role would have them. `overrides`: rows of OVERRIDES."""
    changed = {row["name"]: row for row in overrides}
    found = []
    for row in rows:
        override = changed.get(row["name"])
        if override is not None:
            found.append({**row, "setting": _in_unit(row, override["value"]), "source": override["source"]})
        elif row["source"] in _OURS:
            found.append({**row, "setting": row["boot_val"], "source": "default"})
        else:
            found.append(row)
    return found


def _in_unit(row: Row, text: str) -> str:
    """A value as pg_settings keeps it: "1min" is 60000 of milliseconds, "true" is "on"."""
    if row["vartype"] == "bool":
        return "on" if text.lower() in _ON else "off"
    match = _VALUE.fullmatch(text)
    if match is None or row["vartype"] not in ("integer", "real"):
        return text.lower() if row["vartype"] == "enum" else text
    own = _FACTORS.get(row["unit"] or "", 1)
    value = float(match[1]) * _FACTORS.get(match[2], own) / own
    return str(round(value)) if row["vartype"] == "integer" else f"{value:g}"
