"""Objectives: their grammar, `metric(field) op value [for window]`, and the list of those that are always on.

`p99(e2e)<50ms`, `rate(delivered)>=0.99*target`, `errors<0.1%`, `lost==0`, `recovery(restart-pg)<5s`,
`p99(response)<20ms for 10s`. Knows what can be asked, not how it went (`slo`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Final

import msgspec

from queen.bench.workload import Consume
from queen.errors import SettingsError

LATENCIES: Final = ("response", "service", "insert", "e2e", "ack", "generator_lag", "connection_wait")
RATES: Final = ("sent", "accepted", "delivered")
LEDGER: Final = ("lost", "duplicated", "reordered", "corrupt", "ghost", "early", "unacked")
RECOVERY: Final = (
    "kill-server",
    "drain-server",
    "restart-pg",
    "terminate-backends",
    "exhaust-pool",
    "pin-xmin",
    "readers",
    "stall-consumer",
)
_PERCENTILES: Final = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99.9": 99.9, "p99.99": 99.99}
_OF_LATENCY: Final = (*_PERCENTILES, "max", "mean")
_NEVER: Final = ("lost", "corrupt", "ghost", "reordered")
_PLAIN: Final = (*LEDGER, "errors", "backlog", "wal_per_msg", "cpu_per_msg", "rss")
_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(_OF_LATENCY, LATENCIES),
    "rate": RATES,
    "recovery": RECOVERY,
}
METRICS: Final = (*_FIELDS, *_PLAIN)
WINDOWED: Final = (*_OF_LATENCY, "rate", "errors", "backlog", "rss")
"""Metrics that can be held to a window."""

_FORM: Final = re.compile(
    r"\s*(?P<metric>[A-Za-z_][\w.-]*)\s*(?:\(\s*(?P<field>[^()]*?)\s*\))?\s*(?P<op><=|>=|==|<|>)\s*(?P<value>[^<>=]+?)"
    r"(?:\s+for\s+(?P<window>\S+))?\s*"
)
_NUMBER: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*(\*\s*target|[A-Za-zµ%/]*)")
_MS: Final = {"us": 0.001, "µs": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0, "min": 60_000.0}
_BYTES: Final = {"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 2.0**10, "mib": 2.0**20, "gib": 2.0**30}
_COUNTS: Final = {"": 1.0, "k": 1e3, "m": 1e6}
EXAMPLE: Final = "p99(e2e)<50ms"


class Slo(msgspec.Struct, frozen=True, kw_only=True):
    """One objective. `limit` is in the unit of its metric: ms, messages a second, a share from 0 to 1, bytes, µs of
    processor time, or a count. `percent`: of a percentile."""

    text: str
    metric: str
    field: str | None
    op: str
    limit: float
    window_s: float | None = None
    percent: float | None = None
    always: bool = False

    def holds(self, value: float) -> bool:
        """Is this value within?"""
        match self.op:
            case "<":
                return value < self.limit
            case "<=":
                return value <= self.limit
            case ">":
                return value > self.limit
            case ">=":
                return value >= self.limit
        return value == self.limit

    def margin(self, value: float) -> float | None:
        """How far within the limit, as a share of it: 0.1 is a tenth to spare, -0.1 a tenth too far. None for 0."""
        if not self.limit:
            return None
        spare = (self.limit - value) if self.wants_low else (value - self.limit)
        return (-abs(spare) if self.op == "==" else spare) / self.limit

    @property
    def unit(self) -> str:
        """ms, per_s, share, bytes, us, s or count."""
        return unit_of(self.metric)

    @property
    def wants_low(self) -> bool:
        """Smaller is better."""
        return self.op in ("<", "<=", "==")


def unit_of(metric: str) -> str:
    """The unit of a metric's values."""
    if metric in _OF_LATENCY:
        return "ms"
    units = {"rate": "per_s", "errors": "share", "wal_per_msg": "bytes", "rss": "bytes"}
    return {**units, "cpu_per_msg": "us", "recovery": "s"}.get(metric, "count")


def parse(text: str, target: float | None) -> Slo:
    """One objective. Raises SettingsError for what is none: with the nearest name, or one right example."""
    form = _FORM.fullmatch(text)
    if form is None:
        raise _wrong(text, "is not of the form metric(field) op value [for window]")
    metric, field = form["metric"], form["field"]
    if metric not in METRICS:
        raise _unknown(text, "metric", metric, METRICS)
    _check_field(text, metric, field)
    window = form["window"]
    return Slo(
        text=" ".join(text.split()),
        metric=metric,
        field=field,
        op=form["op"],
        limit=_limit(text, metric, form["value"].strip(), target),
        window_s=None if window is None else _window(text, metric, window),
        percent=_PERCENTILES.get(metric),
    )


def always(target: float | None, *, consume: Consume = "meanwhile") -> list[Slo]:
    """Those that nobody has to ask for. `target`: only in target mode. Nothing is lost where nobody consumes."""
    texts = ["corrupt==0", "ghost==0", "reordered==0"] if consume == "never" else [f"{name}==0" for name in _NEVER]
    if target is not None:
        texts.append(f"rate({'delivered' if consume == 'meanwhile' else 'accepted'})>=0.99*target")
    return [msgspec.structs.replace(parse(text, target), always=True) for text in texts]


def with_always(asked: Sequence[Slo], target: float | None, *, consume: Consume = "meanwhile") -> list[Slo]:
    """Those that are always on, and the asked ones; none of them twice."""
    fixed = always(target, consume=consume)
    seen = {_meaning(slo) for slo in fixed}
    return fixed + [slo for slo in asked if _meaning(slo) not in seen]


def _meaning(slo: Slo) -> tuple[object, ...]:
    return (slo.metric, slo.field, slo.op, slo.limit, slo.window_s)


def _check_field(text: str, metric: str, field: str | None) -> None:
    fields = _FIELDS.get(metric)
    if fields is None:
        if field is not None:
            raise _wrong(text, f"{metric} takes no field")
    elif field is None:
        raise _wrong(text, f"{metric} needs a field, one of {', '.join(fields)}")
    elif field in METRICS and field not in fields:
        raise _wrong(text, f"{metric} cannot be taken of {field}; it takes one of {', '.join(fields)}")
    elif field not in fields:
        raise _unknown(text, f"field of {metric}", field, fields)


def _limit(text: str, metric: str, value: str, target: float | None) -> float:
    form = _NUMBER.fullmatch(value)
    if form is None:
        raise _wrong(text, f"{value!r} is not a value")
    number, unit = float(form[1]), "".join(form[2].split()).lower()
    if unit == "*target":
        if metric != "rate":
            raise _wrong(text, f"only a rate can be held to the target, and {metric} is none")
        if target is None:
            raise _wrong(text, "there is no target in this mode")
        return number * target
    scales = _scales(metric)
    if unit not in scales:
        allowed = ", ".join(repr(name) if name else "a plain number" for name in scales)
        raise _wrong(text, f"{metric} has the unit {allowed}, not {value!r}")
    return number * scales[unit]


def _scales(metric: str) -> dict[str, float]:
    match unit_of(metric):
        case "ms":
            return _MS
        case "s":
            return {unit: scale / 1000 for unit, scale in _MS.items()}
        case "us":
            return {unit: scale * 1000 for unit, scale in _MS.items()}
        case "share":
            return {"%": 0.01, "": 1.0}
        case "bytes":
            return _BYTES
        case "per_s":
            return {**_COUNTS, "/s": 1.0, "k/s": 1e3, "msg/s": 1.0}
    return _COUNTS


def _window(text: str, metric: str, window: str) -> float:
    if metric not in WINDOWED:
        raise _wrong(text, f"{metric} is known for the whole run only, so no `for`")
    form = _NUMBER.fullmatch(window)
    seconds = float(form[1]) * _MS.get(form[2].lower(), 0) / 1000 if form else 0
    if seconds < 1:
        raise _wrong(text, f"{window!r} is not a window of a second or more, such as 10s")
    return seconds


def _unknown(text: str, what: str, name: str, names: tuple[str, ...]) -> SettingsError:
    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
    return _wrong(text, f"{name!r} is no {what}; {hint}")


def _wrong(text: str, why: str) -> SettingsError:
    return SettingsError(f"objective {text.strip()!r}: {why}", hint=f"write it like --slo '{EXAMPLE}'")
