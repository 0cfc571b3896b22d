"""Logging set-up, called once by the command line: text for people or JSON for machines, to standard error, in UTC.

Modules log with the standard library, an event word first and facts as `extra=` fields or `key=value` text:
`logger.info("started", extra={"port": 6632})`. Knows nothing of who logs what.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}
"""Attributes that every record has; whatever else it carries came in by `extra=`."""


def setup(format: str, level: str) -> None:
    """Send all logging of the process to standard error, as "text" or "json", from `level` up.

    Calling it again replaces what the last call set up.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    # What these say at lower levels (a pid, a connection by its address) tells an operator nothing.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    # A failing write, such as a closed terminal, must not print a traceback per line.
    logging.raiseExceptions = False


class TextFormatter(logging.Formatter):
    """`2026-01-31T12:00:00.000Z INFO queen.server started port=6632`"""

    def format(self, record: logging.LogRecord) -> str:
        facts = "".join(f" {name}={_text(value)}" for name, value in _extra(record).items())
        line = f"{_time(record)} {record.levelname} {record.name} {_one_line(record.getMessage())}{facts}"
        details = _details(self, record)
        return f"{line}\n{details}" if details else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, then the `extra=` fields under their own names."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in _extra(record).items():
            entry[f"{name}_" if name in entry else name] = value
        details = _details(self, record)
        if details:
            entry["error"] = details
        return json.dumps(entry, ensure_ascii=False, default=str).encode("utf-8", "replace").decode()


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _details(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = []
    if record.exc_info:
        parts.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(parts)


def _one_line(text: str) -> str:
    """Text that cannot forge a second log line."""
    return text.replace("\r", "\\r").replace("\n", "\\n")


def _text(value: object) -> str:
    """A fact as text; quoted where a space or a quote would make it ambiguous."""
    text = str(value)
    plain = text and not any(c in ' "=' or not c.isprintable() for c in text)
    return text if plain else json.dumps(text, ensure_ascii=False)
