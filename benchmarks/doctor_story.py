"""An ill server, what the doctor says of it, what it repairs, and the rate before and after: a page from real output.

The illnesses are made on a private PostgreSQL: indexes on columns that change with every flush, a log so small that
checkpoints are forced all the time, and autovacuum switched off where it matters most. Then the same closed loop runs
on the healthy server, on the ill one, and after the repairs of `queen doctor --fix`. `--page FILE` writes the story.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
import psycopg

from benchmarks.lib import shell
from benchmarks.lib.cells import Window
from benchmarks.lib.facts import REPOSITORY
from benchmarks.lib.life import life_plan
from benchmarks.lib.measure import generator, measure_plan, meter
from benchmarks.lib.options import whole
from benchmarks.lib.plan import Plan
from benchmarks.lib.record import Record
from benchmarks.lib.target import Target
from benchmarks.lib.text import align, number, verdict_line

ILLNESSES: Final = (
    "create index on queen.cursors (lease_until)",
    "create index on queen.partitions (last_write_at)",
    "alter table queen.cursors set (autovacuum_enabled = off)",
    "alter table queen.partitions set (autovacuum_enabled = off)",
    "alter system set max_wal_size = '64MB'",
    "select pg_reload_conf()",
)
COLUMNS: Final = 80
_PLACE: Final = re.compile(r"/\S*queen-hotpath-\w+/")
"""Where this run's data lies, which says nothing to a reader."""


class Options(shell.Common, frozen=True, kw_only=True):
    size: int
    partitions: int
    page: Path | None


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """One call of the doctor as a user would make it, with all that it printed."""

    command: str
    code: int
    text: str


class StoryRecord(Record, frozen=True, kw_only=True):
    """Windows of the same load on the healthy, the ill and the repaired server, and the doctor's words."""

    healthy: list[Window]
    ill: list[Window]
    repaired: list[Window]
    acts: list[Act]


def parse(arguments: Sequence[str] | None) -> Options:
    """Exits with 2 on wrong usage."""
    parser = argparse.ArgumentParser(prog="doctor_story", description="A server made ill, and its repair.")
    parser.add_argument("--size", type=whole(1, 10_000), default=10, metavar="N", help="messages a request (10)")
    parser.add_argument("--partitions", type=whole(1, 100_000), default=200, metavar="N", help="in all (200)")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the story there")
    shell.add_common(parser, window_s=20.0, warmup_s=3.0, repeat=3, connections=64)
    options = Options(**vars(parser.parse_args(arguments)))
    if fault := shell.fault(options) or ("it makes a server ill: it starts its own" if options.url else None):
        parser.error(fault)
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    options = parse(arguments)
    return shell.run("doctor_story", options, lambda: _tell(options))


def _tell(options: Options) -> shell.Outcome:
    head = shell.begin("doctor_story", options)
    problems: list[str] = []
    windows: dict[str, list[Window]] = {}
    acts: list[Act] = []
    with shell.server(options) as target, meter(target) as pg:
        assert target.dsn is not None
        facts = pg.facts() if pg else None
        windows["healthy"] = _measure(options, target, problems)
        _make_ill(target.dsn)
        windows["ill"] = _measure(options, target, problems)
        with _load(options, target):
            acts.append(_doctor(target))
            acts.append(_doctor(target, "--fix", "--allow", "reload"))
            acts.append(_doctor(target, "--fix", "I2", "--yes"))
        windows["repaired"] = _measure(options, target, problems)
        with _load(options, target):
            acts.append(_doctor(target))
    record = StoryRecord(
        **head.fields(problems, facts),
        healthy=windows["healthy"],
        ill=windows["ill"],
        repaired=windows["repaired"],
        acts=acts,
    )
    if options.page:
        options.page.write_text(page(record), "utf-8")
    return shell.Outcome(record=record, text=_table(record))


def _make_ill(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in ILLNESSES:
            connection.execute(statement)


def _measure(options: Options, target: Target, problems: list[str]) -> list[Window]:
    with meter(target) as pg:
        run = measure_plan("story", _plan(options, target, options.repeat, options.seconds), target, pg)
    problems += run.problems()
    return run.windows["life"]


@contextmanager
def _load(options: Options, target: Target) -> Iterator[None]:
    """The same load, unmeasured, for as long as the block takes."""
    with generator(_plan(options, target, 20, 60.0)) as events:
        first = threading.Event()

        def follow() -> None:
            for _ in events:
                first.set()

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        first.wait(60)
        yield


def _plan(options: Options, target: Target, windows: int, seconds: float) -> Plan:
    size, partitions = options.size, options.partitions
    return life_plan("story", options, target, size=size, partitions=partitions, windows=windows, seconds=seconds)


def _doctor(target: Target, *arguments: str) -> Act:
    assert target.dsn is not None
    place = ["--database-url", target.dsn, "--url", f"http://{target.host}:{target.port}"]
    with tempfile.TemporaryDirectory(prefix="queen-hotpath-") as folder:  # for the undo files
        done = subprocess.run(
            [sys.executable, "-m", "queen", "doctor", *arguments, *place, "--data-dir", folder],
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**os.environ, "COLUMNS": str(COLUMNS), "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"},
            timeout=300,
            check=False,
        )
    return Act(command=" ".join(["queen doctor", *arguments]), code=done.returncode, text=_PLACE.sub("…/", done.stdout))


def page(record: StoryRecord) -> str:
    """The story as a page of the documents."""
    rows = [(name, _rate(windows)) for name, windows in _chapters(record)]
    lines = [
        "# A doctor's story",
        "",
        "Real output, made by `scripts/bench doctor_story --page docs/doctor-story.md`: a server with a private",
        "PostgreSQL, made ill by these statements, looked at under load, repaired, and measured with the same closed",
        f"loop before, between and after: of {len(record.healthy)} windows each the one with the highest rate.",
        "The figures are of one run on the machine that the result file describes.",
        "",
        "```sql",
        *(f"{statement};" for statement in ILLNESSES),
        "```",
        "",
        "| server | messages a second | processor µs a message | WAL bytes a message |",
        "|---|---|---|---|",
        *(f"| {name} | {rate} |" for name, rate in rows),
    ]
    for act in record.acts:
        lines += ["", f"`{act.command}` (exit code {act.code}):", "", "```", act.text.rstrip(), "```"]
    return "\n".join([*lines, ""])


def _chapters(record: StoryRecord) -> list[tuple[str, list[Window]]]:
    return [("healthy", record.healthy), ("ill", record.ill), ("repaired", record.repaired)]


def _rate(windows: list[Window]) -> str:
    best = max(windows, key=lambda window: window.msg_per_s)
    return f"{best.msg_per_s:,.0f} | {number(best.total_us, 1)} | {number(best.wal_bytes, 0)}"


def _table(record: StoryRecord) -> str:
    rows = [["server", "msg/s | µs | WAL bytes"]]
    rows += [[name, _rate(windows)] for name, windows in _chapters(record) if windows]
    codes = ", ".join(f"{act.command}: {act.code}" for act in record.acts)
    return "\n".join([*align(rows), codes, verdict_line(record.valid)])


if __name__ == "__main__":
    shell.obey_terminate()
    sys.exit(main())
