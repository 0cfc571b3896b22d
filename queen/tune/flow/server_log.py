"""Errors in the server's log that were not there before a change. Read through the session, so the server may be far.

A log holds errors of every program that uses the server. What counts as new is a kind of error (its text without
numbers and names) that the last part of the log before the change does not have, and that no restart brings with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from queen.errors import CannotChange, CannotLook
from queen.sql import catalog
from queen.store.alter import identifier
from queen.tune.flow.live import Row, Session

PART_BYTES: Final = 1 << 20
"""Of each file at most its last so many bytes are read."""
FILES_MAX: Final = 5
KINDS_MAX: Final = 500
SHOWN_MAX: Final = 10

_PLAIN: Final = re.compile(r"\b(ERROR|FATAL|PANIC):\s+(.+)")
_CSV: Final = re.compile(r",(ERROR|FATAL|PANIC),[0-9A-Z]{5},\"?(.+)")
_JSON: Final = re.compile(r'"error_severity":"(ERROR|FATAL|PANIC)".*?"message":"(.+?)(?<!\\)"')
_VARIES: Final = re.compile(r"\"[^\"]*\"|'[^']*'|[0-9]+")
_OF_A_RESTART: Final = (
    "terminating connection due to administrator command",
    "the database system is starting up",
    "the database system is shutting down",
    "the database system is not yet accepting connections",
)


_GRANTS: Final = (
    "GRANT pg_monitor, pg_read_server_files TO {role}; "
    "GRANT EXECUTE ON FUNCTION pg_current_logfile(), pg_read_binary_file(text, bigint, bigint) TO {role};"
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the log, and which kinds of errors there were before it."""

    file: str
    size: int
    at: float
    known: tuple[str, ...]

    def knowing(self, kinds: Iterable[str]) -> Mark:
        """The same with more kinds that are nothing new."""
        return Mark(self.file, self.size, self.at, tuple(sorted({*self.known, *kinds}))[:KINDS_MAX])


@dataclass(frozen=True, slots=True)
class Unread:
    """Why the log cannot be read, and the line that would enable it."""

    reason: str
    enable: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """What the log has since a mark: the first error of each new kind, oldest first, and every kind. `whole`: all of
    it was read, and not only the newest part."""

    errors: tuple[str, ...]
    kinds: tuple[str, ...]
    whole: bool


def mark(session: Session) -> Mark | Unread:
    """Where the log stands now."""
    found = _files(session)
    if isinstance(found, Unread):
        return found
    current = next((row for row in found if row["current"].endswith(row["name"])), None)
    if current is None:
        return Unread("the server's log has no file yet")
    size = int(current["size"])
    begin = max(0, size - PART_BYTES)
    text = _part(session, current["current"], begin, size - begin)
    if isinstance(text, Unread):
        return text
    kinds = {kind for kind, _ in _errors(text)}
    return Mark(current["name"], size, float(current["now"]), tuple(sorted(kinds))[:KINDS_MAX])


def since(session: Session, mark: Mark) -> Told | Unread:
    """The errors since then."""
    found = _files(session)
    if isinstance(found, Unread):
        return found
    newer = sorted((row for row in found if float(row["changed_at"]) >= mark.at - 1), key=lambda row: row["changed_at"])
    first: dict[str, str] = {}
    whole = len(newer) <= FILES_MAX
    for row in newer[-FILES_MAX:]:
        size = int(row["size"])
        begin = mark.size if row["name"] == mark.file and size >= mark.size else 0
        read_from = max(begin, size - PART_BYTES)
        whole = whole and read_from == begin
        folder = row["current"].rpartition("/")[0]
        text = _part(session, f"{folder}/{row['name']}" if folder else row["name"], read_from, size - read_from)
        if isinstance(text, Unread):
            return text
        for kind, line in _errors(text):
            first.setdefault(kind, line)
    new = [line for kind, line in first.items() if kind not in mark.known]
    return Told(tuple(new[:SHOWN_MAX]), tuple(first), whole)


def as_dict(mark: Mark) -> dict[str, Any]:
    """For the journal."""
    return {"file": mark.file, "size": mark.size, "at": mark.at, "known": list(mark.known)}


def from_dict(data: Any) -> Mark:
    """Of the journal. Raises KeyError, TypeError, ValueError for what is none."""
    return Mark(str(data["file"]), int(data["size"]), float(data["at"]), tuple(map(str, data["known"])))


def _files(session: Session) -> list[Row] | Unread:
    facts = session.rows(catalog("flow_log"))[0]
    if not facts["collected"]:
        return Unread(
            "the server leaves its log to whoever started it",
            "ALTER SYSTEM SET logging_collector = on; and a restart",
        )
    if not facts["may_list"] or not facts["may_read"]:
        return Unread("this role may not read the log", _GRANTS.format(role=identifier(str(facts["role"]))))
    if facts["language"] not in ("", "C", "POSIX") and not facts["language"].lower().startswith(("en", "c.")):
        return Unread(
            f"its messages are in another language ({facts['language']})", "ALTER SYSTEM SET lc_messages = 'C'"
        )
    try:
        rows = session.rows(catalog("flow_log_files"))
    except (CannotChange, CannotLook) as error:
        return Unread(error.message)
    return [row for row in rows if row["current"] is not None]


def _part(session: Session, path: str, begin: int, size: int) -> str | Unread:
    if size <= 0:
        return ""
    try:
        rows = session.rows(catalog("flow_log_part"), {"path": path, "from_byte": begin, "bytes": size})
    except (CannotChange, CannotLook) as error:
        return Unread(error.message)
    return bytes(rows[0]["content"]).decode("utf-8", errors="replace")


def _errors(text: str) -> Iterator[tuple[str, str]]:
    """(kind, line) of each error; a first line that was cut is no harm, for it only lacks its beginning."""
    for line in text.splitlines():
        match = _PLAIN.search(line) or _CSV.search(line) or _JSON.search(line)
        if match is None or any(words in match[2] for words in _OF_A_RESTART):
            continue
        yield f"{match[1]} {_VARIES.sub('…', match[2])[:200]}", line.strip()[:300]
