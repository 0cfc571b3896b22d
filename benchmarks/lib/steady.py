"""A command that offers a fixed rate and reports whether it was held, shared by `sustained` and `burst`.

Rate held means: at least HELD of the pushes that were due in the window were answered in it, and of the messages due
as many acked, where consumers run meanwhile.
"""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Sequence

import msgspec

from benchmarks.lib import shell
from benchmarks.lib.cells import Window
from benchmarks.lib.measure import PlanRun, measure_plan, meter
from benchmarks.lib.options import SIZE_MAX, whole
from benchmarks.lib.plan import Pace, Plan, Step, Verdict
from benchmarks.lib.record import Record
from benchmarks.lib.target import Target
from benchmarks.lib.text import align, number, times, verdict_line
from benchmarks.lib.traffic import PARTITIONS_MAX

HELD = 0.99


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """What the two commands differ in."""

    name: str
    about: str
    rate: int
    size: int
    seconds: float
    later: bool


class Options(shell.Common, frozen=True, kw_only=True):
    rate: int
    size: int
    partitions: int
    consumers: int
    pop_batch: int
    pop_partitions: int
    consume: str


class PacedWindow(msgspec.Struct, frozen=True, kw_only=True):
    """One window. Shares are of one core; `rate_share` is pushes answered over pushes due."""

    window: Window
    pace: Pace
    rate_share: float
    acked_share: float
    held: bool
    server_share: float | None
    postgres_share: float | None


class PacedRecord(Record, frozen=True, kw_only=True):
    """The record of such a command. `held` is true when every window held the rate."""

    rate: int
    size: int
    consume: str
    held: bool
    windows: list[PacedWindow]
    verdicts: list[Verdict]


def parse(preset: Preset, arguments: Sequence[str] | None) -> Options:
    """Exits with 2 on wrong usage."""
    parser = argparse.ArgumentParser(prog=preset.name, description=preset.about)
    add = parser.add_argument
    rate, size, consume = preset.rate, preset.size, "later" if preset.later else "meanwhile"
    add("--rate", type=whole(1, 1_000_000), default=rate, metavar="N", help=f"messages a second ({rate})")
    add("--size", type=whole(1, SIZE_MAX), default=size, metavar="N", help=f"messages a push ({size})")
    add("--partitions", type=whole(1, PARTITIONS_MAX), default=100, metavar="N", help="of the queue (100)")
    add("--consumers", type=whole(1, 1000), default=8, metavar="N", help="connections that pop (8)")
    add("--pop-batch", type=whole(1, 10_000), default=1000, metavar="N", help="most messages of a pop (1000)")
    add("--pop-partitions", type=whole(1, 1000), default=100, metavar="N", help="most partitions of a pop (100)")
    add("--consume", choices=("meanwhile", "later"), default=consume, help=f"when consumers run ({consume})")
    shell.add_common(parser, window_s=preset.seconds, warmup_s=3.0, repeat=1, connections=64)
    options = Options(**vars(parser.parse_args(arguments)))
    fault = shell.fault(options)
    if not fault and options.consumers >= options.connections:
        fault = "--consumers must leave some of --connections to push"
    if fault:
        parser.error(fault)
    return options


def main(preset: Preset, arguments: Sequence[str] | None) -> int:
    """Runs the command and returns its exit code."""
    options = parse(preset, arguments)
    return shell.run(preset.name, options, lambda: _measure(preset.name, options))


def _measure(name: str, options: Options) -> shell.Outcome:
    head = shell.begin(name, options)
    runs: list[PlanRun] = []
    with shell.server(options) as target, meter(target) as pg:
        for repeat in range(options.repeat):
            runs.append(measure_plan(name, _plan(name, options, target, repeat), target, pg))
            if runs[-1].failure or runs[-1].wrong:
                break
    return _outcome(options, head, runs)


def _plan(name: str, options: Options, target: Target, repeat: int) -> Plan:
    return Plan(
        host=target.host,
        port=target.port,
        run_id=secrets.token_hex(4),
        queue=name,
        group="",
        size=options.size,
        spread=1,
        partitions=options.partitions,
        connections=options.connections,
        payload_bytes=options.payload_bytes,
        backlog_max=1 << 30,
        messages_max=1 << 30,
        stall_s=options.stall,
        seed=options.seed,
        steps=[Step("prime", repeat, False, 0, 0), Step("paced", repeat, True, options.warmup, options.seconds)],
        consumers=options.consumers,
        pop_batch=options.pop_batch,
        pop_spread=options.pop_partitions,
        pushes_per_s=options.rate / options.size,
        consume_later=options.consume == "later",
    )


def _outcome(options: Options, head: shell.Head, runs: list[PlanRun]) -> shell.Outcome:
    pairs = [pair for run in runs for pair in zip(run.windows["paced"], run.paces, strict=True)]
    windows = [judge(window, pace, options.size, later=options.consume == "later") for window, pace in pairs]
    record = PacedRecord(
        **head.fields([problem for run in runs for problem in run.problems()], runs[0].postgres),
        rate=options.rate,
        size=options.size,
        consume=options.consume,
        held=bool(windows) and all(window.held for window in windows),
        windows=windows,
        verdicts=[run.verdict for run in runs if run.verdict],
    )
    return shell.Outcome(record=record, text=_table(record), wrong=any(run.wrong for run in runs))


def judge(window: Window, pace: Pace, size: int, *, later: bool) -> PacedWindow:
    """Was the rate held?"""
    rate_share, acked_share = pace.answered / max(1, pace.due), window.acked / max(1, pace.due * size)
    return PacedWindow(
        window=window,
        pace=pace,
        rate_share=rate_share,
        acked_share=acked_share,
        held=rate_share >= HELD and (later or acked_share >= HELD),
        server_share=_share(window.server_us, window),
        postgres_share=_share(window.postgres_us, window),
    )


def _share(cost_us: float | None, window: Window) -> float | None:
    return None if cost_us is None else cost_us * window.msg_per_s / 1e6


_HEADINGS = [
    *("msg/s", "of due", "acked/s", "behind s", "late", "due→answer", "due→consumer", "push p50/p99", "pop p50/p99"),
    *("ack p50/p99 ms", "daemon", "PG", "generator", "total µs", "WAL B", "drained s"),
]


def _table(record: PacedRecord) -> str:
    lines = align([["round", *_HEADINGS], *(_row(one) for one in record.windows)])
    lines.append(f"offered {record.rate:,} msg/s in pushes of {record.size}; consumers {record.consume}")
    lines.append("daemon, PG and generator are shares of one core")
    lines.append("rate     held" if record.held else "rate     NOT HELD")
    for one in record.windows:
        lines += [f"note: round {one.window.repeat + 1}: {note}" for note in one.window.notes]
    lines += [f"PROBLEM: {problem}" for problem in record.problems]
    lines.append(verdict_line(record.valid))
    return "\n".join(lines)


def _row(one: PacedWindow) -> list[str]:
    window, pace = one.window, one.pace
    shares = (one.server_share, one.postgres_share, window.generator_share)
    return [
        str(window.repeat + 1),
        number(window.msg_per_s, 0),
        f"{one.rate_share:.1%}",
        number(window.acked / window.seconds, 0),
        number(pace.behind_s, 2),
        f"{pace.late:,}",
        *(times(window.latency.get(name)) for name in ("intended", "end_to_end", "push", "pop", "ack")),
        *("n/a" if share is None else f"{share:.0%}" for share in shares),
        number(window.total_us, 1),
        number(window.wal_bytes, 0),
        number(pace.drained_s, 1),
    ]
