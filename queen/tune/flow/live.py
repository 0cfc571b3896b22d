"""What a server has now, read in a few small statements, and how one wish stands against it.

A session sees a setting as its own role has it, and Queen's role has settings of its own. What the server has for
others is then told by its files alone, so a server's own value is judged by both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from queen.errors import CannotChange, CannotLook
from queen.sql import catalog
from queen.tune.flow.wanted import Wanted
from queen.tune.served import Served, is_so, served, shown
from queen.tune.sizes import number_of

Row = dict[str, Any]
State = Literal["so", "pending", "differs"]

MESSAGES: Final = "messages"
NOT_THE_SERVERS: Final = frozenset({"database", "user", "database user", "client", "session", "interactive"})
"""Sources of a value that this session has and others need not."""

FIXED: Final = frozenset({"command line", "environment variable"})
"""Sources that outrank every file. Not so "override": up to 14 that is a size that the server chose by itself."""

_SWITCH: Final = {"on": "on", "true": "on", "yes": "on", "off": "off", "false": "off", "no": "off"}


class Session(Protocol):
    """What is needed of `store.inspect` and of `store.operate`."""

    def rows(self, text: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """The rows of one statement."""
        ...


@dataclass(frozen=True, slots=True)
class FileLine:
    """One setting in a configuration file."""

    file: str
    number: int
    name: str | None
    value: str | None
    error: str | None

    @property
    def automatic(self) -> bool:
        """Whether ALTER SYSTEM wrote it."""
        return self.file.endswith("postgresql.auto.conf")


@dataclass(frozen=True, slots=True)
class Found:
    """How one wish stands. `value`: what is there now, None for nothing of its own; `source`: where that comes from."""

    wanted: Wanted
    value: str | None
    source: str
    state: State
    file: str | None = None


@dataclass(frozen=True, slots=True)
class Live:
    """A server at one moment. `files` is None without the right to see them."""

    facts: Row
    settings: Mapping[str, Served]
    boot: Mapping[str, str]
    files: tuple[FileLine, ...] | None
    tables: Mapping[str, Mapping[str, str]]
    parents: Mapping[str, str]
    not_owned: frozenset[str]
    role: str
    role_settings: Mapping[str, str]
    role_in_database: Mapping[str, str]
    role_row: Row = field(default_factory=dict)

    @property
    def children(self) -> dict[str, list[str]]:
        """Tables by the table they are children of."""
        found: dict[str, list[str]] = {MESSAGES: []}
        for table, parent in self.parents.items():
            found.setdefault(parent, []).append(table)
        return found

    @property
    def pending(self) -> list[str]:
        """Settings that wait for a restart. PostgreSQL leaves the mark on one that was set and then taken back, until
        it is restarted; those are none."""
        return [name for name, setting in self.settings.items() if setting.pending_restart and self._waits(setting)]

    def _waits(self, setting: Served) -> bool:
        if self.files is None:
            return True
        written = self.in_files(setting.name)
        if written is None:
            return setting.source == "configuration file"
        return not is_so(setting.name, written.value or "", {setting.name: _settled(setting)})

    def in_files(self, name: str) -> FileLine | None:
        """The line of the files that counts for a setting; None when there is none, or they may not be seen."""
        lines = [line for line in self.files or () if line.name == name]
        return lines[-1] if lines else None


def read(session: Session, schema: str, role: str | None, names: Iterable[str]) -> Live:
    """Look at the server. `role`: whose settings are meant, by default that of the session. Raises like `rows`."""
    facts = session.rows(catalog("flow_server"))[0]
    role = role or str(facts["role"])
    rows = session.rows(catalog("flow_settings"), {"names": list(names)})
    tables = session.rows(catalog("flow_tables"), {"schema": schema})
    of_role = session.rows(catalog("flow_roles"), {"role": role})
    return Live(
        facts=facts,
        settings=served(rows),
        boot={row["name"]: row["boot_val"] or "" for row in rows},
        files=_files(session) if facts["may_see_files"] else None,
        tables={row["table_name"]: _pairs(row["parameters"]) for row in tables},
        parents={row["table_name"]: row["parent"] for row in tables if row["parent"]},
        not_owned=frozenset(row["table_name"] for row in tables if not row["owned"]),
        role=role,
        role_settings=_pairs(row["setting"] for row in of_role if row["scope"] == "role"),
        role_in_database=_pairs(row["setting"] for row in of_role if row["scope"] == "database"),
        role_row=of_role[0] if of_role else {},
    )


def compare(wanted: Iterable[Wanted], live: Live) -> list[Found]:
    """Each wish and how it stands, in the same order."""
    return [_of_server(wish, live) if wish.kind == "server" else _of_object(wish, live) for wish in wanted]


def same(name: str, one: str | None, other: str | None, live: Live) -> bool:
    """Whether two texts are the same value of a setting: 1GB and 1024MB, off and false. None is no value."""
    if one is None or other is None:
        return one is other
    setting = live.settings.get(name)
    if setting is not None and setting.vartype in ("integer", "real"):
        numbers = number_of(one, setting.unit), number_of(other, setting.unit)
        if None not in numbers:
            return numbers[0] == numbers[1]
    return _plain(one) == _plain(other)


def _of_server(wish: Wanted, live: Live) -> Found:
    setting = live.settings.get(wish.name)
    if setting is None:
        return Found(wish, None, "unknown to this server", "differs")
    written = live.in_files(wish.name)
    if setting.source in NOT_THE_SERVERS:
        # What this session has is its role's own value: the files tell what the others have.
        value = written.value if written else live.boot.get(wish.name)
        file = written.file if written else None
        so = same(wish.name, wish.value, value, live)
        return Found(wish, value, "configuration file" if written else "default", "so" if so else "differs", file)
    if is_so(wish.name, wish.value, {wish.name: _settled(setting)}):
        # A value that a file is about to change is not so any longer.
        stays = wish.name not in live.pending
        return Found(wish, shown(setting), setting.source, "so" if stays else "differs", setting.sourcefile)
    waits = setting.pending_restart and written is not None and same(wish.name, wish.value, written.value, live)
    return Found(wish, shown(setting), setting.source, "pending" if waits else "differs", setting.sourcefile)


def _of_object(wish: Wanted, live: Live) -> Found:
    has = live.role_settings if wish.kind == "role" else live.tables.get(wish.object, {})
    value = has.get(wish.name)
    if wish.kind == "role" and wish.name in live.role_in_database:
        value = live.role_in_database[wish.name]
        so = same(wish.name, wish.value, value, live)
        return Found(wish, value, "role in this database", "so" if so else "differs")
    if wish.kind == "table" and wish.object not in live.tables:
        return Found(wish, None, "no such table", "differs")
    so = same(wish.name, wish.value, value, live)
    return Found(wish, value, wish.kind if value is not None else "default", "so" if so else "differs")


def _settled(setting: Served) -> Served:
    return dataclasses.replace(setting, pending_restart=False)


def _files(session: Session) -> tuple[FileLine, ...] | None:
    try:
        rows = session.rows(catalog("flow_files"))
    except (CannotLook, CannotChange):
        return None
    return tuple(
        FileLine(row["sourcefile"] or "", row["sourceline"] or 0, row["name"], row["setting"], row["error"])
        for row in rows
    )


def _pairs(entries: Iterable[str]) -> dict[str, str]:
    split = (entry.partition("=") for entry in entries)
    return {name: value for name, _, value in split}


def _plain(text: str) -> str | float:
    word = text.strip().strip("'\"").lower()
    if word in _SWITCH:
        return _SWITCH[word]
    number = number_of(word, None)
    return word.replace(" ", "") if number is None else number
