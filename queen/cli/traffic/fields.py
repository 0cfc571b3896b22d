"""Looks up fields of JSON payloads, and what is made of them: partition names and transaction ids.

A transaction id that is the same in every run makes a reload harmless: what is stored already counts as a duplicate.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import msgspec
from msgspec import Raw

from queen.model import NAME_LENGTH_MAX, new_transaction_id


class MissingField(ValueError):
    """A payload lacks the field that was asked for; `hint` says what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class TransactionIds:
    """Where the id of a record comes from: the dotted field `source`, else (`default` is "line") its place and content.

    Without both, each run makes up new ids."""

    source: str | None = None
    default: Literal["line"] | None = None

    def of(self, payload: Raw, name: str, line: int, content: bytes) -> str:
        """The id of one record. Raises MissingField, or ValueError when the value is too long."""
        if self.source is not None:
            text = field_text(payload, self.source)
            if text is not None:
                return _bounded(text, self.source, "a transaction id")
            if self.default is None:
                raise MissingField(
                    f"no text or number in the field {self.source!r} for the transaction id",
                    "Give such lines an id with --transaction-id-default line.",
                )
        return line_id(name, line, content) if self.default == "line" else new_transaction_id()


def line_id(name: str, line: int, content: bytes) -> str:
    """The same for the same line of the same file. The content counts too, so that a new file under an old name
    is not taken for the old one."""
    place = hashlib.blake2b(f"{name}\0{line}\0".encode("utf-8", "surrogateescape"), digest_size=16)
    place.update(content)
    return f"line-{place.hexdigest()}"


def partition_by_field(payload: Raw, field: str, default: str | None) -> str:
    """The partition named by the (dotted) field's value: a text as it is, a number or boolean as JSON writes it."""
    text = field_text(payload, field)
    if text is not None:
        return _bounded(text, field, "a partition name")
    if default is None:
        raise MissingField(
            f"no text or number in the field {field!r} to partition by",
            "Name a partition for such lines with --partition-default.",
        )
    return default


def field_text(payload: Raw, field: str) -> str | None:
    """The value of a field as text; None when it is absent, empty, null, an object or an array."""
    value = _look_up(payload, field)
    text = "" if value is None else bytes(value).decode()
    if text.startswith('"'):
        return msgspec.json.decode(text, type=str) or None
    return None if text in ("", "null") or text[0] in "[{" else text


def _bounded(text: str, field: str, what: str) -> str:
    if len(text) > NAME_LENGTH_MAX:
        raise ValueError(f"the field {field!r} is too long for {what} ({NAME_LENGTH_MAX} characters at most)")
    return text


def _look_up(value: Raw, field: str) -> Raw | None:
    """The value of a field, by its whole name or else along the dots. None when there is none."""
    try:
        members = msgspec.json.decode(value, type=dict[str, Raw])
    except msgspec.ValidationError:
        return None
    if field in members:
        return members[field]
    head, dot, tail = field.partition(".")
    return _look_up(members[head], tail) if dot and head in members else None
