"""CORS: which web pages may call the API (http-api.md §2.1). Knows origins, and of the routes that a pop takes.

Browsers keep a page from reading the answer of a server that does not allow it; the request itself they send, as long
as it is a simple one. So what comes from a page that is not allowed is refused before anything is done: a visited page
must not push, nor take messages away, only because a Queen runs on the visitor's machine.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from queen.server.errors import body
from queen.server.hot import is_pop

_LOCALHOST = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"
_CREDENTIALS = "Access-Control-Allow-Credentials"

_CODE = "origin_refused"
_HINT = "allow the page with server.cors_origins"
_REFUSED = body("this web page may not call Queen", _CODE, _HINT)


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
            expose_headers=["Retry-After", "Queen-Durability", "Queen-More", "Queen-Next-Offset", "Queen-Search"],
            max_age=600,
            # Asked for by browsers when a page of the internet calls a server of this machine or network.
            allow_private_network=True,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, on its way in."""
        if scope["type"] == "http" and self._is_foreign(Headers(scope=scope), scope):
            await Response(_REFUSED, 400, {"Vary": "Origin"}, "application/json")(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def _is_foreign(self, headers: Headers, scope: Scope) -> bool:
        """Does this come from a page that is not allowed? OPTIONS does nothing, and is answered elsewhere."""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if self.allow_all_origins or site == "same-origin" or scope["method"] == "OPTIONS":
            return False
        if origin is None:
            # An image, a link or a fetch whose answer the page cannot read has no origin, and takes all the same.
            return site == "cross-site" and scope["method"] == "GET" and is_pop(scope["raw_path"])
        return not self.is_allowed_origin(origin) and origin.partition("://")[2] != headers.get("host")

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
        refusal = body(bytes(answer.body).decode(), _CODE, _HINT)
        return Response(refusal, answer.status_code, headers, "application/json")

    async def send(self, message: Message, send: Send, request_headers: Headers) -> None:
        """An answer on its way out."""
        if message["type"] == "http.response.start":
            message.setdefault("headers", [])
            headers = MutableHeaders(scope=message)
            if request_headers.get("origin") in self._trusted:
                headers[_CREDENTIALS] = "true"
            # A browser must never answer a poll from its cache.
            headers.setdefault("Cache-Control", "no-store")
        await super().send(message, send, request_headers)
