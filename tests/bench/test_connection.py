"""The parser of the load generator: whole answers, torn ones, and everything it must refuse."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queen.bench.connection import AnswerParser, BadAnswer, parse_head

ANSWER = b'HTTP/1.1 201 Created\r\nserver: x\r\ncontent-length: 10\r\ncontent-type: application/json\r\n\r\n["queued"]'
EMPTY = b"HTTP/1.1 204 No Content\r\ndate: today\r\n\r\n"
CHUNKS = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n0\r\n\r\n8\r\n\r\n0\r\n\r\n]\r\n0\r\n\r\n"


def test_reads_a_whole_answer_and_then_the_next() -> None:
    parser = AnswerParser()
    assert parser.feed(ANSWER) == (201, b'["queued"]')
    assert parser.feed(EMPTY) == (204, b"")
    assert parser.feed(CHUNKS) == (200, b"0\r\n\r\n0\r\n\r\n]")
    assert parser.feed(ANSWER) == (201, b'["queued"]')


@given(st.lists(st.integers(1, len(ANSWER) - 1), max_size=6, unique=True), st.sampled_from([ANSWER, EMPTY, CHUNKS]))
def test_an_answer_may_arrive_in_any_pieces(cuts: list[int], answer: bytes) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut < len(answer)), len(answer)]
    pieces = [answer[a:b] for a, b in pairwise(edges)]
    parser = AnswerParser()
    assert [parser.feed(piece) for piece in pieces[:-1]] == [None] * (len(pieces) - 1)
    assert parser.feed(pieces[-1]) == AnswerParser().feed(answer)


@pytest.mark.parametrize("name", [b"Content-Length", b"content-length", b"CONTENT-LENGTH"])
def test_header_names_have_any_case_and_the_last_line_counts_too(name: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nA: b\r\n" + name + b":  3 \r\n\r\n"
    assert parse_head(head + b"abc") == (200, len(head), 3)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (ANSWER + b"x", "1 bytes after the end"),
        (EMPTY + b'{"messages":[]}', "15 bytes after the end of an answer with status 204"),
        (ANSWER.replace(b"content-length: 10", b"transfer-encoding: gzip"), "unknown framing"),
        (ANSWER.replace(b"content-length: 10", b"transfer-encoding: chunked") + b"\r\n", "bad length of a chunk"),
        (ANSWER.replace(b"content-length: 10", b"x: y"), "without a plain Content-Length"),
        (ANSWER.replace(b"server: x", b"transfer-encoding: chunked"), "unknown framing"),
        (CHUNKS + b"x", "1 bytes after the last chunk"),
        (CHUNKS.replace(b"\r\n8\r\n", b"\r\n7\r\n"), "longer than it says"),
        (ANSWER.replace(b": 10", b": -1"), "bad Content-Length"),
        (ANSWER.replace(b": 10", b": "), "bad Content-Length"),
        (ANSWER.replace(b"1.1", b"1.0"), "not an HTTP/1.1 status line"),
        (b"SSH-2.0-x\r\n\r\n", "not an HTTP/1.1 status line"),
        (b"HTTP/1.1 20\r\n\r\n", "not an HTTP/1.1 status line"),
        (b"x" * 70_000, "above 64 KiB"),
    ],
)
def test_refuses_what_it_does_not_expect(answer: bytes, reason: str) -> None:
    with pytest.raises(BadAnswer, match=reason):
        AnswerParser().feed(answer)
