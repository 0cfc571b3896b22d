"""Random choices that a seed repeats: numbers by Zipf's law, sizes in a range, partitions by key distribution."""

from __future__ import annotations

import random
import re
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

from queen.units import format_bytes, parse_bytes

NUMBERS_MAX = 1_000_000
EXPONENT = 1.1
_EXPONENT_MAX = 10.0
SIZE_MAX = 16 * 1024 * 1024
_KEYS = re.compile(r"zipf(?:\(([0-9.]+)\))?")


@dataclass(frozen=True, slots=True)
class SizeRange:
    """From `least` to `most` bytes, every size in it equally likely."""

    least: int
    most: int

    @classmethod
    def parse(cls, text: str) -> SizeRange:
        """ "256", "4KiB" or "100..4KiB". Raises ValueError."""
        least, dots, most = text.partition("..")
        first = parse_bytes(least)
        made = cls(first, parse_bytes(most) if dots else first)
        if not 0 < made.least <= made.most <= SIZE_MAX:
            raise ValueError("a size is from 1 byte to 16MiB, and a range goes from the smaller to the larger one")
        return made

    def __str__(self) -> str:
        least, most = format_bytes(self.least), format_bytes(self.most)
        return least if least == most else f"{least}..{most}"

    def drawn(self, seed: int) -> Callable[[], int]:
        """A function that gives the next size; no randomness where there is no choice."""
        least, most = self.least, self.most
        return (lambda: least) if least == most else _drawn(random.Random(f"size {seed}"), least, most)


def _drawn(rng: random.Random, least: int, most: int) -> Callable[[], int]:
    span, draw = most - least + 1, rng.random
    return lambda: least + int(draw() * span)


def zipf(rng: random.Random, numbers: int, exponent: float = EXPONENT) -> Callable[[], int]:
    """A function that gives 1 to `numbers`; number k comes as often as 1/k^exponent. Raises ValueError."""
    if not 1 <= numbers <= NUMBERS_MAX or not 0 <= exponent <= _EXPONENT_MAX:
        raise ValueError(f"zipf goes over 1 to {NUMBERS_MAX} numbers, with an exponent of 0 to {_EXPONENT_MAX:g}")
    sums = list(accumulate(number**-exponent for number in range(1, numbers + 1)))
    whole, draw = sums[-1], rng.random
    return lambda: min(bisect_left(sums, draw() * whole), numbers - 1) + 1


@dataclass(frozen=True, slots=True)
class Keys:
    """How messages spread over partitions: `exponent` of Zipf's law, 0 for an even spread; None is in turn."""

    exponent: float | None = None

    @classmethod
    def parse(cls, text: str) -> Keys:
        """ "uniform", "zipf" or "zipf(1.2)". Raises ValueError."""
        match = _KEYS.fullmatch(text.strip())
        try:
            exponent = 0.0 if text.strip() == "uniform" else float((match and (match[1] or EXPONENT)) or "none")
            zipf(random.Random(), 1, exponent)
        except ValueError as error:
            raise ValueError("write uniform, zipf or zipf(S) with an exponent S of 0 to 10, such as 1.1") from error
        return cls(exponent)

    def drawn(self, partitions: int, seed: int) -> Callable[[int], int]:
        """message number → index of its partition. Zipf's most frequent one is 0."""
        if self.exponent is None:
            return lambda number: number % partitions
        draw = zipf(random.Random(f"keys {seed}"), partitions, self.exponent)
        return lambda _: draw() - 1
