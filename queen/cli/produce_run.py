"""Carries out what a command line of `queen produce` asks for: source, pace, session, summary, exit code."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import typer

from queen.cli import console
from queen.cli.produce_asked import Asked, delimiter
from queen.cli.produce_summary import put_summary, summary_of
from queen.cli.traffic.dry_run import preview
from queen.cli.traffic.eta import Eta
from queen.cli.traffic.fields import TransactionIds
from queen.cli.traffic.files import bytes_before, bytes_total, check_files, file_messages
from queen.cli.traffic.generated import SEED_DEFAULT, Recipe, generated
from queen.cli.traffic.lines import LineOptions
from queen.cli.traffic.open_loop import OpenLoop
from queen.cli.traffic.place import Reading
from queen.cli.traffic.producer import Pace, Producer
from queen.cli.traffic.progress import Progress
from queen.cli.traffic.resume_file import ResumeFile
from queen.cli.traffic.resuming import kept
from queen.cli.traffic.schedule import Ramp
from queen.cli.traffic.session import Ended, Link, run_session
from queen.cli.traffic.settled import Settled
from queen.cli.traffic.source import Chunk
from queen.cli.traffic.spread import Keys, SizeRange
from queen.cli.traffic.stop import Stop
from queen.cli.traffic.tally import Tally, verdict
from queen.cli.traffic.template import TEMPLATE_BYTES_MAX, Template
from queen.errors import SettingsError

TARGET_PER_S = 10_000
_ENDLESS_RATE = 1_000.0
_PARTITIONS = 10
_SIZE_DEFAULT = SizeRange(256, 256)


@dataclass(frozen=True, slots=True)
class _Input:
    """Where the messages come from. Made messages are neither read nor kept track of."""

    chunks: AsyncIterator[Chunk]
    reading: Reading | None = None
    resume: ResumeFile | None = None
    settled: Settled | None = None


def run(asked: Asked) -> None:
    """Push, sum up, end with the right exit code. Raises SettingsError and ResumeRefused before anything is sent."""
    check_files(asked.file or [])
    fast = _is_high_perf(asked)
    pace = _pace(asked, fast=fast)
    source = _files(asked, pace) if asked.file else _Input(generated(_recipe(asked)))
    if asked.dry_run:
        preview(source.chunks, asked.count, endless=not asked.file, as_json=asked.as_json, queue=asked.queue)
        return
    tally = Tally("push")
    open_loop = _open_loop(asked, pace)
    ended = run_session(
        Link(asked.url, pace.concurrency, asked.retry_for),
        lambda client, stop: _push(
            Producer(client, pace, tally, stop, settled=source.settled, open_loop=open_loop), source, stop
        ),
        _progress(asked, pace, tally, source),
    )
    goal = asked.target or (TARGET_PER_S if fast and asked.rate is None and not asked.open_loop else None)
    summary = summary_of(asked, tally, ended, pace, goal)
    if open_loop is not None:
        summary["open_loop"] = open_loop.summary()
    if asked.target is not None:
        summary |= verdict(tally, asked.target, offered_per_s=open_loop.offered_per_s() if open_loop else None)
    if source.resume is not None and source.settled is not None:
        summary["resume"] = {
            "state": str(source.resume.path),
            "messages_before": source.resume.messages,
            "messages_acknowledged": source.resume.messages + source.settled.acknowledged,
        }
    put_summary(summary, tally, quiet=asked.quiet, as_json=asked.as_json)
    _finish(ended, tally, missed=asked.target is not None and not summary["target_reached"])


async def _push(producer: Producer, source: _Input, stop: Stop) -> None:
    if source.resume is None or source.settled is None:
        await producer.run(source.chunks)
        return
    async with kept(source.resume, source.settled, stop):
        await producer.run(source.chunks)


def _files(asked: Asked, pace: Pace) -> _Input:
    names = asked.file or []
    # What was acknowledged after the last word of the state file is pushed again: only equal ids make that harmless.
    by_line = asked.resume is not None and asked.transaction_id_from is None
    ids = TransactionIds(asked.transaction_id_from, "line" if by_line else asked.transaction_id_default)
    options = LineOptions(
        asked.queue,
        asked.format,
        asked.partition_by,
        asked.partition_default,
        asked.partitions,
        ids,
        delimiter(asked.csv_delimiter),
        asked.csv_types,
    )
    reading = Reading(bytes_total(names))
    if asked.resume is None:
        return _Input(file_messages(names, options, reading), reading)
    resume = ResumeFile(asked.resume, names, _plan(asked, ids))
    settled = Settled(pace.concurrency, resume.place, resume.skip)
    reading.bytes_read = bytes_before(names, resume.place)
    chunks = file_messages(names, options, reading, start=resume.place, skip=resume.skip, note=settled.note)
    return _Input(chunks, reading, resume, settled)


def _plan(asked: Asked, ids: TransactionIds) -> dict[str, str | None]:
    """What makes a run the same as the last one: with another of these, a place in the files means other messages."""
    return {
        "queue": asked.queue,
        "server": asked.url.rpartition("@")[2],
        "format": asked.format,
        "CSV delimiter": asked.csv_delimiter,
        "CSV typing": str(asked.csv_types),
        "field for the partition": asked.partition_by,
        "default partition": asked.partition_default,
        "number of partitions": None if asked.partitions is None else str(asked.partitions),
        "field for the transaction id": ids.source,
        "default of the transaction id": ids.default,
    }


def _recipe(asked: Asked) -> Recipe:
    seed = SEED_DEFAULT if asked.seed is None else asked.seed
    return Recipe(
        asked.queue,
        asked.partitions or _PARTITIONS,
        asked.size or _SIZE_DEFAULT,
        seed,
        asked.keys or Keys(),
        _template(asked, seed),
        asked.partition_by,
        asked.partition_default,
    )


def _template(asked: Asked, seed: int) -> Template | None:
    if asked.template is not None:
        return Template(asked.template, seed)
    if asked.template_file is None:
        return None
    path = asked.template_file
    try:
        with path.open("rb") as file:
            text = file.read(TEMPLATE_BYTES_MAX + 1).decode()
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not UTF-8: byte {error.start + 1}") from error
    return Template(text, seed, str(path))


def _pace(asked: Asked, *, fast: bool) -> Pace:
    endless = not asked.file and asked.count is None and asked.duration is None
    linger_s = 0.02 if fast else 0.05
    return Pace(
        batch=asked.batch or (500 if fast else 100),
        concurrency=asked.concurrency or (8 if fast else 4),
        rate=asked.target or asked.rate or (_ENDLESS_RATE if endless and not fast and not asked.open_loop else None),
        count=asked.count,
        duration_s=None if asked.duration is None else asked.duration / 1000,
        linger_s=_OPEN_LINGER_S if asked.open_loop else linger_s,
    )


_OPEN_LINGER_S = 0.005
"""Part of the latency that an open loop measures, so it is short."""


def _open_loop(asked: Asked, pace: Pace) -> OpenLoop | None:
    if not asked.open_loop:
        return None
    ramp = asked.ramp or Ramp.flat(pace.rate or _ENDLESS_RATE)
    ends_s = pace.duration_s
    if asked.ramp is not None and asked.count is None and ends_s is None:
        ends_s = ramp.seconds
    seed = SEED_DEFAULT if asked.seed is None else asked.seed
    return OpenLoop(ramp, asked.arrivals or "poisson", seed, pace.concurrency, ends_s=ends_s)


def _progress(asked: Asked, pace: Pace, tally: Tally, source: _Input) -> Progress | None:
    if asked.quiet:
        return None
    ramp_s = asked.ramp.seconds if asked.ramp is not None and asked.count is None else None
    eta = Eta(tally, pace.count, ramp_s if pace.duration_s is None else pace.duration_s, source.reading)
    return Progress(tally, "messages", "push", None if asked.progress is None else asked.progress / 1000, eta.text)


def _is_high_perf(asked: Asked) -> bool:
    """The setting engine.high_perf: flag, HIGH_PERF, or file. A producer has no pool, so `auto` means off."""
    from queen.settings import resolve

    return bool(resolve({"engine.high_perf": asked.high_perf}, config_path=asked.config).settings.engine.high_perf)


def _finish(ended: Ended, tally: Tally, *, missed: bool) -> None:
    """The exit code: an error's, a signal's, or 1 when messages were refused or the target was missed."""
    if ended.error is not None:
        raise ended.error
    if ended.exit_code or tally.counts["failed"] or missed:
        raise typer.Exit(ended.exit_code or console.FOUND)
