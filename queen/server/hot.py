"""Push, pop and ack: plain coroutines, bytes in and ready bytes out, and the ASGI shortcut in front of the router.

A request of these routes never reaches FastAPI, unless it comes from a web page of another origin (CORS): the same
coroutines are routes of the application too, which is where OpenAPI and CORS see them. Nothing else uses the shortcut.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from queen import errors, wire
from queen.engine.engine import Engine, PopQuery
from queen.engine.pop import PopRequest
from queen.engine.push import PushChunk
from queen.model import AckItem
from queen.server import answers, query
from queen.server.errors import JSON_TYPE, Answer, Headers, respond
from queen.server.protocol import WRITE_WHOLE
from queen.settings import EngineSettings

log = logging.getLogger(__name__)

_POP = b"/api/v1/pop"
_PUSHED: dict[str, Headers] = {
    word: [*JSON_TYPE, (b"queen-durability", word.encode())] for word in ("committed", "replicated", "async")
}
_NOTHING: Answer = (204, [], b"")
_DISCOVERY_REFUSED = b'{"success":false,"error":"namespace or task is required","messages":[]}'

Poll = Callable[[PopRequest], None]


class Hot:
    """The hot verbs over one engine."""

    def __init__(self, engine: Engine, settings: EngineSettings) -> None:
        self._engine = engine
        self._settings = settings
        self._stats = engine.stats

    async def push(self, body: bytes) -> Answer:
        """POST /api/v1/push"""
        started_ns = time.perf_counter_ns()
        messages = wire.decode_push(body)
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

    async def pop(self, path: bytes, raw_query: bytes, on_park: Poll) -> Answer | None:
        """GET /api/v1/pop…; `on_park` is told when the request begins to wait. None: the client has gone."""
        started_ns = time.perf_counter_ns()
        asked = self._asked(path, raw_query)
        if asked is None:
            return 400, JSON_TYPE, _DISCOVERY_REFUSED
        request = await self._engine.prepare_pop(asked)
        await self._engine.pop(request, asked.wait_ms, on_park)
        if request.gone:
            return None
        answer = _NOTHING
        if request.spans:
            name = request.spans[0][0].queue.json_name if asked.queue is not None else b'""'
            answer = 200, JSON_TYPE, answers.popped(request, name)
        if not request.parked:
            self._stats.pop_us.record((time.perf_counter_ns() - started_ns) // 1000)
        return answer

    def _asked(self, path: bytes, raw_query: bytes) -> PopQuery | None:
        """The query of a pop path; None for a discovery pop without a filter."""
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

    def __init__(self, app: ASGIApp, hot: Hot, engine: Engine, body_bytes_max: int) -> None:
        self._app = app
        self._engine = engine
        self._hot = hot
        self._body_bytes_max = body_bytes_max
        self.posts: dict[str, Callable[[bytes], Awaitable[Answer]]] = {
            "/api/v1/push": hot.push,
            "/api/v1/ack": hot.ack,
            "/api/v1/ack/batch": hot.ack_batch,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _from_a_web_page(scope["headers"]):
            if scope["method"] == "POST" and (verb := self.posts.get(scope["path"])) is not None:
                return await self.post(verb, scope, receive, send)
            if scope["method"] == "GET" and is_pop(scope["raw_path"]):
                return await self.get(scope, receive, send)
        # What goes through the application's middleware must come out through it: no short way for its answer.
        scope.pop(WRITE_WHOLE, None)
        return await self._app(scope, receive, send)

    async def post(
        self, verb: Callable[[bytes], Awaitable[Answer]], scope: Scope, receive: Receive, send: Send
    ) -> None:
        """One push or ack. A client that leaves in the middle of its body is forgotten without a word."""
        try:
            body = await read_body(scope, receive, self._body_bytes_max)
            if body is None:
                return
            answer = await verb(body)
        except errors.QueenError as error:
            answer = self._refused(error)
        except Exception:
            answer = self._failed()
        await write(scope, send, answer)

    def poster(self, verb: Callable[[bytes], Awaitable[Answer]]) -> ASGIApp:
        """`post` of one verb as an ASGI application."""

        async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
            await self.post(verb, scope, receive, send)

        return endpoint

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One pop. While it is parked, a client that leaves ends it."""
        watch = _Watch(self._engine, receive)
        try:
            answer = await self._hot.pop(scope["raw_path"], scope["query_string"], watch.start)
        except errors.QueenError as error:
            answer = self._refused(error)
        except Exception:
            answer = self._failed()
        finally:
            watch.stop()
        if answer is not None:
            await write(scope, send, answer)

    def _refused(self, error: errors.QueenError) -> Answer:
        self._engine.stats.counters.requests_refused += 1
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
    return any(name == b"origin" for name, _ in headers)


async def read_body(scope: Scope, receive: Receive, bytes_max: int) -> bytes | None:
    """The whole body; None when the client left before it was complete. Raises BodyTooLarge, by its length if told."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > bytes_max:
            raise too_large(bytes_max)
    message = await receive()
    if message["type"] == "http.disconnect":
        return None
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body
    pieces, size = [body], len(body)
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > bytes_max:
            raise too_large(bytes_max)
    return b"".join(pieces)


def too_large(bytes_max: int) -> errors.BodyTooLarge:
    """The refusal of a body above the bound."""
    return errors.BodyTooLarge(
        "body too large", hint=f"{bytes_max} bytes is the most (server.body_bytes_max); split the request"
    )


async def write(scope: Scope, send: Send, answer: Answer) -> None:
    """Send a whole answer, in one piece where the protocol can. A 204 has neither type nor length."""
    status, headers, body = answer
    whole = scope.get(WRITE_WHOLE)
    if whole is not None and whole(status, headers, body):
        return
    if status != 204:
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
