"""From options to what will be run. Everything wrong is said here, before anything starts."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from queen.bench import ab, chaos, knobs, profiles, sweep
from queen.bench.ask import Ask
from queen.bench.campaign import STEP_MEASURE_S, STEP_WARMUP_S
from queen.bench.result import Mode
from queen.bench.slices import LONG_RUN_S
from queen.bench.workload import Workload
from queen.errors import SettingsError
from queen.settings import mask_url

FULL_SPEED: Final = 100_000.0
"""Messages a second that nothing on one machine keeps up with, so that the bound in flight sets the pace."""
DRAIN_RATE_MIN: Final = 1_000
NULL_RUN_S_MIN: Final = 1.0
NULL_RUN_S_MAX: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """As given; knobs of the workload are texts."""

    knobs: dict[str, str]
    profile: str | None
    slos: tuple[str, ...]
    search: bool
    sweep: str | None
    ab: tuple[Path, Path] | None
    pairs: int | None
    backlog: str | None
    then_drain: bool
    burst: str | None
    chaos: str | None
    seed: int
    urls: tuple[str, ...]
    database_url: str | None
    consent: bool
    servers: int | None
    serve: tuple[str, ...]
    workers: int | None
    max_inflight: int | None
    output: Path | None
    keep: bool
    quiet: bool
    as_json: bool
    progress_s: float | None
    strict: bool = False


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What to run, on what, and where its files go."""

    options: Options
    ask: Ask
    folder: Path


def choose(options: Options) -> Chosen:
    """Raises SettingsError for contradictions, typos and what cannot be; ConsentNeeded for faults that would harm."""
    _check_together(options)
    workload = knobs.override(profiles.load(options.profile or profiles.DEFAULT), options.knobs)
    workload = msgspec.structs.replace(workload, serve=(*workload.serve, *options.serve))
    if problems := knobs.unserved(options.serve):
        raise SettingsError("\n".join(problems))
    messages, full_speed = _messages(options), options.backlog is not None and "rate" not in options.knobs
    workload = _shaped(options, workload, messages, full_speed=full_speed)
    slos = options.slos or (() if options.backlog is not None else workload.slos)
    ask = Ask(
        mode=_mode(options, workload),
        workload=workload,
        slos=slos,
        seed=options.seed,
        command=_command(),
        judge_rate=options.backlog is None,
        workers=_within("--workers", options.workers, 64),
        inflight_max=_within("--max-inflight", options.max_inflight, 10_000_000),
        null_run=not full_speed,
        null_run_s=_null_run_s(workload),
        messages=messages,
        faults=_faults(options, workload),
        keep=options.keep,
        full_speed=full_speed,
        sweep=sweep.parse(options.sweep) if options.sweep is not None else None,
        sides=_sides(options, workload),
        strict=options.strict,
    )
    ask.objectives()
    return Chosen(options=options, ask=ask, folder=_folder(options, workload))


def _check_together(options: Options) -> None:
    own = {"--servers": options.servers, "--serve-arg": options.serve, "--yes-use-this-database": options.consent}
    for name, given in own.items():
        if options.urls and given:
            raise SettingsError(f"{name} is for a server of the bench's own, and --url names a running one")
    modes = {name: getattr(options, name.removeprefix("--")) for name in _MODES}
    chosen = [name for name, given in modes.items() if given]
    if len(chosen) > 1:
        raise SettingsError(f"{' and '.join(chosen)} exclude each other")
    if options.then_drain and options.backlog is None:
        raise SettingsError("--then-drain goes with --backlog")
    if options.pairs is not None and options.ab is None:
        raise SettingsError("--pairs goes with --ab")
    if options.urls and options.sweep is not None and options.sweep.strip().startswith("pool"):
        raise SettingsError("a sweep of pool is for a server of the bench's own, and --url names a running one")


_MODES = ("--search", "--sweep", "--ab", "--backlog", "--burst", "--chaos")


def _mode(options: Options, workload: Workload) -> Mode:
    names: tuple[Mode, ...] = ("search", "sweep", "ab", "backlog", "burst", "chaos")
    for name in names:
        if getattr(options, name):
            return name
    return "soak" if workload.measure_s > LONG_RUN_S else "target"


def _messages(options: Options) -> int | None:
    """How many a burst or a backlog sends."""
    text = options.burst if options.burst is not None else options.backlog
    if text is None:
        return None
    messages = int(knobs.parse("start_depth", text))
    if not messages:
        raise SettingsError("a burst or a backlog needs a message or more, such as 1M")
    return messages


def _shaped(options: Options, workload: Workload, messages: int | None, *, full_speed: bool) -> Workload:
    """What a mode changes of the workload; what was given stays as it was given."""
    values: dict[str, Any] = {}
    if messages is not None:
        values["consume"] = "later" if options.burst is not None or options.then_drain else "never"
    if options.backlog is not None and messages is not None:
        values["drain_s"] = max(workload.drain_s, 60 + messages / DRAIN_RATE_MIN)
    if full_speed:
        values |= {"rate": FULL_SPEED, "arrivals": "uniform"}
    if options.sweep is not None:
        values |= {"warmup_s": STEP_WARMUP_S, "measure_s": STEP_MEASURE_S}
    kept = {name: value for name, value in values.items() if name not in options.knobs}
    return msgspec.structs.replace(workload, **kept)


def _sides(options: Options, workload: Workload) -> ab.Plan | None:
    if options.ab is None:
        return None
    pairs = ab.PAIRS_DEFAULT if options.pairs is None else options.pairs
    plan = ab.plan(*options.ab, workload, pairs=pairs, seed=options.seed)
    for path, side in zip(options.ab, (plan.a, plan.b), strict=True):
        for name in ("serve", "settings"):
            if options.urls and getattr(side, name):
                raise SettingsError(f"{path}: {name} is for a server of the bench's own, and --url names a running one")
        for name in ("postgres", "tables"):
            if getattr(side, name) and (options.urls or options.database_url):
                raise SettingsError(
                    f"{path}: {name} is for a private PostgreSQL of the bench, and the command names one"
                )
    return plan


def _null_run_s(workload: Workload) -> float:
    """As long as the warm-up where that is short: such a profile wants to be quick, and says so."""
    return max(NULL_RUN_S_MIN, min(NULL_RUN_S_MAX, workload.warmup_s))


def _faults(options: Options, workload: Workload) -> chaos.Schedule | None:
    if options.chaos is None:
        return None
    schedule = chaos.parse(options.chaos, workload.measure_s, lease_s=workload.lease_s)
    chaos.check_allowed(
        schedule,
        own_server=not options.urls,
        own_database=options.database_url is None and not options.urls,
        dsn_known=options.database_url is not None or not options.urls,
        consent=options.consent,
    )
    return schedule


def _within(name: str, value: int | None, top: int) -> int | None:
    if value is not None and not 1 <= value <= top:
        raise SettingsError(f"{name} is from 1 to {top:,}")
    return value


def _command() -> str:
    """The line that repeats the run, without passwords."""
    words = ["queen", *sys.argv[1:]]
    return shlex.join(mask_url(word) if "://" in word else word for word in words)


def _folder(options: Options, workload: Workload) -> Path:
    """Made now, so that a run does not end in a place where nothing can be written. Raises SettingsError."""
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    name = workload.name.replace("/", "-")
    folder = options.output or Path("bench-results") / f"{name}-{stamp}"
    probe = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"\0" * 65_536)
        probe.unlink()
    except OSError as error:
        raise SettingsError(f"cannot write to {folder}: {(error.strerror or str(error)).lower()}") from error
    return folder
