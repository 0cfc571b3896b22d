"""What routes say of themselves in the OpenAPI page: the shape of their answers, and how they refuse.

An answer's fields are declared once, in `queen.server.shapes`, and nothing else may be in it: a field that is not
documented is a failure of the server, and the tests find it.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

Responses = dict[int | str, dict[str, Any]]


class Shape(BaseModel):
    """An object of an answer. Its subclasses are in `queen.server.shapes`, one file a subject."""

    model_config = ConfigDict(extra="forbid")


class Error(BaseModel):
    """Every refusal. Routes whose clients expect more in it (such as `success`) add fields."""

    error: str = Field(description="What is wrong, for people.", examples=["Queue not found"])
    code: str = Field(description="The same for programs; it does not change.", examples=["not_found"])
    hint: str | None = Field(None, description="What to do about it.")


_WORDS = {
    400: "The request can never work: the text says what is wrong with it.",
    404: "There is no such thing.",
    413: "Body or payload too large.",
    429: "Too much for now; see Retry-After.",
    500: "A failure of the server's own; its log has the details.",
    503: "Overloaded, or the database is away; see Retry-After.",
}


def refusals(*statuses: int) -> Responses:
    """The `responses` of a route that may refuse with these; 503 is among them always."""
    return {status: {"model": Error, "description": _WORDS[status]} for status in sorted({*statuses, 503})}


def answers(model: Any, description: str, status: int = 200) -> Responses:
    """The answer of a route that renders its body by itself, because it carries payloads as the producer sent them."""
    return {status: {"model": model, "description": description}}
