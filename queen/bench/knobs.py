"""The knobs of a workload as text: what each may be, from text to value, and what must fit together.

Files of profiles, sides of a comparison, sweeps and options of the command all come through here, so that a value is
judged in one place. Knows no file and no command.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, get_args

import msgspec

from queen import units
from queen.bench.workload import AckMode, Arrivals, Consume, Workload
from queen.errors import SettingsError
from queen.settings import values
from queen.settings.schema import fields
from queen.settings.sources import nearest

_COUNT: Final = re.compile(r"([0-9]{1,12})([kKmM]?)")
_FACTORS: Final = {"": 1, "k": 1_000, "m": 1_000_000}
_ZIPF: Final = re.compile(r"zipf\(([0-9]+(?:\.[0-9]+)?)\)")

Parse = Callable[[str], Any]


def parse(name: str, value: str | list[str]) -> Any:
    """The value of one knob from text (`payload_bytes`, "1KiB") or, for lists, from several texts.

    Raises SettingsError that says what is allowed, or names the nearest knob.
    """
    return _one(name, value, "")


def override(workload: Workload, given: Mapping[str, str | list[str]], *, where: str = "") -> Workload:
    """The workload with these knobs set. `where` (a file) is named in messages. Raises SettingsError that names every
    problem, one a line."""
    return overridden(workload, [(name, value, where) for name, value in given.items()])


def overridden(workload: Workload, given: Iterable[tuple[str, str | list[str], str]]) -> Workload:
    """The same from (name, value, where it was given)."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, value, where in given:
        try:
            values[name] = _one(name, value, where)
        except SettingsError as error:
            problems.append(error.message)
    changed = msgspec.structs.replace(workload, **values)
    if problems := problems or conflicts(changed):
        raise SettingsError("\n".join(problems), hint="queen bench profiles lists the profiles with their knobs")
    return changed


def conflicts(workload: Workload) -> list[str]:
    """What does not fit together in a workload, one sentence each; empty when all does."""
    found = []
    low, high = workload.handler_ms
    if low > high:
        found.append(f"handler_ms: {low:g} is above {high:g}; write the smaller one first")
    if workload.nack_share + workload.poison_share > 1:
        found.append("nack_share and poison_share: together they must not be above 1")
    if workload.ack == "auto" and (workload.nack_share or workload.poison_share):
        found.append("ack: auto leaves nothing to nack; nack_share and poison_share must be 0")
    if workload.push_batch > 1 and workload.push_batch * workload.payload_bytes > _PUSH_BYTES_MAX:
        size = units.format_bytes(_PUSH_BYTES_MAX)
        found.append(f"push_batch × payload_bytes: a push must not be above {size}, the largest body of a server")
    return found


def unserved(words: Iterable[str]) -> list[str]:
    """What is wrong with options for `queen serve`, one sentence each: unknown ones with the nearest name."""
    known = _serve_options()
    found = []
    for word in words:
        option = word.partition("=")[0]
        if option.startswith("-") and option in _OF_THE_BENCH:
            found.append(f"serve: {option} is the bench's own to set")
        elif option.startswith("-") and option not in known:
            found.append(f"serve: {option} is no option of queen serve{nearest(option, known)}")
    return found


_PUSH_BYTES_MAX: Final = 64 << 20
_OF_THE_BENCH: Final = frozenset({"--host", "--port", "--database-url", "--data-dir", "--config"})
_SERVED: Final = (
    "database.pool_size",
    "database.connection_timeout_ms",
    "engine.memory_bytes_max",
    "engine.high_perf",
    "server.workers",
    "server.cors_origins",
    "log.format",
    "log.level",
)


def _serve_options() -> set[str]:
    known = set()
    for key in _SERVED:
        field = fields()[key]
        known.add(field.flag)
        if field.kind == "bool":
            known.add(field.flag.replace("--", "--no-", 1))
    return known


def _one(name: str, value: str | list[str], where: str) -> Any:
    at = f" ({where})" if where else ""
    if name not in _KNOBS:
        raise SettingsError(f"{name}{at}: unknown knob of a workload{nearest(name, _KNOBS)}")
    read, allowed = _KNOBS[name]
    try:
        if name in _LISTS:
            return _LISTS[name](value if isinstance(value, list) else [value])
        if isinstance(value, list):
            raise ValueError
        return read(value.strip())
    except ValueError as error:
        reason = f" ({error})" if str(error) and name in _LISTS else ""
        shown = value if isinstance(value, str) else ", ".join(value)
        raise SettingsError(f"{name} = {shown!r}{at}: must be {allowed}{reason}") from None


def _within(value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError


def _whole(low: int, high: int) -> tuple[Parse, str]:
    def read(text: str) -> int:
        match = _COUNT.fullmatch(text)
        if match is None:
            raise ValueError
        number = int(match[1]) * _FACTORS[match[2].lower()]
        _within(number, low, high)
        return number

    return read, f"a whole number from {low:,} to {high:,}"


def _share() -> tuple[Parse, str]:
    def read(text: str) -> float:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        _within(share, 0, 1)
        return share

    return read, "a share from 0 to 1, such as 0.01 or 1%"


def _size(low: int, high: int) -> tuple[Parse, str]:
    def read(text: str) -> int:
        size = units.parse_bytes(text)
        _within(size, low, high)
        return size

    return read, f"a size from {units.format_bytes(low)} to {units.format_bytes(high)}"


def _seconds(low: float, high: float, *, whole: bool = False) -> tuple[Parse, str]:
    def read(text: str) -> float:
        seconds = units.parse_duration_ms(text, plain_unit="s") / 1000
        _within(seconds, low, high)
        if whole and seconds != int(seconds):
            raise ValueError
        return int(seconds) if whole else seconds

    ends = (units.format_duration(round(end * 1000)) for end in (low, high))
    return read, f"a duration from {' to '.join(ends)}{' in whole seconds' if whole else ''}"


def _milliseconds(high: float, *, whole: bool = False) -> tuple[Parse, str]:
    def read(text: str) -> float:
        duration = _duration_ms(text)
        _within(duration, 0, high)
        return round(duration) if whole else duration

    return read, f"a duration from 0 to {units.format_duration(round(high))}, such as 5ms"


def _duration_ms(text: str) -> float:
    """Milliseconds, fractions allowed: "0.5ms", "5", "1s"."""
    number = re.fullmatch(r"([0-9]*\.?[0-9]+)\s*(?:ms)?", text.strip())
    return float(number[1]) if number else float(units.parse_duration_ms(text))


def _handler(text: str) -> tuple[float, float]:
    low, dots, high = text.partition("..")
    ends = (_duration_ms(low), _duration_ms(high if dots else low))
    for end in ends:
        _within(end, 0, 3_600_000)
    return ends


def _rate(text: str) -> float:
    rate = units.parse_rate(text)
    _within(rate, 0.1, 10_000_000)
    return rate


def _choice(kind: Any) -> tuple[Parse, str]:
    choices = get_args(kind)

    def read(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError
        return text.lower()

    return read, "one of " + ", ".join(choices)


def _keys(text: str) -> str:
    match = _ZIPF.fullmatch(text)
    if text != "uniform" and (match is None or not 0 < float(match[1]) <= 10 or not math.isfinite(float(match[1]))):
        raise ValueError
    return text


def _serve(words: list[str]) -> tuple[str, ...]:
    """Options one word each; an entry such as `--pool-size 50` is split."""
    split = tuple(word for entry in words for word in entry.split())
    if problems := unserved(split):
        raise ValueError("; ".join(problems))
    return split


def _postgres(lines: list[str]) -> tuple[str, ...]:
    """Settings as `name = value`, one an entry; durability is none of them, for a faster loss is no better result."""
    for line in lines:
        match = _SETTING.fullmatch(line.strip())
        if match is None and line.strip() != DEFAULTS:
            raise ValueError(f"{line!r} is no setting")
        if match is not None and match[1].lower() in _DURABILITY:
            raise ValueError(f"{match[1]} is durability, which is not up for comparison")
    return tuple(line.strip() for line in lines)


def _settings(lines: list[str]) -> tuple[str, ...]:
    """Settings of the engine as `engine.name = value`, one an entry, each judged as `queen serve` would."""
    found = []
    for line in lines:
        name, equals, value = (part.strip() for part in line.partition("="))
        known = {key: one for key, one in fields().items() if key.startswith("engine.") and not one.traits.secret}
        if not equals or name not in known:
            raise ValueError(f"{name or line!r} is no setting of the engine{nearest(name, known)}")
        try:
            values.parse(known[name], value)
        except ValueError as error:
            raise ValueError(f"{name} {error}") from None
        found.append(f"{name} = {value}")
    return tuple(found)


def _tables(lines: list[str]) -> tuple[str, ...]:
    """Storage parameters as `table.parameter = value`, one an entry; PostgreSQL judges the value."""
    found = [_PARAMETER.fullmatch(line.strip()) for line in lines]
    for line, match in zip(lines, found, strict=True):
        if match is None:
            raise ValueError(f"{line!r} is no storage parameter of a table")
    return tuple(f"{match[1]}.{match[2]} = {match[3]}" for match in found if match is not None)


DEFAULTS: Final = "defaults"
"""Stands for PostgreSQL as it comes in the knob `postgres`."""
_SETTING: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_.]*)\s*=\s*([^\n]+)")
_PARAMETER: Final = re.compile(r"([a-z_]+)\.((?:toast\.)?[a-z_]+)\s*=\s*([A-Za-z0-9_.+-]+)")
_DURABILITY: Final = frozenset({"fsync", "full_page_writes", "synchronous_commit", "wal_level"})
_TEXT: Final[tuple[Parse, str]] = (str, "text")
_LISTS: Final[Mapping[str, Callable[[list[str]], tuple[str, ...]]]] = {
    "slos": tuple,
    "serve": _serve,
    "postgres": _postgres,
    "settings": _settings,
    "tables": _tables,
}

_KNOBS: Final[Mapping[str, tuple[Parse, str]]] = {
    "name": _TEXT,
    "version": _whole(1, 1_000_000),
    "about": _TEXT,
    "rate": (_rate, "a rate such as 10k or 500/s"),
    "arrivals": _choice(Arrivals),
    "payload_bytes": _size(64, 64 << 20),
    "random_share": _share(),
    "partitions": _whole(1, 10_000_000),
    "keys": (_keys, "uniform, or zipf(S) with an exponent from above 0 to 10"),
    "idle_partitions": _whole(0, 10_000_000),
    "push_batch": _whole(1, 10_000),
    "linger_ms": _milliseconds(60_000),
    "connections": _whole(1, 20_000),
    "churn_per_s": _share(),
    "groups": _whole(1, 100),
    "consumers": _whole(1, 10_000),
    "pop_batch": _whole(1, 10_000),
    "pop_partitions": _whole(1, 10_000),
    "pop_wait_ms": _milliseconds(60_000, whole=True),
    "ack": _choice(AckMode),
    "consume": _choice(Consume),
    "lease_s": _seconds(1, 86_400, whole=True),
    "handler_ms": (_handler, "a duration or a range, such as 5ms..20ms"),
    "nack_share": _share(),
    "poison_share": _share(),
    "start_depth": _whole(0, 1_000_000_000),
    "warmup_s": _seconds(0, 3_600),
    "measure_s": _seconds(1, 7 * 86_400),
    "drain_s": _seconds(0, 86_400),
    "slos": (str, "a list of objectives, such as p99(e2e)<50ms"),
    "serve": (str, "a list of options of queen serve, such as --pool-size 50"),
    "postgres": (str, "a list of settings such as shared_buffers = 1GB, or defaults alone"),
    "settings": (str, "a list of settings of the engine, such as engine.pop_gather_ms = 10"),
    "tables": (str, "a list of storage parameters, such as cursors.autovacuum_vacuum_threshold = 1000"),
}
"""How each knob is read, and the end of the sentence "must be …"."""
