"""What index checks share: statements that make and drop indexes without standing in the way, and what an index costs.

Pure. Rows are those of `shared.INDEXES`, `shared.INDEX_USE`, `shared.TABLES` and `shared.CHILDREN`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from queen.doctor import stake
from queen.doctor.check import Seen
from queen.doctor.finding import NO_STAKE, Fix, Stake
from queen.store.inspect import Row

_WAL_ENTRY_BYTES: Final = (
    66.0  # headers of the record and of the entry; 8 bytes of key cost 74, 46 bytes 150 (measured)
)
_WAL_KEY_FACTOR: Final = 1.8  # a key is written once, and again when its page is split
_ENTRY_BYTES: Final = 16.0  # pointer in the page, header, padding
_FILL: Final = 0.9  # a fresh B-tree leaves a tenth of each leaf empty
_EMPTY_BYTES: Final = 16_384.0
_NAME_BYTES_MAX: Final = 63


_PLAIN: Final = re.compile(r"(?!current_|session_|system_)[a-z][a-z0-9]*_[a-z0-9_]*")  # never a key word


def quoted(name: str) -> str:
    """An identifier, safe in any statement."""
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def fresh_bytes(use: Row) -> float:
    """How large an index would be if it was built now."""
    return float(_EMPTY_BYTES + (use["entries"] or 0) * (_ENTRY_BYTES + (use["width_bytes"] or 0)) / _FILL)


def wal_bytes(width_bytes: float) -> float:
    """Log that one new entry writes."""
    return _WAL_ENTRY_BYTES + _WAL_KEY_FACTOR * width_bytes


def wal_stake(seen: Seen, entries: float, width_bytes: float) -> Stake:
    """What it brings to write that many entries less in the window, if the log is what limits. The check has the
    queries "wal" (WAL_POSITION) and is a delta check."""
    now = seen.row("wal")["wal_bytes"] - seen.first["wal"][0]["wal_bytes"]
    saved = entries * wal_bytes(width_bytes)
    return stake.wal_ceiling(now, now - saved) if 0 < saved < now else NO_STAKE


def new_entries(seen: Seen, table: str) -> float:
    """Entries that each index of a table got in the window: one a row that was inserted, one an update that was not
    HOT. `table` is qualified; of a partitioned one the children are counted."""
    return sum(
        float(row["n_tup_ins"] + row["n_tup_upd"] - row["n_tup_hot_upd"])
        for row in seen.changes("tables", "name", "n_tup_ins", "n_tup_upd", "n_tup_hot_upd")
        if row["name"] == table or (row["relispartition"] and table.endswith(".messages"))
    )


def drop(row: Row, children: Iterable[Row], note: str = "") -> Fix:
    """Drop an index that no constraint needs, and the way back. A partitioned index cannot go concurrently: its drop
    locks `messages` for a moment."""
    if row["partitioned"]:
        _, behind = row["definition"].split(" USING ", 1)
        back = create(row["index_name"], row["on_table"], row["is_unique"], behind, children)
        return Fix("D", (f"DROP INDEX {row['name']}",), back, note)
    back = (re.sub(r"^CREATE (UNIQUE )?INDEX ", r"CREATE \1INDEX CONCURRENTLY ", row["definition"]),)
    return Fix("D", (f"DROP INDEX CONCURRENTLY {row['name']}",), back, note)


def create(
    index: str, on_table: str, unique: bool, behind_using: str, children: Iterable[Row] | None
) -> tuple[str, ...]:
    """Make an index while others write. `children`: those of a partitioned table, None for an ordinary one. There the
    index is declared on the parent alone, built child by child, and counts once all are attached."""
    kind = "UNIQUE INDEX" if unique else "INDEX"
    if children is None:
        return (f"CREATE {kind} CONCURRENTLY {quoted(index)} ON {on_table} USING {behind_using}",)
    made = [f"CREATE {kind} {quoted(index)} ON ONLY {on_table} USING {behind_using}"]
    for child in children:
        made += attach(index, unique, behind_using, child)
    return tuple(made)


def _part_name(parent_index: str, number: str) -> str:
    """PostgreSQL cuts names at 63 bytes, and parts that are cut alike would be one: long ones become a digest."""
    name = f"{parent_index}_{number}"
    if len(name.encode()) <= _NAME_BYTES_MAX:
        return name
    return f"part_{hashlib.md5(parent_index.encode(), usedforsecurity=False).hexdigest()}_{number}"


def attach(
    parent_index: str, unique: bool, behind_using: str, child: Row, present: Mapping[str, Row] = MappingProxyType({})
) -> tuple[str, ...]:
    """Build the part of a partitioned index that lies in one child, and attach it. `present`: indexes by name, among
    which an attempt that was broken off may have left this part, built or not."""
    schema = child["name"].removesuffix(quoted(child["relname"])).removesuffix(child["relname"])
    part = _part_name(parent_index, child["relname"].rpartition("_")[2])
    name = quoted(part)
    kind = "UNIQUE INDEX" if unique else "INDEX"
    lines = []
    if part in present and not present[part]["usable"]:
        lines.append(f"DROP INDEX CONCURRENTLY {schema}{name}")
    if part not in present or not present[part]["usable"]:
        lines.append(f"CREATE {kind} CONCURRENTLY {name} ON {child['name']} USING {behind_using}")
    return (*lines, f"ALTER INDEX {schema}{quoted(parent_index)} ATTACH PARTITION {schema}{name}")
