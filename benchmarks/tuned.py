"""Is PostgreSQL with tune-pg's settings better than PostgreSQL as it comes? `queen bench --ab` on this machine.

Side A has the settings that PostgreSQL comes with, side B those of `queen tune-pg` for this machine and this load;
each run has a private PostgreSQL and a server of its own. Durability is the same on both sides. The result keeps the
settings of B, the figures of each run and the comparison with its intervals, without the seconds of every run.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from benchmarks.lib import shell
from benchmarks.lib.facts import REPOSITORY
from benchmarks.lib.options import whole
from benchmarks.lib.record import Record
from benchmarks.lib.text import align, verdict_line
from queen.measure.compare import of_pairs

FIGURES: Final[dict[str, Callable[[dict[str, Any]], float]]] = {
    "delivered msg/s": lambda run: run["delivered_per_s"],
    "insert p50 ms": lambda run: run["latency"]["insert"]["p50"],
    "insert p99 ms": lambda run: run["latency"]["insert"]["p99"],
    "e2e p50 ms": lambda run: run["latency"]["e2e"]["p50"],
    "e2e p99 ms": lambda run: run["latency"]["e2e"]["p99"],
    "server µs a message": lambda run: run["costs"]["server_cpu_us"],
    "PostgreSQL µs a message": lambda run: run["costs"]["postgres_cpu_us"],
    "WAL bytes a message": lambda run: run["costs"]["wal_bytes"],
}
# The conclusion of a comparison is data, whichever way it goes: done, missed objectives, inconclusive.
_CONCLUDED: Final = (0, 1, 5)


class Options(msgspec.Struct, frozen=True, kw_only=True):
    target: int
    payload: int
    pairs: int
    seconds: int
    warmup: int
    memory: str
    cpus: int
    storage: str
    again: Path | None
    output: Path | None
    save: bool

    def parameters(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__struct_fields__ if name not in ("output", "save", "again")}


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of both sides: values of the pairs, and B/A with the interval that holds it in 95 % of cases."""

    figure: str
    a: list[float]
    b: list[float]
    ratio: float
    low: float
    high: float


class TunedRecord(Record, frozen=True, kw_only=True):
    """`settings` are those of side B; `runs` come as A, B, A, B, …."""

    settings: list[str]
    runs: list[dict[str, Any]]
    compared: list[Compared]
    verdict: dict[str, Any]


def parse(arguments: Sequence[str] | None) -> Options:
    """Exits with 2 on wrong usage."""
    parser = argparse.ArgumentParser(prog="tuned", description="PostgreSQL as it comes against tune-pg's settings.")
    add = parser.add_argument
    add("--target", type=whole(1, 1_000_000), default=10_000, metavar="N", help="messages a second (10000)")
    add("--payload", type=whole(64, 1 << 20), default=250, metavar="N", help="bytes (250)")
    add("--pairs", type=whole(5, 50), default=5, metavar="N", help="of runs (5)")
    add("--seconds", type=whole(30, 3600), default=30, metavar="S", help="of a run (30)")
    add("--warmup", type=whole(1, 600), default=8, metavar="S", help="before each (8)")
    add("--memory", default=_memory(), metavar="SIZE", help="of this machine, for tune-pg (all of it)")
    add("--cpus", type=whole(1, 1024), default=os.cpu_count() or 1, metavar="N", help="of this machine (all)")
    add("--storage", default="ssd", metavar="KIND", help="of this machine (ssd)")
    add("--again", type=Path, metavar="FILE", help="compare the runs of a result file once more, without running any")
    add("--output", type=Path, metavar="FILE", help="where the result goes")
    add("--no-save", dest="save", action="store_false", help="keep no result file")
    return Options(**vars(parser.parse_args(arguments)))


def _memory() -> str:
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') >> 20}MiB"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    options = parse(arguments)
    again = options.again
    return shell.run("tuned", options, lambda: _compare(options) if again is None else _again(options, again))


def _compare(options: Options) -> shell.Outcome:
    head = shell.begin("tuned", options)
    settings = _settings(options)
    with tempfile.TemporaryDirectory(prefix="queen-tuned-") as name:
        folder = Path(name)
        sides = {"a.yaml": ["defaults"], "b.yaml": ["defaults", *settings]}
        for file, lines in sides.items():
            (folder / file).write_text(json.dumps({"postgres": lines}), "utf-8")  # JSON is YAML too
        done = subprocess.run(
            [
                *(sys.executable, "-m", "queen", "bench", "--ab", str(folder / "a.yaml"), str(folder / "b.yaml")),
                *("--pairs", str(options.pairs), "--target", str(options.target), "--payload", str(options.payload)),
                *("--duration", f"{options.seconds}s", "--warmup", f"{options.warmup}s"),
                *("--output", str(folder / "out")),
            ],
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        found = folder / "out" / "result.json"
        result = json.loads(found.read_text("utf-8")) if found.exists() else {}
    problems = [] if done.returncode in _CONCLUDED else [f"queen bench --ab ended with {done.returncode}"]
    runs = [_figures(run) for run in result.get("runs", [])]
    compared = compare(runs, options.pairs)
    if not compared:
        problems.append("not all pairs were measured")
    record = TunedRecord(
        **head.fields(problems, None),
        settings=settings,
        runs=runs,
        compared=compared,
        verdict=result.get("verdict", {}),
    )
    return shell.Outcome(record=record, text=_table(record))


def _again(options: Options, path: Path) -> shell.Outcome:
    """The runs of a file, compared anew: facts, parameters and time are those of the file."""
    kept = json.loads(path.read_text("utf-8"))
    compared = compare(kept["runs"], kept["parameters"]["pairs"])
    record = TunedRecord(
        **{name: kept[name] for name in ("benchmark", "started_at", "duration_s", "parameters", "facts")},
        valid=bool(compared),
        problems=[] if compared else ["not all pairs were measured"],
        settings=kept["settings"],
        runs=kept["runs"],
        compared=compared,
        verdict=kept["verdict"],
    )
    return shell.Outcome(record=record, text=_table(record))


def compare(runs: list[dict[str, Any]], pairs: int) -> list[Compared]:
    """Each figure with its ratio B/A; empty when a pair is missing, or a run was not one (wrong, invalid, partial)."""
    if len(runs) != 2 * pairs or any(run["verdict"] not in ("pass", "fail") for run in runs):
        return []
    found = []
    for name, figure in FIGURES.items():
        a, b = ([float(figure(run)) for run in runs[side::2]] for side in (0, 1))
        ratio = of_pairs(np.array(a), np.array(b), seed=1)
        found.append(Compared(figure=name, a=a, b=b, ratio=ratio.ratio, low=ratio.low, high=ratio.high))
    return found


def _table(record: TunedRecord) -> str:
    rows = [["figure", "A (median)", "B (median)", "B/A", "from", "to"]]
    for one in record.compared:
        middle = [f"{statistics.median(side):,.2f}" for side in (one.a, one.b)]
        rows.append([one.figure, *middle, *(f"{value:.3f}" for value in (one.ratio, one.low, one.high))])
    return "\n".join([*align(rows), verdict_line(record.valid)])


def _settings(options: Options) -> list[str]:
    """The lines of `queen tune-pg` for this machine and load, as `name = 'value'`."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "queen", "tune-pg", "--json", "--memory", options.memory),
            *("--cpus", str(options.cpus), "--storage", options.storage, "--target", str(options.target)),
            *("--payload", str(options.payload)),
        ],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    lines = json.loads(done.stdout)["settings"]
    return [f"{line['name']} = '{line['value']}'" for line in lines]


def _figures(run: dict[str, Any]) -> dict[str, Any]:
    """What a reader compares, of one run."""
    latency = {
        name: {part: found[part] for part in ("p50", "p99", "max") if part in found}
        for name, found in run["latency"].items()
    }
    kept = ("started_at", "offered_per_s", "delivered_per_s", "costs")
    return {**{name: run[name] for name in kept if name in run}, "latency": latency, "verdict": run["verdict"]["word"]}


if __name__ == "__main__":
    shell.obey_terminate()
    sys.exit(main())
