"""A client of the streamed push that reads results while it still sends: chunks out, result lines in, over a socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator
from typing import Any, Self

from tests.support.api import connect

PATH = "/api/v1/push"
TYPE = "application/x-ndjson"


class Stream:
    """One streamed push on a connection of its own."""

    def __init__(self, url: str, query: str = "", *headers: str) -> None:
        self.connection: socket.socket = connect(url)
        lines = [f"POST {PATH}{query} HTTP/1.1", "Host: queen", f"Content-Type: {TYPE}", "Transfer-Encoding: chunked"]
        self.connection.sendall("\r\n".join([*lines, *headers, "", ""]).encode())
        self._file = self.connection.makefile("rb")
        self.status = 0
        self.headers: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave, whatever is missing."""
        self._file.close()
        self.connection.close()

    def send(self, block: bytes) -> None:
        """One chunk of the body."""
        self.connection.sendall(b"%x\r\n%b\r\n" % (len(block), block))

    def send_lines(self, items: Iterable[Any]) -> None:
        """Items as lines, in one chunk."""
        self.send(lines(items))

    def end(self) -> None:
        """The end of the body."""
        self.connection.sendall(b"0\r\n\r\n")

    def read_head(self) -> None:
        """Status and headers of the answer."""
        self.status = int(self._file.readline().split()[1])
        while line := self._file.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            self.headers[name.lower()] = value.strip()

    def pieces(self) -> Iterator[bytes]:
        """The body of the answer, chunk by chunk, to its end."""
        if not self.status:
            self.read_head()
        if "content-length" in self.headers:
            yield self._file.read(int(self.headers["content-length"]))
            return
        while size := int(self._file.readline() or b"0", 16):
            yield self._file.read(size)
            self._file.readline()

    def results(self) -> Iterator[dict[str, Any]]:
        """The lines of the answer, one by one as they come."""
        rest = b""
        for piece in self.pieces():
            *whole, rest = (rest + piece).split(b"\n")
            yield from map(json.loads, whole)
        if rest:
            yield json.loads(rest)


def lines(items: Iterable[Any]) -> bytes:
    """Items as lines."""
    return b"".join(json.dumps(item).encode() + b"\n" for item in items)
