"""The application: routes, errors, CORS and documentation around one engine; the shortcut in front.

Shortcut ── hot route, not from a web page ──► Hot
    └── everything else ──► CORS ──► segments kept apart ──► FastAPI (control plane; hot routes for web pages)

CORS stands outside FastAPI, so that a page can read every answer, one that tells of a bug included.
"""

from __future__ import annotations

from urllib.parse import unquote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from queen import __version__, errors
from queen.server import openapi, query
from queen.server.context import SLASH, Context, context
from queen.server.cors import Cors
from queen.server.errors import Answer, body, respond
from queen.server.hot import Shortcut, internal_error
from queen.server.routes import (
    analytics,
    dead_letters,
    groups,
    leases,
    maintenance,
    messages,
    offsets,
    ops,
    queue_status,
    queues,
    resources,
    status,
    traces,
    transactions,
)

_ROUTES = (
    queues,
    resources,
    groups,
    messages,
    dead_letters,
    traces,
    leases,
    transactions,
    offsets,
    maintenance,
    ops,
    status,
    queue_status,
    analytics,
)
"""In this order in the documentation. Within a module the order matters: what is named comes before what is matched."""

_DESCRIPTION = "A message queue on PostgreSQL. Every error has the fields error, code and (mostly) hint."


def create_app(context: Context) -> ASGIApp:
    """The ASGI application that serves this context."""
    app = FastAPI(title="Queen", version=__version__, description=_DESCRIPTION, redirect_slashes=False)
    app.state.context = context
    for module in _ROUTES:
        app.include_router(module.router)
    stall_s = context.settings.server.stall_timeout_ms / 1000
    pages = Cors(_Segments(app), context.settings.server.cors_origins)
    shortcut = Shortcut(pages, context.hot, context.engine, context.bodies, stall_s)
    app.router.routes += _hot_routes(shortcut)
    openapi.describe_hot_routes(app)
    _answer_errors(app)
    return shortcut


def _hot_routes(shortcut: Shortcut) -> list[Route]:
    """The hot coroutines as routes, for requests that need the middleware."""
    routes = [
        Route(path, _Endpoint(verb), methods=["POST"], include_in_schema=False) for path, verb in shortcut.posts.items()
    ]
    pop = _Endpoint(shortcut.get)
    paths = ("/api/v1/pop", "/api/v1/pop/queue/{queue}", "/api/v1/pop/queue/{queue}/partition/{partition}")
    return routes + [Route(path, pop, methods=["GET"], include_in_schema=False) for path in paths]


class _Endpoint:
    """An ASGI endpoint; Starlette treats an object as one, and a plain function as a view."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


class _Segments:
    """Splits the raw path before it is decoded, so that an encoded slash stays inside its segment.

    What is not UTF-8 is refused: read with replacements, it would be another name that may exist.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw: bytes = scope.get("raw_path", b"")
        try:
            path, _ = query.text(raw), query.text(scope.get("query_string", b""))
        except errors.InvalidRequest as error:
            await _response(respond(error))(scope, receive, send)
            return
        if path.count("/") > raw.count(b"/"):
            segments = [unquote(segment).replace("/", SLASH) for segment in raw.decode().split("/")]
            scope = {**scope, "path": "/".join(segments)}
        await self._app(scope, receive, send)


def _answer_errors(app: FastAPI) -> None:
    async def known(request: Request, error: Exception) -> Response:
        assert isinstance(error, errors.QueenError)
        if not isinstance(error, errors.NotFound):
            context(request).engine.stats.refusals.note("management", error.code, error.message)
        return _response(respond(error))

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = ".".join(str(part) for part in first.get("loc", ()))
        return _response(respond(errors.InvalidRequest(f"bad request: {where}: {first.get('msg')}", hint="see /docs")))

    async def unmatched(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        allowed = (error.headers or {}).get("Allow")
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": "GET, POST, PUT, DELETE, OPTIONS"})
        hint = f"this path takes {allowed}" if allowed else "GET /docs lists the routes"
        headers = {"Allow": allowed} if allowed else None
        # Clients detect a missing feature by this 404, a wrong method included.
        return Response(body("Not Found", "no_such_route", hint), 404, headers, "application/json")

    async def left(_: Request, __: Exception) -> Response:
        # Nobody reads this; it only keeps a client that left from looking like a failure of ours.
        return Response(status_code=400)

    async def bug(_: Request, __: Exception) -> Response:
        return _response(internal_error())

    app.add_exception_handler(errors.QueenError, known)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, unmatched)
    app.add_exception_handler(ClientDisconnect, left)
    app.add_exception_handler(Exception, bug)


def _response(answer: Answer) -> Response:
    status, headers, content = answer
    return Response(content, status, {name.decode(): value.decode() for name, value in headers})
