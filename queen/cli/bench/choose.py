"""From options to what will be run. Everything wrong is said here, before anything starts."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from queen.bench import chaos, knobs, profiles
from queen.bench.ask import Ask
from queen.bench.result import Mode
from queen.bench.workload import Workload
from queen.errors import SettingsError
from queen.settings import mask_url


@dataclass(frozen=True, kw_only=True)
class Options:
    """As given; knobs of the workload are texts."""

    knobs: dict[str, str]
    profile: str | None
    slos: tuple[str, ...]
    search: bool
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
    messages = None
    if options.burst is not None:
        messages = int(knobs.parse("start_depth", options.burst))
        workload = msgspec.structs.replace(workload, consume="later")
    ask = Ask(
        mode=_mode(options),
        workload=workload,
        slos=options.slos or workload.slos,
        seed=options.seed,
        command=_command(),
        workers=_within("--workers", options.workers, 64),
        inflight_max=_within("--max-inflight", options.max_inflight, 10_000_000),
        messages=messages,
        faults=_faults(options, workload),
        keep=options.keep,
        strict=options.strict,
    )
    ask.objectives()
    return Chosen(options=options, ask=ask, folder=_folder(options, workload))


def _check_together(options: Options) -> None:
    own = {"--servers": options.servers, "--serve-arg": options.serve, "--yes-use-this-database": options.consent}
    for name, given in own.items():
        if options.urls and given:
            raise SettingsError(f"{name} is for a server of the bench's own, and --url names a running one")
    modes = {"--search": options.search, "--burst": options.burst, "--chaos": options.chaos}
    chosen = [name for name, given in modes.items() if given]
    if len(chosen) > 1:
        raise SettingsError(f"{' and '.join(chosen)} exclude each other")


def _mode(options: Options) -> Mode:
    names: tuple[Mode, ...] = ("search", "burst", "chaos")
    for name in names:
        if getattr(options, name):
            return name
    return "target"


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
