"""Many bits, by kind, key and sequence, in little memory: pages that are wholly set or wholly clear take no room.

All work is on whole arrays. A run of 100 million messages whose story is told costs some 12 MB; only the pages in which
something is under way, or missing for good, are held in full. Knows nothing of what a kind means.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Page = npt.NDArray[np.uint8]

PAGE_BITS: Final = 2048
_SHIFT: Final = 11
_BYTES: Final = PAGE_BITS // 8
_PAGES_SHIFT: Final = 30  # pages of one key: sequences stay below 2**41
_CLEAR, _FULL = 0, 1  # the two pages that all others share
_SCAN: Final = 2048  # rows looked at together


class PagedBits:
    """Bits of `kinds` kinds. Keys are below 2**32, sequences from 0 to 2**41. Not safe for several threads."""

    def __init__(self, kinds: int) -> None:
        self._kinds = kinds
        self._rows: dict[int, int] = {}
        self._names = np.zeros(64, np.int64)
        self._slots = np.zeros((64, kinds), np.int32)
        self._pool = np.zeros((64, _BYTES), np.uint8)
        self._pool[_FULL] = 255
        self._fill = np.zeros(64, np.int32)
        self._free = list(range(63, 1, -1))

    @property
    def memory_bytes(self) -> int:
        """What it holds, about: arrays, and 120 bytes for each entry of the table of pages."""
        arrays = (self._names, self._slots, self._pool, self._fill)
        return sum(array.nbytes for array in arrays) + 120 * len(self._rows) + 40 * len(self._free)

    def rows(self, keys: Ints, sequences: Ints) -> Ints:
        """The row of the page of each message; new pages get one. Neighbours of one page are looked up once."""
        names = (keys << _PAGES_SHIFT) | (sequences >> _SHIFT)
        starts = np.flatnonzero(np.concatenate(([True], names[1:] != names[:-1]))) if names.size else names
        found = np.array([self._row(name) for name in names[starts].tolist()], np.int64)
        return np.repeat(found, np.diff(np.append(starts, names.size)))

    def set(self, kinds: Ints | int, keys: Ints, sequences: Ints) -> Mask:
        """Set bits; tells for each whether it was this one that set it. A bit may be named several times."""
        if not keys.size:
            return np.zeros(0, np.bool_)
        rows = self.rows(keys, sequences)
        kinds = np.broadcast_to(np.asarray(kinds, np.int64), rows.shape)
        self._open(rows, kinds)
        slots = self._slots[rows, kinds].astype(np.int64)
        bits = sequences & (PAGE_BITS - 1)
        places, masks = slots * _BYTES + (bits >> 3), np.left_shift(1, bits & 7).astype(np.uint8)
        clear = (self._pool.reshape(-1)[places] & masks) == 0
        candidates = np.flatnonzero(clear)
        _, first = np.unique((slots * PAGE_BITS + bits)[candidates], return_index=True)
        chosen = candidates[first]
        np.bitwise_or.at(self._pool.reshape(-1), places[chosen], masks[chosen])
        new = np.zeros(rows.size, np.bool_)
        new[chosen] = True
        self._close(rows[chosen], kinds[chosen], slots[chosen])
        return new

    def set_runs(self, kinds: Ints | int, keys: Ints, firsts: Ints, counts: Ints) -> int:
        """Set the bits first … first + count - 1 of each run; returns how many were clear before."""
        kinds = np.broadcast_to(np.asarray(kinds, np.int64), keys.shape)
        long = counts > 2 * PAGE_BITS
        news = sum(
            self._set_long(*run)
            for run in zip(
                kinds[long].tolist(), keys[long].tolist(), firsts[long].tolist(), counts[long].tolist(), strict=True
            )
        )
        short = ~long & (counts > 0)
        lengths = counts[short]
        if not lengths.size:
            return news
        steps = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        sequences = np.repeat(firsts[short], lengths) + steps
        new = self.set(np.repeat(kinds[short], lengths), np.repeat(keys[short], lengths), sequences)
        return news + int(np.count_nonzero(new))

    def row_of(self, key: int, sequence: int) -> int | None:
        """The row of a message's page; None when nothing of that page was ever set."""
        return self._rows.get((key << _PAGES_SHIFT) | (sequence >> _SHIFT))

    def test(self, kind: int, key: int, sequence: int) -> bool:
        """Is this bit set?"""
        row = self.row_of(key, sequence)
        if row is None:
            return False
        bit = sequence & (PAGE_BITS - 1)
        return bool(self._pool[self._slots[row, kind], bit >> 3] >> (bit & 7) & 1)

    def clear(self, kind: int, key: int, sequence: int) -> None:
        """Clear one bit of a page that is not full."""
        row = self._rows[(key << _PAGES_SHIFT) | (sequence >> _SHIFT)]
        bit, slot = sequence & (PAGE_BITS - 1), int(self._slots[row, kind])
        if slot > _FULL and self.test(kind, key, sequence):
            self._pool[slot, bit >> 3] &= 255 ^ (1 << (bit & 7))
            self._fill[slot] -= 1

    def scan(self) -> Iterator[Scan]:
        """All pages, some thousand at a time."""
        count = len(self._rows)
        for start in range(0, count, _SCAN):
            rows = slice(start, min(start + _SCAN, count))
            yield Scan(self._names[rows], self._slots[rows], self._pool)

    def _row(self, name: int) -> int:
        row = self._rows.get(name)
        if row is None:
            row = self._rows[name] = len(self._rows)
            if row == len(self._names):
                self._names = np.concatenate((self._names, np.zeros_like(self._names)))
                self._slots = np.concatenate((self._slots, np.zeros_like(self._slots)))
            self._names[row] = name
        return row

    def _open(self, rows: Ints, kinds: Ints) -> None:
        """Give every page that is about to be written one of its own."""
        clear = self._slots[rows, kinds] == _CLEAR
        for cell in np.unique(rows[clear] * self._kinds + kinds[clear]).tolist():
            if not self._free:
                size = len(self._pool)
                self._pool = np.concatenate((self._pool, np.zeros_like(self._pool)))
                self._fill = np.concatenate((self._fill, np.zeros_like(self._fill)))
                self._free = list(range(2 * size - 1, size - 1, -1))
            self._slots[cell // self._kinds, cell % self._kinds] = self._free.pop()

    def _close(self, rows: Ints, kinds: Ints, slots: Ints) -> None:
        """Count the new bits; pages that are full now share the one page for that."""
        touched, at, counts = np.unique(slots, return_index=True, return_counts=True)
        self._fill[touched] += counts.astype(np.int32)
        full = self._fill[touched] == PAGE_BITS
        self._slots[rows[at[full]], kinds[at[full]]] = _FULL
        self._pool[touched[full]] = 0
        self._fill[touched[full]] = 0
        self._free.extend(touched[full].tolist())

    def _set_long(self, kind: int, key: int, first: int, count: int) -> int:
        """A run over several pages: those that it covers whole are not written bit by bit."""
        end, new = first + count, 0
        for page in range(first >> _SHIFT, ((end - 1) >> _SHIFT) + 1):
            low, high = max(first, page << _SHIFT), min(end, (page + 1) << _SHIFT)
            row = self._row((key << _PAGES_SHIFT) | page)
            if high - low == PAGE_BITS and self._slots[row, kind] == _CLEAR:
                self._slots[row, kind] = _FULL
                new += PAGE_BITS
            else:
                sequences = np.arange(low, high)
                new += int(np.count_nonzero(self.set(kind, np.full(high - low, key, np.int64), sequences)))
        return new


class Scan:
    """Some pages, to be combined by kind."""

    def __init__(self, names: Ints, slots: npt.NDArray[np.int32], pool: Page) -> None:
        self._names = names
        self._slots = slots
        self._pool = pool

    def pages(self, kind: int) -> Page:
        """The pages of a kind, one a row. A copy."""
        pages: Page = self._pool[self._slots[:, kind]]
        return pages

    def messages(self, pages: Page, most: int) -> list[tuple[int, int]]:
        """The keys and sequences of the first `most` bits that are set in pages in the order of this scan."""
        found: list[tuple[int, int]] = []
        for row in np.flatnonzero(pages.any(axis=1)).tolist():
            if len(found) >= most:
                break
            name = int(self._names[row])
            base = (name & ((1 << _PAGES_SHIFT) - 1)) << _SHIFT
            bits = np.flatnonzero(np.unpackbits(pages[row], bitorder="little"))
            found += [(name >> _PAGES_SHIFT, base + bit) for bit in bits.tolist()]
        return found[:most]


def count_bits(pages: Page) -> int:
    """How many bits are set."""
    return int(np.bitwise_count(pages).sum(dtype=np.int64))
