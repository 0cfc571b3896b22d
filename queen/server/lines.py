"""Cuts a stream of bytes into whole lines. Knows nothing of what is in them."""

from __future__ import annotations

from queen import errors

_OVERHEAD_BYTES = 64 << 10
"""What a line may have beside its payload: names, ids, the words of the fields."""


class Lines:
    """Takes pieces, gives blocks of whole lines; holds back what is no whole line yet, up to a bound."""

    def __init__(self, payload_bytes_max: int) -> None:
        self._payload_bytes_max = payload_bytes_max
        self._rest: list[bytes] = []
        self._skipping = False
        self.size = 0
        """Bytes held back."""

    def feed(self, piece: bytes, *, last: bool = False) -> list[bytes | errors.PayloadTooLarge]:
        """Blocks of whole lines, and an error in the place of each line that is too long. `last`: the end is here."""
        found: list[bytes | errors.PayloadTooLarge] = []
        if self._skipping:
            _, newline, piece = piece.partition(b"\n")
            self._skipping = not newline
        head, newline, tail = piece.rpartition(b"\n")
        if newline:
            found.append(b"".join([*self._rest, head]))
            self._hold([tail])
        elif tail and not self._skipping:
            self._hold([*self._rest, tail])
        if self.size > self._payload_bytes_max + _OVERHEAD_BYTES:
            found.append(
                errors.PayloadTooLarge(
                    f"a line of more than {self._payload_bytes_max} bytes",
                    hint="store the data elsewhere and push a reference, or raise engine.payload_bytes_max",
                )
            )
            self._hold([])
            self._skipping = True
        if last and self._rest:
            found.append(b"".join(self._rest))
            self._hold([])
        return found

    def _hold(self, rest: list[bytes]) -> None:
        self._rest = [part for part in rest if part]
        self.size = sum(map(len, self._rest))
