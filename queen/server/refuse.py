"""Refusals whose clients expect more fields than every error has."""

from __future__ import annotations

from fastapi import Response

from queen import wire


def refuse(status: int, error: str, code: str, hint: str, **fields: object) -> Response:
    """An error with `error`, `code`, `hint`, and these fields."""
    content = {"error": error, "code": code, "hint": hint, **fields}
    return Response(wire.encode(content), status, media_type="application/json")
