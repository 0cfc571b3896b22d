"""CORS: which web pages may call the API (http-api.md §2.1). Knows origins, no routes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Send

from queen.server.errors import body

_LOCALHOST = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"
_CREDENTIALS = "Access-Control-Allow-Credentials"


class Cors(CORSMiddleware):
    """Allows the origins of the settings: names, `localhost` (any port) and `*`.

    Credentials go to named origins only: a page that any site, or any program of the machine, can serve gets none.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        everyone = "*" in origins
        names = [origin for origin in origins if origin not in ("*", "localhost")]
        self._trusted = frozenset(() if everyone else names)
        patterns = [re.escape(name) for name in names] + ([_LOCALHOST] if "localhost" in origins else [])
        super().__init__(
            app,
            allow_origins=["*"] if everyone else (),
            allow_origin_regex=None if everyone else "|".join(patterns) or r"(?!)",
            allow_methods=["GET", "POST", "PUT", "DELETE", "OPTIONS"],
            allow_headers=["Content-Type", "Authorization"],
            expose_headers=["Retry-After", "Queen-Durability", "Queen-More", "Queen-Search"],
            max_age=600,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """204 for what is allowed; an error like any other for the rest."""
        answer = super().preflight_response(request_headers)
        for name in ("content-length", "content-type"):
            del answer.headers[name]
        if request_headers["origin"] in self._trusted:
            answer.headers[_CREDENTIALS] = "true"
        headers = dict(answer.headers)
        if answer.status_code == 200:
            return Response(status_code=204, headers=headers)
        refusal = body(bytes(answer.body).decode(), "origin_refused", "allow the page with server.cors_origins")
        return Response(refusal, answer.status_code, headers, "application/json")

    async def send(self, message: Message, send: Send, request_headers: Headers) -> None:
        """An answer on its way out."""
        if message["type"] == "http.response.start" and request_headers.get("origin") in self._trusted:
            message.setdefault("headers", [])
            MutableHeaders(scope=message)[_CREDENTIALS] = "true"
        await super().send(message, send, request_headers)
