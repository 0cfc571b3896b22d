"""CSV, line by line, as JSON objects: the first record names the members. Knows neither files nor messages.

Quoted fields may hold delimiters, doubled quotes and line ends. A record is whole when its quotes are even in number,
so a single quote in the middle of an unquoted field is not understood, as RFC 4180 has it.
"""

from __future__ import annotations

import csv
import re

import msgspec

RECORD_BYTES_MAX = 64 * 1024 * 1024
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORDS = {"true": b"true", "false": b"false", "": b"null"}


class CsvRecords:
    """Takes lines without their ends, gives records. `began_on` is the line on which the record at hand began."""

    def __init__(self, delimiter: str = ",", *, typed: bool = False) -> None:
        self._delimiter = delimiter
        self._typed = typed
        self.names: tuple[str, ...] | None = None
        self._members: list[bytes] | None = None
        self._open: list[bytes] = []
        self._bytes = 0
        self._quotes = 0
        self._line = 0
        self.began_on = 1

    def go_on(self, line: int, names: tuple[str, ...] | None) -> None:
        """Begin after `line` lines of an input whose header named these fields."""
        self._line = line
        if names is not None:
            self.names, self._members = names, _member_names(list(names))

    @property
    def is_open(self) -> bool:
        """Does a record wait for its other lines?"""
        return bool(self._open)

    def take(self, line: bytes) -> tuple[bytes, bytes] | None:
        """(JSON object, the record as it stood in the file) when the line ends a record, else None.

        Raises ValueError when the record cannot be read."""
        self._line += 1
        if not self._open:
            self.began_on = self._line
        self._open.append(line)
        self._bytes += len(line) + 1
        self._quotes += line.count(b'"')
        if self._bytes > RECORD_BYTES_MAX:
            raise ValueError(f"a record of more than {RECORD_BYTES_MAX} bytes; does a quoted field never end?")
        if self._quotes % 2:
            return None
        record = b"\n".join(self._open)
        self._open, self._bytes, self._quotes = [], 0, 0
        return self._read(record) if record.strip() else None

    def finish(self) -> None:
        """Raises ValueError when the input ended inside a quoted field."""
        if self._open:
            raise ValueError("the input ends inside a quoted field")

    def _read(self, record: bytes) -> tuple[bytes, bytes] | None:
        values = self._split(record)
        if self._members is None:
            self.names, self._members = tuple(values), _member_names(values)
            return None
        if len(values) != len(self._members):
            raise ValueError(f"{len(values)} fields, but the header has {len(self._members)}")
        members = (name + b":" + self._value(value) for name, value in zip(self._members, values, strict=True))
        return b"{" + b",".join(members) + b"}", record

    def _split(self, record: bytes) -> list[str]:
        try:
            rows = list(csv.reader([record.decode("utf-8")], delimiter=self._delimiter, strict=True))
        except UnicodeDecodeError as error:
            raise ValueError(f"not UTF-8: byte {error.start + 1}") from error
        except csv.Error as error:
            raise ValueError(f"not CSV: {error}") from error
        return rows[0]

    def _value(self, text: str) -> bytes:
        if self._typed:
            if text in _WORDS:
                return _WORDS[text]
            if _NUMBER.fullmatch(text):
                return text.encode()
        return msgspec.json.encode(text)


def _member_names(names: list[str]) -> list[bytes]:
    double = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if double is not None:
        raise ValueError(f"the header names {double!r} twice")
    if "" in names:
        raise ValueError(f"column {names.index('') + 1} of the header has no name")
    return [msgspec.json.encode(name) for name in names]
