"""Where does it bend? One knob over a range, a step for each value, and the knee in what came out.

`rate=1k..40k` is a geometric range of 6 steps, `rate=1k..40kx8` of 8, `payload=100B,1KiB,10KiB` a list. Pure, but for
the short driver.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from queen.bench import knobs
from queen.bench.result import Step
from queen.bench.workload import Workload
from queen.errors import SettingsError
from queen.settings.sources import nearest

STEPS_DEFAULT: Final = 6
STEPS_MAX: Final = 50
KNEE_FACTOR: Final = 2.0
KNEE_DELIVERED: Final = 0.99

KNOBS: Final[Mapping[str, str]] = {
    "rate": "rate",
    "payload": "payload_bytes",
    "batch": "push_batch",
    "partitions": "partitions",
    "groups": "groups",
    "pool": "serve",
}
"""What can be swept, and the knob of the workload behind it; `pool` is the option --pool-size of the bench's server."""

_EXAMPLE: Final = "such as rate=1k..40k, payload=100B,1KiB,10KiB or batch=1..100x5"
_RANGE: Final = re.compile(r"(?P<low>.+?)\.\.(?P<high>.+?)(?:\s*x(?P<steps>[0-9]+))?")


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """The knob by its short name, and its values in the order in which they are run."""

    knob: str
    values: tuple[float, ...]

    def workload(self, base: Workload, value: float) -> Workload:
        """The workload of one step. Raises SettingsError when the value does not fit the other knobs."""
        if self.knob == "pool":
            return msgspec.structs.replace(base, serve=(*_without_pool(base.serve), "--pool-size", str(int(value))))
        changed = msgspec.structs.replace(base, **{KNOBS[self.knob]: value})
        if problems := knobs.conflicts(changed):
            raise SettingsError("\n".join(problems))
        return changed

    def label(self, value: float) -> str:
        return f"{self.knob}={value:g}" if value < 1e6 else f"{self.knob}={value:.0f}"


def parse(text: str) -> Sweep:
    """A sweep from text. Raises SettingsError: the nearest knob, what a value may be, and an example."""
    name, equals, rest = (part.strip() for part in text.partition("="))
    if not equals or not rest:
        raise SettingsError(f"{text!r} is no sweep: write a knob, = and a range or list, {_EXAMPLE}")
    if name not in KNOBS:
        known = f"knobs: {', '.join(KNOBS)}"
        raise SettingsError(f"{name}: cannot be swept{nearest(name, KNOBS)}", hint=f"{known}; {_EXAMPLE}")
    match = _RANGE.fullmatch(rest)
    values = _range(name, match) if match else tuple(_value(name, part) for part in rest.split(","))
    if len(values) < 2 or len(set(values)) < len(values):
        raise SettingsError(f"{text!r}: a sweep needs two different values or more, {_EXAMPLE}")
    if len(values) > STEPS_MAX:
        raise SettingsError(f"{text!r}: more than {STEPS_MAX} values")
    return Sweep(knob=name, values=values)


@dataclass(frozen=True, slots=True)
class Knee:
    """The first step that bends: its place in the steps, and why it is one."""

    index: int
    label: str
    reason: str


def knee(steps: Sequence[Step]) -> Knee | None:
    """Where p99 (end to end, or else of the response) is twice that of the first step, or less than 99 % of what was
    offered is delivered. None: it does not bend in this range."""
    base = _p99(steps[0]) if steps else None
    for index, step in enumerate(steps):
        offered, delivered = step.offered_per_s, step.delivered_per_s
        if offered and delivered is not None and delivered < KNEE_DELIVERED * offered:
            return Knee(index, step.label, f"{delivered / offered * 100:.1f} % of the offered rate was delivered")
        p99 = _p99(step)
        if index and base and p99 is not None and p99 >= KNEE_FACTOR * base:
            return Knee(index, step.label, f"p99 {p99:.3g} ms is {p99 / base:.1f} times that of the first step")
    return None


RunStep = Callable[[str, Workload], Awaitable[Step]]


async def sweep(plan: Sweep, base: Workload, run_step: RunStep, *, steps: list[Step] | None = None) -> list[Step]:
    """Run every step, past the knee too: a curve needs both sides. Values that do not fit raise before the first one
    runs. What was run is in `steps` also after a cancellation."""
    done = [] if steps is None else steps
    workloads = [(plan.label(value), plan.workload(base, value)) for value in plan.values]
    for label, workload in workloads:
        done.append(await run_step(label, workload))
    return done


def _range(name: str, match: re.Match[str]) -> tuple[float, ...]:
    low, high = _value(name, match["low"]), _value(name, match["high"])
    count = int(match["steps"] or STEPS_DEFAULT)
    if low >= high or not 2 <= count <= STEPS_MAX:
        raise SettingsError(f"{name}={match[0]}: must rise, in 2 to {STEPS_MAX} steps, {_EXAMPLE}")
    spread = [low * (high / low) ** (place / (count - 1)) for place in range(1, count - 1)]
    between = [_rounded(name, value) for value in spread]
    return tuple(dict.fromkeys([low, *(value for value in between if low < value < high), high]))


def _rounded(name: str, value: float) -> float:
    """Three digits are enough for a rate; the rest are whole."""
    return float(f"{value:.3g}") if name == "rate" else round(float(f"{value:.3g}"))


def _value(name: str, text: str) -> float:
    """One value, judged as the knob of a workload is, and named as the sweep names it."""
    try:
        knob = "connections" if name == "pool" else KNOBS[name]
        found: Any = knobs.parse(knob, text.strip())
    except SettingsError as error:
        raise SettingsError(f"{name}: {error.message.partition(' = ')[2] or error.message}", hint=_EXAMPLE) from None
    return float(found) if name == "rate" else int(found)


def _without_pool(words: Sequence[str]) -> list[str]:
    kept: list[str] = []
    skip = False
    for word in words:
        if not skip and not word.startswith("--pool-size"):
            kept.append(word)
        skip = word == "--pool-size"
    return kept


def _p99(step: Step) -> float | None:
    return step.e2e_p99_ms if step.e2e_p99_ms is not None else step.response_p99_ms
