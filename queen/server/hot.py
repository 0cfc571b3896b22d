"""Push, pop and ack: plain coroutines, bytes in and ready bytes out, and the ASGI shortcut in front of the router.

A request of these routes never reaches FastAPI, unless it comes from a web page of another origin (CORS): the same
coroutines are routes of the application too, which is where OpenAPI and CORS see them. Nothing else uses the shortcut.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import lru_cache, partial
from typing import NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from queen import errors, wire
from queen.engine.engine import Engine, PopQuery
from queen.engine.pop import PopRequest
from queen.engine.push import PushChunk
from queen.model import AckItem
from queen.server import answers, query, stream
from queen.server.body import Bodies
from queen.server.errors import JSON_TYPE, Answer, Headers, respond
from queen.server.protocol import WRITE_WHOLE
from queen.server.write import LARGE_BYTES, PIECE_BYTES, write, write_in_pieces
from queen.settings import EngineSettings

log = logging.getLogger(__name__)

_POP = b"/api/v1/pop"
_PUSHED: dict[str, Headers] = {
    word: [*JSON_TYPE, (b"queen-durability", word.encode())] for word in ("committed", "replicated", "async")
}
_NOTHING: Answer = (204, [], b"")
_DISCOVERY_REFUSED = (
    b'{"success":false,"error":"namespace or task is required","code":"bad_request","messages":[],'
    b'"hint":"add ?namespace= or ?task=, or name a queue: /api/v1/pop/queue/NAME"}'
)

_KEPT_MAX = 2048
_KEPT_BYTES_MAX = 512
"""Consumers ask the same again and again: what a short path and query ask for is kept, for so many of them."""

Poll = Callable[[PopRequest], None]


class LargePop(NamedTuple):
    """The answer of a pop that is written in pieces; `size` in bytes of payload."""

    request: PopRequest
    pieces: Iterator[bytes]
    size: int


class Hot:
    """The hot verbs over one engine."""

    def __init__(self, engine: Engine, settings: EngineSettings) -> None:
        self._engine = engine
        self._settings = settings
        self._stats = engine.stats
        self._kept = lru_cache(maxsize=_KEPT_MAX)(self._read)

    async def push(self, body: bytes) -> Answer:
        """POST /api/v1/push"""
        started_ns = time.perf_counter_ns()
        messages = wire.decode_push(body)
        del body
        request = await self._engine.push(messages)
        refusal = _refused_as_a_whole(request.chunks)
        if refusal is not None:
            raise refusal
        content = answers.pushed(request, len(messages))
        self._stats.push_us.record((time.perf_counter_ns() - started_ns) // 1000)
        return 201, _PUSHED[self._engine.store.durability], content

    async def ack(self, body: bytes) -> Answer:
        """POST /api/v1/ack"""
        return await self._acked(wire.decode_ack, body)

    async def ack_batch(self, body: bytes) -> Answer:
        """POST /api/v1/ack/batch"""
        return await self._acked(wire.decode_ack_batch, body)

    async def _acked(self, decode: Callable[[bytes], tuple[str, list[AckItem]]], body: bytes) -> Answer:
        started_ns = time.perf_counter_ns()
        group, items = decode(body)
        content = answers.acked(items, await self._engine.ack(group, items))
        self._stats.ack_us.record((time.perf_counter_ns() - started_ns) // 1000)
        return 200, JSON_TYPE, content

    async def pop(self, path: bytes, raw_query: bytes, on_park: Poll) -> Answer | LargePop | None:
        """GET /api/v1/pop…; `on_park` is told when the request begins to wait. None: the client has gone."""
        started_ns = time.perf_counter_ns()
        asked = self._asked(path, raw_query)
        if asked is None:
            return 400, JSON_TYPE, _DISCOVERY_REFUSED
        request = await self._engine.prepare_pop(asked)
        await self._engine.pop(request, asked.wait_ms, on_park)
        if request.gone:
            return None
        answer: Answer | LargePop = _NOTHING
        if request.spans:
            name = request.spans[0][0].queue.json_name if asked.queue is not None else b'""'
            answer = self._popped(request, name)
        if not request.parked:
            self._stats.pop_us.record((time.perf_counter_ns() - started_ns) // 1000)
        return answer

    def _popped(self, request: PopRequest, queue_name: bytes) -> Answer | LargePop:
        size = answers.payload_bytes(request)
        self._engine.memory.answered(size, len(request.spans))
        if size > LARGE_BYTES:
            return LargePop(request, answers.popped_in_pieces(request, queue_name, PIECE_BYTES), size)
        return 200, JSON_TYPE, answers.popped(request, queue_name)

    def _asked(self, path: bytes, raw_query: bytes) -> PopQuery | None:
        """The query of a pop path; None for a discovery pop without a filter."""
        if len(path) + len(raw_query) <= _KEPT_BYTES_MAX:
            return self._kept(path, raw_query)
        return self._read(path, raw_query)

    def _read(self, path: bytes, raw_query: bytes) -> PopQuery | None:
        segments = path[len(_POP) :].split(b"/")[2:]
        if not segments:
            asked = query.pop_query(None, None, raw_query, self._settings)
            return asked if asked.namespace or asked.task else None
        partition = query.text(segments[2]) if len(segments) == 3 else None
        return query.pop_query(query.text(segments[0]), partition, raw_query, self._settings)


def _refused_as_a_whole(chunks: list[PushChunk]) -> errors.QueenError | None:
    """A push of which nothing was stored because the database is away fails as a call: clients repeat those."""
    found = None
    for chunk in chunks:
        error = chunk.error
        if error is None or not error.retryable:
            return None
        found = error
    return found


def is_pop(path: bytes) -> bool:
    """Is this one of the three pop paths?"""
    if not path.startswith(_POP):
        return False
    segments = path[len(_POP) :].split(b"/")
    if len(segments) == 1 or segments[0]:
        return path == _POP
    return segments[1] == b"queue" and (
        (len(segments) == 3 and segments[2] != b"")
        or (len(segments) == 5 and segments[3] == b"partition" and segments[2] != b"" and segments[4] != b"")
    )


class Shortcut:
    """ASGI in front of the application: hot routes go straight to `Hot`, all else to the router."""

    def __init__(self, app: ASGIApp, hot: Hot, engine: Engine, bodies: Bodies, stall_s: float) -> None:
        self._app = app
        self._engine = engine
        self._hot = hot
        self._bodies = bodies
        self._stall_s = stall_s
        self.posts: dict[str, ASGIApp] = {
            "/api/v1/push": self.push,
            "/api/v1/ack": partial(self.post, hot.ack),
            "/api/v1/ack/batch": partial(self.post, hot.ack_batch),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _from_a_web_page(scope["headers"]):
            if scope["method"] == "POST" and (verb := self.posts.get(scope["path"])) is not None:
                return await verb(scope, receive, send)
            if scope["method"] == "GET" and is_pop(scope["raw_path"]):
                return await self.get(scope, receive, send)
        # What goes through the application's middleware must come out through it: no short way for its answer.
        scope.pop(WRITE_WHOLE, None)
        return await self._app(scope, receive, send)

    async def push(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One push: a JSON body, or lines that are answered as they come."""
        for name, value in scope["headers"]:
            if name == b"content-type" and value[:20].lower() == stream.TYPE:
                return await self._stream(scope, receive, send)
        return await self.post(self._hot.push, scope, receive, send, push=True)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            run = stream.PushStream(self._engine, self._stall_s, scope, receive, send).run
        except errors.QueenError as error:
            await write(scope, send, respond(error))
            return
        await run()

    async def post(
        self,
        verb: Callable[[bytes], Awaitable[Answer]],
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        push: bool = False,
    ) -> None:
        """One push or ack. A client that leaves in the middle of its body is forgotten without a word."""
        size = 0
        try:
            body = await self._bodies.read(scope, receive, push=push)
            if body is None:
                return
            size = len(body)
            work = verb(body)
            del body  # A large one goes as soon as it is decoded.
            answer = await work
        except errors.QueenError as error:
            answer = self._refused(error, "push" if push else "ack")
        except Exception:
            answer = self._failed()
        finally:
            self._bodies.release(size)
        await write(scope, send, answer)

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One pop. While it is parked, a client that leaves ends it."""
        watch = _Watch(self._engine, receive)
        try:
            answer = await self._hot.pop(scope["raw_path"], scope["query_string"], watch.start)
        except errors.QueenError as error:
            answer = self._refused(error, "pop")
        except Exception:
            answer = self._failed()
        finally:
            watch.stop()
        if isinstance(answer, LargePop):
            await self._write_large(answer, scope, send)
        elif answer is not None:
            await write(scope, send, answer)

    async def _write_large(self, answer: LargePop, scope: Scope, send: Send) -> None:
        is_read = False
        try:
            is_read = await write_in_pieces(self._engine.memory, scope, send, answer.pieces, answer.size)
        finally:
            if not is_read:
                await self._engine.undelivered(answer.request)

    def _refused(self, error: errors.QueenError, verb: str) -> Answer:
        self._engine.stats.counters.requests_refused += 1
        self._engine.stats.refusals.note(verb, error.code, error.message)
        return respond(error)

    def _failed(self) -> Answer:
        self._engine.stats.counters.requests_failed += 1
        return internal_error()


class _Watch:
    """Notices that the client of a parked poll has gone."""

    __slots__ = ("_engine", "_receive", "_task")

    def __init__(self, engine: Engine, receive: Receive) -> None:
        self._engine = engine
        self._receive = receive
        self._task: asyncio.Task[None] | None = None

    def start(self, request: PopRequest) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(request))

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _run(self, request: PopRequest) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._engine.leave(request)


def internal_error() -> Answer:
    """A bug of ours: the log has the traceback, the client a plain word."""
    log.exception("request failed")
    return respond(errors.QueenError("internal error", hint="the log of the server has the details"))


def _from_a_web_page(headers: list[tuple[bytes, bytes]]) -> bool:
    for name, _ in headers:
        if name == b"origin" or name == b"sec-fetch-site":
            return True
    return False
