"""Errors as responses."""

from __future__ import annotations

import json

import pytest

from queen import errors
from queen.server.errors import respond


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            errors.Overloaded("2 polls are waiting already"),
            "2 polls are waiting already; keep the connection and try again",
        ),
        (errors.ShuttingDown("the server is stopping"), "the server is stopping; keep the connection and try again"),
        (errors.StoreUnavailable("connection refused"), "connection refused"),
    ],
)
def test_what_passes_says_so_in_the_word_by_which_public_consumers_know_it(error: errors.QueenError, text: str) -> None:
    status, _, content = respond(error)
    assert (status, json.loads(content)["error"]) == (503, text)


def test_other_errors_keep_their_words() -> None:
    status, _, content = respond(errors.NotFound("Queue not found"))
    assert (status, json.loads(content)["error"]) == (404, "Queue not found")
