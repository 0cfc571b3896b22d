"""The smoke bench of `queen tune-pg`: a run of half a minute before a change, and one after it for `--verify`.

What the load is and what counts as worse, `queen.bench.smoke` knows.
"""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

import msgspec
import typer

from queen.cli import console
from queen.errors import QueenError

if TYPE_CHECKING:
    from queen.bench.result import Result
    from queen.bench.smoke import Judged


def before(url: str) -> bytes | None:
    """A run, as the journal keeps it; None when none can be made, which is said. Raises typer.Exit when interrupted."""
    from queen.bench import store_file

    try:
        made = _run(url)
    except typer.Exit:
        console.say("interrupted before the change: nothing was changed")
        raise
    if isinstance(made, str):
        console.say(f"no smoke bench before the change: {made}")
        return None
    if made.verdict.word in ("invalid", "wrong"):
        console.say(f"the smoke bench before the change says nothing: {made.verdict.line}")
    return store_file.encode(made).encode()


def after(url: str, kept: bytes | None) -> Judged:
    """A run, judged against the kept one; one that was worse is made again, for the two were made at different hours.
    Raises typer.Exit when interrupted."""
    first = _judged(url, _read(kept))
    if first.word != "worse":
        return first
    console.say("that was worse than before the change: once more, to be sure")
    second = _judged(url, _read(kept))
    if second.word == "worse":
        return second
    return dataclasses.replace(second, reasons=(*second.reasons, f"a first run was worse: {first.reasons[0]}"))


def _judged(url: str, kept: Result | None) -> Judged:
    from queen.bench import smoke

    made = _run(url)
    return smoke.Judged("no answer", (made,)) if isinstance(made, str) else smoke.judge(kept, made)


def _read(kept: bytes | None) -> Result | None:
    """What an older Queen wrote may not be readable any more."""
    from queen.bench.result import Result

    if kept is None:
        return None
    try:
        return msgspec.json.decode(kept, type=Result)
    except msgspec.DecodeError:
        return None


def _run(url: str) -> Result | str:
    """One run in a schema of its own, or why there is none."""
    from queen.bench import smoke
    from queen.bench.result import Result
    from queen.cli.bench.execute import run_shown
    from queen.store.scratch import scratch_schema

    seconds = smoke.WARMUP_S + smoke.MEASURE_S
    console.say(f"smoke bench: {smoke.RATE:,} messages a second for {seconds} s, in a schema of its own")
    try:
        with scratch_schema(url, smoke.SCHEMA):
            made, interrupted = asyncio.run(run_shown(smoke.asked(), lambda _: smoke.opened(url), quiet=True))
    except QueenError as error:
        return error.message.splitlines()[0]
    if interrupted:
        raise typer.Exit(interrupted)
    return made if isinstance(made, Result) else "it came to no result"
