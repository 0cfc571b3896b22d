"""Messages from a file or a pipe: NDJSON, plain text or CSV. Reads in bounded memory and never ahead of need.

A line of NDJSON is the payload, kept byte for byte; a line of text becomes a JSON string, a record of CSV an object.
What cannot be sent raises InvalidRequest with the file's name and the line's number; the lines before it are handed
out first.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import msgspec
from msgspec import Raw

from queen.cli.traffic.blocking import read_chunk
from queen.cli.traffic.csv_records import CsvRecords
from queen.cli.traffic.fields import TransactionIds, partition_by_field
from queen.cli.traffic.place import Format, Place, Reading
from queen.cli.traffic.source import ITEM_BYTES, Chunk, lane_of
from queen.client import NewMessage
from queen.errors import InvalidRequest

LINE_BYTES_MAX = 64 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class LineOptions:
    """How lines become messages. Without `partition_by`: one partition `Default`, or `partitions` of them in turn."""

    queue: str
    format: Format = "auto"
    partition_by: str | None = None
    partition_default: str | None = None
    partitions: int | None = None
    ids: TransactionIds = field(default_factory=TransactionIds)
    csv_delimiter: str = ","
    csv_types: bool = False


class Piece(NamedTuple):
    """Some messages of a file, perhaps none, and the place after them; None in the middle of a record."""

    chunk: Chunk
    place: Place | None


async def read_lines(
    descriptor: int, name: str, bytes_max: int = LINE_BYTES_MAX, reading: Reading | None = None, seen: int = 0
) -> AsyncIterator[list[bytes]]:
    """Whole lines without their ends, as soon as there are some. A last line without an end counts too.

    `reading` is kept at the bytes that were handed out; `seen` lines came before."""
    rest = bytearray()
    reading = reading or Reading()
    while data := await _read(descriptor, name):
        rest += data
        # Only the new piece is searched: a long line would be searched again and again otherwise.
        if b"\n" in data:
            *lines, tail = bytes(rest).split(b"\n")
            rest = bytearray(tail)
            seen += len(lines)
            reading.bytes_read += sum(map(len, lines)) + len(lines)
            yield [line.removesuffix(b"\r") for line in lines]
        if len(rest) > bytes_max:
            raise InvalidRequest(
                f"{name}, line {seen + 1}: longer than {bytes_max} bytes",
                hint="Is it a text file?",
            )
    if rest:
        reading.bytes_read += len(rest)
        yield [bytes(rest).removesuffix(b"\r")]


async def _read(descriptor: int, name: str) -> bytes:
    try:
        return await read_chunk(descriptor)
    except OSError as error:
        raise InvalidRequest(f"cannot read {name}: {(error.strerror or str(error)).lower()}") from error


async def line_messages(
    descriptor: int,
    name: str,
    options: LineOptions,
    start: Place,
    reading: Reading,
) -> AsyncIterator[Piece]:
    """The messages of a file, from the place `start` where the descriptor stands. Lines of one partition keep their
    order."""
    before = reading.bytes_read
    parser = _Parser(name, options, start) if start.offset else None
    async for lines in read_lines(descriptor, name, reading=reading, seen=start.line):
        if parser is None:
            lines[0] = lines[0].removeprefix(_BOM)
            first = next((line for line in lines if line.strip()), b"")
            parser = _Parser(name, options, replace(start, format=_format(first, name, options.format)))
        chunk, problem = parser.parse(lines)
        if problem is not None:
            yield Piece(chunk, None)
            raise problem
        whole = parser.at_border
        yield Piece(chunk, parser.place(start.offset + reading.bytes_read - before) if whole else None)
    if parser is not None:
        parser.finish()


def _format(first: bytes, name: str, format: Format) -> Format:
    """The file's format: told, or by its name, or by its first line. A log line such as `[12:00] …` is text."""
    if format != "auto":
        return format
    text = first.strip()
    by_name = name.endswith((".ndjson", ".jsonl"))
    ndjson = by_name or text.startswith(b"{") or (text.startswith(b"[") and _is_json(text))
    return "ndjson" if ndjson else "lines"


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text, type=Raw)
    except msgspec.DecodeError:
        return False
    return True


_HINTS: dict[Format, str] = {
    "ndjson": "Every line is to be one JSON document; --format lines takes any text.",
    "csv": "The first record names the fields; see --csv-delimiter.",
}


class _Parser:
    """Turns lines into messages and counts them."""

    def __init__(self, name: str, options: LineOptions, start: Place) -> None:
        format = start.format
        if format == "lines" and (options.partition_by or options.ids.source):
            raise InvalidRequest(
                f"{name} holds plain lines, which have no field to partition by or to take ids from",
                hint="See --format.",
            )
        self._name = name
        self._id_name = os.path.basename(name)
        self._queue = options.queue
        self._ids = options.ids
        self._format = format
        self._csv = CsvRecords(options.csv_delimiter, typed=options.csv_types) if format == "csv" else None
        if self._csv is not None:
            self._csv.go_on(start.line, start.names)
        self._partition = _partitioner(options, start.messages)
        self._line = start.line
        self._messages = start.messages

    def parse(self, lines: list[bytes]) -> tuple[Chunk, InvalidRequest | None]:
        """The messages up to the first line that cannot be sent, and what is wrong with it."""
        chunk: Chunk = []
        for line in lines:
            self._line += 1
            if self._format == "ndjson" and not line.strip():
                continue
            try:
                message = self._message(line)
            except (ValueError, msgspec.DecodeError) as error:
                return chunk, self._problem(error)
            if message is not None:
                lane = lane_of(message.partition) if message.partition else 0
                chunk.append((lane, (message, len(bytes(message.payload)) + ITEM_BYTES)))
        self._messages += len(chunk)
        return chunk, None

    @property
    def at_border(self) -> bool:
        """Is nothing held back, as the first lines of a record are?"""
        return self._csv is None or not self._csv.is_open

    def place(self, offset: int) -> Place:
        """Where this file is, at a border: what `_Parser` needs to go on from there."""
        names = self._csv.names if self._csv is not None else None
        return Place(0, offset, self._line, self._messages, self._format, names)

    def finish(self) -> None:
        """Raises InvalidRequest when the input ended in the middle of a record."""
        try:
            if self._csv is not None:
                self._csv.finish()
        except ValueError as error:
            raise self._problem(error) from error

    def _problem(self, error: Exception) -> InvalidRequest:
        line = self._line if self._csv is None else self._csv.began_on
        hint = getattr(error, "hint", _HINTS.get(self._format))
        return InvalidRequest(f"{self._name}, line {line}: {error}", hint=hint)

    def _message(self, line: bytes) -> NewMessage | None:
        """None when the line holds no message of its own: a header, or a part of a record."""
        number = self._line
        if self._csv is not None:
            record = self._csv.take(line)
            if record is None:
                return None
            payload, line, number = Raw(record[0]), record[1], self._csv.began_on
        elif self._format == "ndjson":
            payload = _json_payload(line)
        else:
            payload = Raw(msgspec.json.encode(_text(line)))
        transaction_id = self._ids.of(payload, self._id_name, number, line)
        return NewMessage(self._queue, payload, partition=self._partition(payload), transaction_id=transaction_id)


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


def _partitioner(options: LineOptions, messages: int) -> Callable[[Raw], str | None]:
    """payload → partition name, None for the default one. `messages` had their turn before."""
    if options.partition_by is not None:
        name, default = options.partition_by, options.partition_default
        return lambda payload: partition_by_field(payload, name, default)
    if options.partitions is not None:
        partitions, turns = options.partitions, itertools.count(messages)
        return lambda _: f"p{next(turns) % partitions}"
    return lambda _: None
