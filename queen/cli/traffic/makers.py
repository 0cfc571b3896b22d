"""What may stand between {{ and }} in a payload template: a closed set of makers of text, all driven by a seed.

A closed set rather than a template language: nothing of the machine can be reached from a template, a mistake is found
before the first message, and making one costs a few calls. Knows neither templates nor messages.
"""

from __future__ import annotations

import difflib
import math
import random
import re
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import count

from queen.cli.traffic.spread import EXPONENT, zipf

Make = Callable[[], str]

_WORDS = (
    "amber anchor apple arrow autumn basket beacon birch bridge candle canyon cedar circle cloud copper coral cotton "
    "dawn desert ember falcon feather field forest garden glacier harbor hazel island ivory jasmine juniper kettle "
    "lagoon lantern lemon linen maple marble meadow mirror nectar ocean olive orchid pebble pepper prairie quartz "
    "raven river saffron silver summit thunder timber valley velvet violet walnut willow winter zephyr"
)
_HEX_MAX = 65_536
_PLAIN = re.compile(r'[^"\\\x00-\x1f]+')


def maker(words: Sequence[str], rng: random.Random) -> Make:
    """The maker that the words between the braces name. Raises ValueError with what is right."""
    if not words:
        raise ValueError(f"name a generator: {', '.join(_MAKERS)}")
    name, arguments = words[0], list(words[1:])
    if name not in _MAKERS:
        near = difflib.get_close_matches(name, _MAKERS, n=1, cutoff=0.5)
        raise ValueError(
            f"unknown generator {name!r}" + (f", did you mean {near[0]}?" if near else f"; there are {_list()}")
        )
    build, form = _MAKERS[name]
    try:
        return build(arguments, rng)
    except (ValueError, IndexError, OverflowError) as error:
        raise ValueError(f"write {form}") from error


def _list() -> str:
    return ", ".join(_MAKERS)


def _exactly(arguments: Sequence[str], least: int, most: int | None = None) -> None:
    if not least <= len(arguments) <= (least if most is None else most):
        raise ValueError("wrong number of arguments")


def _seq(arguments: list[str], rng: random.Random) -> Make:
    _exactly(arguments, 0, 1)
    numbers = count(int(arguments[0]) if arguments else 0)
    return lambda: str(next(numbers))


def _uuid(arguments: list[str], rng: random.Random) -> Make:
    _exactly(arguments, 0)
    return lambda: str(uuid.UUID(int=rng.getrandbits(128), version=4))


def _int(arguments: list[str], rng: random.Random) -> Make:
    _exactly(arguments, 2)
    least, most = int(arguments[0]), int(arguments[1])
    if least > most:
        raise ValueError("from the smaller to the larger one")
    return lambda: str(rng.randint(least, most))


def _float(arguments: list[str], rng: random.Random) -> Make:
    _exactly(arguments, 2)
    least, most = float(arguments[0]), float(arguments[1])
    if not (math.isfinite(least) and math.isfinite(most - least) and least <= most):
        raise ValueError("from the smaller to the larger one")
    return lambda: repr(round(rng.uniform(least, most), 6))


def _word(arguments: list[str], rng: random.Random) -> Make:
    _exactly(arguments, 0)
    words = _WORDS.split()
    return lambda: rng.choice(words)


def _choice(arguments: list[str], rng: random.Random) -> Make:
    if not arguments or not all(_PLAIN.fullmatch(argument) for argument in arguments):
        raise ValueError("plain words")
    return lambda: rng.choice(arguments)


def _now(arguments: list[str], rng: random.Random) -> Make:
    _exactly(arguments, 0)
    return lambda: datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _hex(arguments: list[str], rng: random.Random) -> Make:
    _exactly(arguments, 1)
    digits = int(arguments[0])
    if not 1 <= digits <= _HEX_MAX:
        raise ValueError("too many digits")
    return lambda: f"{rng.getrandbits(4 * digits):0{digits}x}"


def _zipf(arguments: list[str], rng: random.Random) -> Make:
    _exactly(arguments, 1, 2)
    draw = zipf(rng, int(arguments[0]), float(arguments[1]) if len(arguments) > 1 else EXPONENT)
    return lambda: str(draw())


_MAKERS: dict[str, tuple[Callable[[list[str], random.Random], Make], str]] = {
    "seq": (_seq, "{{seq}} or {{seq FIRST}}"),
    "uuid": (_uuid, "{{uuid}}"),
    "int": (_int, "{{int A B}} with whole numbers A ≤ B"),
    "float": (_float, "{{float A B}} with numbers A ≤ B"),
    "word": (_word, "{{word}}"),
    "choice": (_choice, "{{choice a b c}} with words that hold no quote and no backslash"),
    "now": (_now, "{{now}}"),
    "hex": (_hex, f"{{{{hex N}}}} with 1 to {_HEX_MAX} digits"),
    "zipf": (_zipf, "{{zipf N}} or {{zipf N S}} with N of 1 to 1000000 and an exponent S of 0 to 10"),
}
