"""A push of any length: items as lines (NDJSON), stored in batches as they arrive, answered line by line.

    pieces → whole lines (Lines) → messages gathered → one batch in flight → its result lines → …

One batch at a time is on its way, and the next one gathers meanwhile: so the order of the lines is the order of the
messages, and nothing is stored behind a batch that failed. What is read and not answered is counted against the memory
budget; without room, or with a client that does not read its results, nothing more is read.

The stream ends with a line {"done": true, …}. When the database goes away in its middle it ends with an error line
instead: what has a result line is settled, the rest may or may not be stored, and is sent again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable
from typing import Any

from starlette.types import Receive, Scope, Send

from queen import errors, wire
from queen.engine.engine import Engine
from queen.engine.memory import REQUEST_FACTOR
from queen.engine.mode import operation_bytes_max, operation_messages_max
from queen.engine.push import PushRequest
from queen.model import NewMessage
from queen.server import answers, query
from queen.server.body import close_soon
from queen.server.errors import Headers, body, respond
from queen.server.lines import Lines
from queen.server.protocol import CONNECTION
from queen.server.write import write

log = logging.getLogger(__name__)

TYPE = b"application/x-ndjson"
_PAUSE_S = 0.05
_PIECE_BYTES = 320 << 10  # What one read may bring: uvicorn's high-water mark and a read of the event loop.
_ENTRY_BYTES = 300  # What a message costs beside its payload, in bytes.

Entry = NewMessage | errors.QueenError


class PushStream:
    """One streamed push."""

    def __init__(self, engine: Engine, stall_s: float, scope: Scope, receive: Receive, send: Send) -> None:
        self._engine = engine
        self._memory = engine.memory
        self._stall_s = stall_s
        self._scope = scope
        self._receive = receive
        self._send = send
        self._connection = scope.get(CONNECTION)
        self._queue, self._partition = query.push_defaults(scope["query_string"])
        self._messages_max = operation_messages_max(engine.settings)
        self._bytes_max = operation_bytes_max(engine.settings)
        self._lines = Lines(engine.settings.payload_bytes_max)
        self._gathered: list[Entry] = []
        self._gathered_bytes = 0
        self._flying: asyncio.Task[None] | None = None
        self._flying_bytes = 0
        self._reading: asyncio.Future[Any] | None = None
        self._held = 0
        self._ended = False
        self._gone = False
        self._started = False
        self._counts = {"received": 0, "queued": 0, "duplicate": 0, "failed": 0}

    async def run(self) -> None:
        """Until the last line is answered, or the client has gone. Raises nothing of what is the client's business."""
        try:
            self._memory.admit(_PIECE_BYTES * REQUEST_FACTOR)
            self._memory.release(_PIECE_BYTES * REQUEST_FACTOR)
            await self._go_on()
            if not self._gone:
                await self._finish(wire.encode({"done": True, **self._counts}))
        except errors.QueenError as error:
            await self._fail(error)
        except Exception:
            log.exception("request failed")
            await self._fail(errors.QueenError("internal error", hint="the log of the server has the details"))
        finally:
            self._set_patient(False)
            for task in (self._reading, self._flying):
                if task is not None:
                    task.cancel()
            self._count(0)

    async def _go_on(self) -> None:
        """Read, store and answer to the end, or until the client has gone."""
        while True:
            if self._gone:
                await self._land()
                return
            if self._gathered and (self._flying is None or self._is_full()):
                await self._land()
                self._launch()
            elif self._ended and self._flying is None:
                return
            elif self._ended:
                await self._land()
            elif self._has_room():
                await self._read()
            elif self._flying is not None:
                await self._land()
            else:
                await self._patiently(self._wait_for_room())

    def _is_full(self) -> bool:
        return (
            len(self._gathered) >= self._messages_max
            or self._gathered_bytes >= self._bytes_max
            or self._ended
            or not self._has_room()
        )

    # -- in ---------------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        """The next piece, or the end of the batch in flight, whatever comes first."""
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._receive())
        waiting: set[asyncio.Future[Any]] = {self._reading}
        if self._flying is not None:
            waiting.add(self._flying)
        # While a batch is in flight the client may wait for its results before it goes on.
        self._set_patient(self._flying is not None)
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if self._flying is not None and self._flying.done():
            await self._land()
        if self._reading.done():
            message, self._reading = self._reading.result(), None
            if message["type"] == "http.disconnect":
                self._gone = True
                return
            self._ended = not message.get("more_body")
            self._take(message.get("body", b""))

    def _take(self, piece: bytes) -> None:
        for found in self._lines.feed(piece, last=self._ended):
            if isinstance(found, errors.QueenError):
                self._gathered.append(found)
                continue
            entries: list[Entry] = [*wire.decode_push_lines(found, self._queue, self._partition)]
            if len(found) > self._engine.settings.payload_bytes_max:
                entries = [self._checked(entry) for entry in entries]
            self._gathered += entries
            self._gathered_bytes += sum([_size(entry) for entry in entries])
        self._count()

    def _checked(self, entry: Entry) -> Entry:
        try:
            if isinstance(entry, NewMessage):
                self._engine.limits.check_payload(len(entry.payload))
        except errors.PayloadTooLarge as error:
            return error
        return entry

    def _has_room(self) -> bool:
        memory = self._memory
        return memory.requests <= self._held or memory.has_room(_PIECE_BYTES * REQUEST_FACTOR)

    async def _wait_for_room(self) -> None:
        until = time.monotonic() + self._stall_s
        while not self._has_room():
            if time.monotonic() > until:
                self._memory.admit(_PIECE_BYTES * REQUEST_FACTOR)  # Says why.
                self._memory.release(_PIECE_BYTES * REQUEST_FACTOR)
            await asyncio.sleep(_PAUSE_S)

    def _count(self, held: int | None = None) -> None:
        """Bring the budget up to date with what this stream holds."""
        if held is None:
            held = (self._lines.size + self._gathered_bytes + self._flying_bytes) * REQUEST_FACTOR
        self._memory.requests += held - self._held
        self._held = held

    def _set_patient(self, patient: bool) -> None:
        if self._connection is not None:
            self._connection.patient = patient

    async def _patiently(self, work: Awaitable[None]) -> None:
        self._set_patient(True)
        await work
        self._set_patient(False)

    # -- out --------------------------------------------------------------------------------------------------------

    def _launch(self) -> None:
        """Send off what is gathered, as much as one operation takes."""
        size = count = 0
        for entry in self._gathered[: self._messages_max]:
            if count and size + _size(entry) > self._bytes_max:
                break
            size += _size(entry)
            count += 1
        batch, self._gathered = self._gathered[:count], self._gathered[count:]
        self._gathered_bytes -= size
        self._flying_bytes = size
        self._flying = asyncio.get_running_loop().create_task(self._fly(batch))

    async def _land(self) -> None:
        """Wait for the batch in flight. Raises what ends the stream."""
        if self._flying is not None:
            await self._patiently(self._flying)
            self._flying, self._flying_bytes = None, 0
            self._count()

    async def _fly(self, batch: list[Entry]) -> None:
        first = self._counts["received"]
        places = [first + place for place, entry in enumerate(batch) if isinstance(entry, NewMessage)]
        request = await self._push([entry for entry in batch if isinstance(entry, NewMessage)])
        lines: dict[int, bytes] = {
            first + place: answers.broken(first + place, entry.message)
            for place, entry in enumerate(batch)
            if isinstance(entry, errors.QueenError)
        }
        self._counts["failed"] += len(lines)
        end, failure = first + len(batch), None
        for chunk in request.chunks:
            chunk.positions = [places[position] for position in chunk.positions]
            if chunk.error is not None and chunk.error.retryable:
                end, failure = min(end, chunk.positions[0]), chunk.error
                continue
            answers.fill(chunk, lines)
            duplicates = sum(row.duplicate for row in chunk.stored or ())
            self._counts["duplicate"] += duplicates
            self._counts["queued" if chunk.error is None else "failed"] += chunk.weight - duplicates
        self._counts["received"] += len(batch)
        # What stands behind an item without an outcome is not told either: it is sent again, and found stored.
        await self._write([lines[place] for place in range(first, end)])
        if failure is not None:
            raise failure

    async def _push(self, messages: list[NewMessage]) -> PushRequest:
        """Store a batch; when too much waits for the database already, wait a little too."""
        until = time.monotonic() + self._stall_s
        while True:
            try:
                return await self._engine.push(messages)
            except errors.ShuttingDown:
                raise
            except errors.Overloaded:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(_PAUSE_S)

    async def _write(self, lines: list[bytes]) -> None:
        if not lines:
            return
        if not self._started:
            self._started = True
            durability = self._engine.store.durability.encode()
            headers: Headers = [(b"content-type", TYPE), (b"queen-durability", durability)]
            await self._send({"type": "http.response.start", "status": 201, "headers": headers})
        await self._send({"type": "http.response.body", "body": b"\n".join([*lines, b""]), "more_body": True})

    async def _finish(self, line: bytes) -> None:
        await self._write([line])
        await self._send({"type": "http.response.body", "body": b""})

    async def _fail(self, error: errors.QueenError) -> None:
        counters = self._engine.stats.counters
        if error.code == errors.QueenError.code:
            counters.requests_failed += 1
        else:
            counters.requests_refused += 1
            self._engine.stats.refusals.note("push", error.code, error.message)
        if not self._ended:
            close_soon(self._scope)
        if self._started:
            await self._finish(body(error.message, error.code, error.hint))
        else:
            await write(self._scope, self._send, respond(error))


def _size(entry: Entry) -> int:
    return _ENTRY_BYTES + (len(entry.payload) if isinstance(entry, NewMessage) else 0)
