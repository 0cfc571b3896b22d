"""Runs what was chosen: the system around it, the view beside it, files and verdict after it."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from queen.bench import modes, report, store_file, summary, target
from queen.bench.ask import Ask
from queen.bench.live import Live
from queen.bench.result import Campaign, Result
from queen.bench.workload import Workload
from queen.cli import console
from queen.cli.bench.choose import Chosen
from queen.cli.bench.view import show

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def execute(chosen: Chosen) -> int:
    """The exit code of the verdict. Raises QueenError when there is no result at all."""
    result, interrupted = asyncio.run(_run(chosen))
    if result is None:
        console.say("queen: interrupted before anything was measured")
        return interrupted or console.INTERRUPTED
    store_file.write(result, chosen.folder / "result.json")
    page = chosen.folder / "report.html"
    store_file.write_text(report.render(result), page)
    if chosen.options.as_json:
        console.put(store_file.encode(result))
    else:
        _tell(result, chosen, page)
    return interrupted or result.verdict.exit_code


def _tell(result: Result | Campaign, chosen: Chosen, page: Path) -> None:
    if not chosen.options.quiet:
        console.say(summary.text(result))
        console.say(f"files: {chosen.folder}")
        console.say(f"report: {page}")
    console.put(result.verdict.line)


async def _run(chosen: Chosen) -> tuple[Result | Campaign | None, int]:
    options = chosen.options
    return await run_shown(chosen.ask, _systems(chosen), quiet=options.quiet, every_s=options.progress_s)


async def run_shown(
    ask: Ask, systems: modes.OpenSystem, *, quiet: bool = False, every_s: float | None = None
) -> tuple[Result | Campaign | None, int]:
    """The record, and the exit code of an interruption or 0. A first Ctrl-C ends the run with what it has; a second one
    at once, and then there may be no record. Raises QueenError."""
    live, stop, codes = Live(), asyncio.Event(), [0]
    with _signals(stop, codes):
        showing = asyncio.create_task(show(live, quiet=quiet, every_s=every_s))
        try:
            return await modes.run(ask, systems, live, stop), codes[0]
        except asyncio.CancelledError:
            if codes[0]:
                return None, codes[0]
            raise
        finally:
            showing.cancel()
            await asyncio.wait({showing})


def _systems(chosen: Chosen) -> modes.OpenSystem:
    """Opens the system under load: what `--url` names, or our own with these options of `queen serve`."""
    options = chosen.options
    consents = [options.consent]

    @asynccontextmanager
    async def opened(workload: Workload) -> AsyncIterator[target.System]:
        if options.urls:
            yield await asyncio.to_thread(target.attached, options.urls, options.database_url)
            return
        async with target.started(
            workload.serve,
            settings=workload.settings,
            postgres=workload.postgres,
            tables=workload.tables,
            servers=options.servers or 1,
            dsn=options.database_url,
            consent=consents[0],
            keep=options.keep,
        ) as system:
            if system.folder is not None and options.keep:
                console.say(f"data kept in {system.folder}")
            consents[0] = True  # what a later system finds there is what an earlier one left
            yield system

    return opened


@contextmanager
def _signals(stop: asyncio.Event, codes: list[int]) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM asks the run to end with what it has; the second cancels it at once."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    seen: list[int] = []

    def handle(number: int) -> None:
        seen.append(number)
        codes[0] = codes[0] or 128 + number
        if len(seen) == 1:
            stop.set()
            print("queen: interrupted; once more ends it at once", file=sys.stderr)
        elif len(seen) == 2 and task is not None:
            task.cancel()

    for number in _SIGNALS:
        loop.add_signal_handler(number, handle, int(number))
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
