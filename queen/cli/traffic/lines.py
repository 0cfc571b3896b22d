"""Messages from a file or a pipe, one a line: NDJSON or plain text. Reads in bounded memory and never ahead of need.

A line of NDJSON is the payload, kept byte for byte; a line of text becomes a JSON string. What cannot be sent raises
InvalidRequest with the file's name and the line's number; the lines before it are handed out first.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import msgspec
from msgspec import Raw

from queen.cli.traffic.blocking import read_chunk
from queen.cli.traffic.source import ITEM_BYTES, Chunk, lane_of
from queen.client import NewMessage
from queen.errors import InvalidRequest
from queen.model import NAME_LENGTH_MAX

LINE_BYTES_MAX = 64 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"

Format = Literal["auto", "ndjson", "lines"]


@dataclass(frozen=True, slots=True)
class LineOptions:
    """How lines become messages. Without `partition_by`: one partition `Default`, or `partitions` of them in turn."""

    queue: str
    format: Format = "auto"
    partition_by: str | None = None
    partition_default: str | None = None
    partitions: int | None = None


async def read_lines(descriptor: int, name: str, bytes_max: int = LINE_BYTES_MAX) -> AsyncIterator[list[bytes]]:
    """Whole lines without their ends, as soon as there are some. A last line without an end counts too."""
    rest, seen = bytearray(), 0
    while data := await _read(descriptor, name):
        rest += data
        # Only the new piece is searched: a long line would be searched again and again otherwise.
        if b"\n" in data:
            *lines, tail = bytes(rest).split(b"\n")
            rest = bytearray(tail)
            seen += len(lines)
            yield [line.removesuffix(b"\r") for line in lines]
        if len(rest) > bytes_max:
            raise InvalidRequest(
                f"{name}, line {seen + 1}: longer than {bytes_max} bytes",
                hint="Is it a text file?",
            )
    if rest:
        yield [bytes(rest).removesuffix(b"\r")]


async def _read(descriptor: int, name: str) -> bytes:
    try:
        return await read_chunk(descriptor)
    except OSError as error:
        raise InvalidRequest(f"cannot read {name}: {(error.strerror or str(error)).lower()}") from error


async def line_messages(descriptor: int, name: str, options: LineOptions) -> AsyncIterator[Chunk]:
    """The messages of a file. Lines of one partition keep their order."""
    parser: _Parser | None = None
    async for lines in read_lines(descriptor, name):
        if parser is None:
            lines[0] = lines[0].removeprefix(_BOM)
            first = next((line for line in lines if line.strip()), b"")
            parser = _Parser(name, options, _is_ndjson(first, name, options.format))
        chunk, problem = parser.parse(lines)
        if chunk:
            yield chunk
        if problem is not None:
            raise problem


def _is_ndjson(first: bytes, name: str, format: Format) -> bool:
    """The file's format: told, or by its name, or by its first line. A log line such as `[12:00] …` is text."""
    if format != "auto":
        return format == "ndjson"
    text = first.strip()
    return name.endswith((".ndjson", ".jsonl")) or text.startswith(b"{") or (text.startswith(b"[") and _is_json(text))


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text, type=Raw)
    except msgspec.DecodeError:
        return False
    return True


class _Parser:
    """Turns lines into messages and counts them."""

    def __init__(self, name: str, options: LineOptions, ndjson: bool) -> None:
        if options.partition_by and not ndjson:
            raise InvalidRequest(
                f"{name} holds plain lines, which have no field to partition by",
                hint="See --format.",
            )
        self._name = name
        self._queue = options.queue
        self._ndjson = ndjson
        self._partition = _partitioner(options)
        self._line = 0

    def parse(self, lines: list[bytes]) -> tuple[Chunk, InvalidRequest | None]:
        """The messages up to the first line that cannot be sent, and what is wrong with it."""
        chunk: Chunk = []
        for line in lines:
            self._line += 1
            if self._ndjson and not line.strip():
                continue
            try:
                message = self._message(line)
            except (ValueError, msgspec.DecodeError) as error:
                hint = (
                    None
                    if not self._ndjson
                    else "Every line is to be one JSON document; --format lines takes any text."
                )
                problem = InvalidRequest(
                    f"{self._name}, line {self._line}: {error}",
                    hint=getattr(error, "hint", hint),
                )
                return chunk, problem
            lane = lane_of(message.partition) if message.partition else 0
            chunk.append((lane, (message, len(line) + ITEM_BYTES)))
        return chunk, None

    def _message(self, line: bytes) -> NewMessage:
        payload = _json_payload(line) if self._ndjson else Raw(msgspec.json.encode(_text(line)))
        return NewMessage(self._queue, payload, partition=self._partition(payload))


def _json_payload(line: bytes) -> Raw:
    """The line as it is, once it is proven to be JSON."""
    _text(line)
    try:
        return msgspec.json.decode(line, type=Raw)
    except msgspec.DecodeError as error:
        raise ValueError(f"not JSON: {error}") from error


def _text(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: byte {error.start + 1}") from error


def _partitioner(options: LineOptions) -> Callable[[Raw], str | None]:
    """payload → partition name, None for the default one."""
    if options.partition_by is not None:
        field, default = options.partition_by, options.partition_default
        return lambda payload: _by_field(payload, field, default)
    if options.partitions is not None:
        turns: Iterator[int] = itertools.cycle(range(options.partitions))
        return lambda _: f"p{next(turns)}"
    return lambda _: None


def _by_field(payload: Raw, field: str, default: str | None) -> str:
    """The partition named by the (dotted) field's value: a text as it is, a number or boolean as JSON writes it."""
    value = _look_up(payload, field)
    text = "" if value is None else bytes(value).decode()
    if text.startswith('"'):
        text = msgspec.json.decode(text, type=str)
    if text in ("", "null") or text[0] in "[{":
        if default is None:
            raise MissingField(f"no text or number in the field {field!r} to partition by")
        return default
    if len(text) > NAME_LENGTH_MAX:
        raise ValueError(f"the field {field!r} is too long for a partition name ({NAME_LENGTH_MAX} characters at most)")
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


class MissingField(ValueError):
    """A line has nothing to be partitioned by."""

    hint = "Name a partition for such lines with --partition-default."
