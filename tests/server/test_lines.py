"""Lines of a stream: whatever the pieces, the lines come out whole, and one that is too long leaves an error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queen import errors, wire
from queen.model import NewMessage
from queen.server.lines import Lines

pytestmark = pytest.mark.spec("R15")


def cut(pieces: list[bytes], bound: int = 1 << 20) -> list[bytes | None]:
    """The lines of a stream that comes in these pieces; None for one that is too long."""
    lines = Lines(bound)
    found: list[bytes | None] = []
    for place, piece in enumerate(pieces):
        for one in lines.feed(piece, last=place == len(pieces) - 1):
            found += [None] if isinstance(one, errors.QueenError) else one.split(b"\n")
    assert lines.size == 0
    return [line for line in found if line != b""]


@given(st.lists(st.text("abc\n").map(str.encode), min_size=1))
def test_pieces_do_not_matter(pieces: list[bytes]) -> None:
    assert cut(pieces) == [line for line in b"".join(pieces).split(b"\n") if line]


@given(st.integers(1_000, 400_000), st.booleans())
def test_a_line_that_is_too_long_is_skipped_to_its_end(size: int, ends: bool) -> None:
    text = b"a\n" + b"x" * 300_000 + (b"\nb\n" if ends else b"")
    found = cut([text[place : place + size] for place in range(0, len(text), size)], 100_000)
    assert [found[0], *found[2:]] == [b"a", *([b"b"] if ends else [])]
    # One that came whole in a single piece is left to whoever checks the payload.
    assert found[1] is None or (found[1] == b"x" * 300_000 and size > 100_000)


def decoded(block: bytes, queue: str | None = None) -> list[str]:
    return [
        one.payload.decode() if isinstance(one, NewMessage) else "bad" for one in wire.decode_push_lines(block, queue)
    ]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (b"", []),
        (b"\n \r\n", []),
        (b'{"queue":"q","payload":1}\r\n{"queue":"q","payload": {"a" : 2} }', ["1", '{"a" : 2}']),
        (b'{"queue":"q","payload":1}\n{\n{"queue":"q","payload":2}', ["1", "bad", "2"]),
        (b'{"queue":"q","payload":1} {"queue":"q","payload":2}\n', ["bad"]),
        (b'{"queue":"q",\n"payload":1}', ["bad", "bad"]),
        (b'{"queue":"q","payload":"\xff"}\n{"queue":"q","payload":"\xc3\xa9"}', ["bad", '"\xe9"']),
        (b'{"payload":1}\n{"queue":"q","payload":2}', ["bad", "2"]),
        (b'{"queue":"%b","payload":1}\n{"queue":"q","payload":2}' % (b"q" * 256), ["bad", "2"]),
        (b"[" * 100_000 + b'\n{"queue":"q","payload":2}', ["bad", "2"]),
    ],
)
def test_a_line_is_an_item_or_fails_alone(block: bytes, expected: list[str]) -> None:
    assert decoded(block) == expected


def test_names_of_the_request_serve_lines_that_name_none() -> None:
    first, second = wire.decode_push_lines(b'{"payload":1}\n{"payload":2,"queue":"b","partition":"x"}', "a", "p")
    assert isinstance(first, NewMessage)
    assert isinstance(second, NewMessage)
    assert (first.queue, first.partition) == ("a", "p")
    assert (second.queue, second.partition) == ("b", "x")


def test_an_error_names_no_place_in_an_array() -> None:
    (error,) = wire.decode_push_lines(b'{"queue":"%b","payload":1}' % (b"q" * 256))
    assert isinstance(error, errors.InvalidRequest)
    assert "items" not in error.message
