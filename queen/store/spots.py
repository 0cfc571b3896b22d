"""Where the small rows lie: the physical place (ctid) of a row after its latest change by this process.

A row of `partitions` or `cursors` changes with every flush. While a long transaction somewhere keeps PostgreSQL from
removing its dead versions, a look-up by key walks through all of them and gets dearer by the minute; one by place does
not. A place is a hint and nothing else: the functions check the key of the row that lies there, and look it up where
the hint is missing or old (another server changed the row, or it was moved by VACUUM FULL).

A read by place removes no dead versions from its page; one by key does, as soon as nobody needs them any more. So every
now and then a call goes without hints: else pages fill up, and updates go elsewhere and touch the indexes.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

SPOTS_MAX = 200_000
"""Most rows that are remembered, about 40 MB; beyond it all are forgotten and learnt anew."""


WITHOUT_EVERY = 8
"""One call in so many has no hints. A page has room for some fifty versions."""


class Spots(Generic[K]):
    """Places of 6 bytes by key, bounded."""

    def __init__(self, spots_max: int = SPOTS_MAX) -> None:
        self._spots: dict[K, bytes] = {}
        self._spots_max = spots_max
        self._calls = 0

    def __len__(self) -> int:
        return len(self._spots)

    def of(self, keys: Iterable[K]) -> list[bytes | None]:
        """The places of rows, None for those that are not known."""
        get = self._spots.get
        return [get(key) for key in keys]

    def mostly(self, keys: Iterable[K]) -> list[bytes | None] | None:
        """The same, but now and then None: this call is to look up every row by its key."""
        self._calls += 1
        return self.of(keys) if self._calls % WITHOUT_EVERY else None

    def learn(self, keys: Sequence[K], spots: Sequence[bytes]) -> None:
        """Where rows lie now."""
        if len(self._spots) + len(keys) > self._spots_max:
            self._spots.clear()
        self._spots.update(zip(keys, spots, strict=True))
