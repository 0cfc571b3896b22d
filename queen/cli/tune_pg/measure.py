"""`queen tune-pg --measure`: trials of single changes above the plan, on this disk, as `queen bench --ab` makes them.

Each run has a server and a private PostgreSQL of its own in the temporary folder (`TMPDIR` names another disk). Nothing
is changed anywhere else. What may be tried and when it is kept, `queen.tune.trials` knows.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from queen.cli import console
from queen.errors import TuneInputError
from queen.settings import EngineSettings, Settings
from queen.tune import trials
from queen.tune.trials import Candidate, Outcome, Side, Trial

if TYPE_CHECKING:
    from queen.bench.result import Result
    from queen.bench.workload import Workload
    from queen.cli.tune_pg.acts import ActOptions
    from queen.tune.lines import Note, Plan

BUDGET_MS: Final = 30 * 60_000
PROFILE: Final = "baseline-10k"
"""Its shape: many connections push, batches are consumed; rate, payload and groups are those of the plan."""
PUSHES_MAX: Final = 1000
"""A second: above it messages are pushed together, for the generator is one program on the same machine."""
SERVERS_MAX: Final = 8
INFLIGHT_MIN: Final = 2000
"""Messages on their way, and two seconds' worth at least: a moment of a slow disk makes no run invalid."""

clock: Callable[[], float] = time.monotonic
"""Seconds, for the budget."""

_PACE: Final = ("push_messages_max", "push_flushes_max", "pop_flushes_max", "pop_gather_ms", "ack_flushes_max")

_IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})
_FIXED: Final = frozenset({"shared_preload_libraries"})
"""A private PostgreSQL has it on its command line."""


def measure(options: ActOptions, plan: Plan, settings: Settings) -> None:
    """Try what may be tried within the budget, and print what it was worth. Raises TuneInputError, SettingsError."""
    pairs = options.pairs or trials.PAIRS_MIN
    budget_s = (BUDGET_MS if options.budget_ms is None else options.budget_ms) / 1000
    wanted, left = trials.candidates(plan, settings.engine)
    if wanted and budget_s < trials.pair_s(pairs):
        raise TuneInputError(
            f"one trial of {pairs} pairs takes about {trials.pair_s(pairs) // 60} min: --budget is less"
        )
    _check_place(Path(tempfile.gettempdir()))
    fit = min(len(wanted), int(budget_s // trials.pair_s(pairs)))
    minutes = max(1, round(fit * trials.pair_s(pairs) / 60))
    console.say(f"{fit} of {len(wanted)} trials fit the budget: about {minutes} min, on a quiet machine")
    rate = plan.inputs.target_rate
    runner = Runner(base_workload(plan), pairs, servers=min(SERVERS_MAX, plan.inputs.instances))
    base = Side(tuple(plan_lines(plan)), settings=engine_lines(settings))
    done = trials.search(wanted, base, runner, budget_s=budget_s, pairs=pairs, rate=rate, clock=clock)
    _tell(done, left, settings.database.schema, options.as_json)
    if runner.interrupted or runner.invalid:
        raise typer.Exit(runner.interrupted or runner.invalid)


def _check_place(folder: Path) -> None:
    """Trials write where temporary files go. Raises TuneInputError where that is memory: a safe write costs nothing."""
    from queen.bench.machine import disk

    kind = disk(folder)["filesystem"]
    if kind in _IN_MEMORY:
        raise TuneInputError(
            f"{folder} lies in memory ({kind}), where trials of a disk say nothing",
            hint="name a folder on the disk of your data: TMPDIR=/var/tmp queen tune-pg --measure",
        )
    console.say(f"trials have a PostgreSQL of their own in {folder} (TMPDIR names another disk)")


def engine_lines(settings: Settings) -> tuple[str, ...]:
    """How this Queen's pace was set, where it differs from the defaults: side A has it too."""
    defaults = EngineSettings()
    return tuple(
        f"engine.{name} = {getattr(settings.engine, name)}"
        for name in _PACE
        if getattr(settings.engine, name) != getattr(defaults, name)
    )


def plan_lines(plan: Plan) -> list[str]:
    """The server's part of a plan as lines of a file."""
    from queen.tune.flow.conf_file import Setting, written

    return [written(Setting(line.name, line.value, "")) for line in plan.lines if line.name not in _FIXED]


def base_workload(plan: Plan) -> Workload:
    """The load of the plan, in runs of the shortest time that a comparison takes. Objectives are none of it: what users
    feel is compared."""
    import msgspec

    from queen.bench import knobs, profiles

    inputs = plan.inputs
    asked = {
        "rate": f"{inputs.target_rate:g}/s",
        "payload_bytes": f"{inputs.payload_bytes}B",
        "groups": str(inputs.groups),
        "push_batch": str(max(1, math.ceil(inputs.target_rate / PUSHES_MAX))),
        "warmup_s": f"{trials.WARMUP_S}s",
        "measure_s": f"{trials.MEASURE_S}s",
    }
    load = knobs.override(profiles.load(PROFILE), asked)
    return msgspec.structs.replace(load, name="tune-pg", slos=("errors<0.1%",))


class Runner:
    """Makes the runs of one trial and compares them. `interrupted`: the exit code after Ctrl-C, else 0; `invalid`: that
    of the worst trial that came to no comparison."""

    def __init__(self, workload: Workload, pairs: int, servers: int = 1) -> None:
        self._workload = workload
        self._pairs = pairs
        self._servers = servers
        self.interrupted = 0
        self.invalid = 0

    def __call__(self, a: Side, b: Side, candidate: Candidate) -> Outcome:
        """B against A."""
        from queen.bench.result import Campaign
        from queen.cli.bench.execute import run_shown

        if self.interrupted:
            return Outcome(None, "not tried: interrupted")
        decides = trials.deciding(candidate, self._workload.rate)
        console.say(f"trial: {candidate.words}, {self._pairs} pairs of {trials.MEASURE_S} s; {decides} decides")
        record, self.interrupted = asyncio.run(run_shown(self._ask(a, b), self._opened))
        if not isinstance(record, Campaign) or record.comparison is None:
            self.invalid = max(self.invalid, record.verdict.exit_code if record is not None else 0)
            return Outcome(None, record.verdict.line if record is not None else "interrupted")
        return Outcome(record.comparison, waits=waits_of(record.runs[0::2]))

    def _ask(self, a: Side, b: Side) -> Any:
        from queen.bench import ab
        from queen.bench.ask import Ask

        seed = secrets.randbelow(1 << 31)
        return Ask(
            mode="ab",
            workload=self._workload,
            slos=self._workload.slos,
            seed=seed,
            inflight_max=max(INFLIGHT_MIN, int(2 * self._workload.rate)),
            command="queen tune-pg --measure",
            sides=ab.Plan(a=self._side(a), b=self._side(b), order=ab.order(self._pairs), seed=seed),
        )

    def _side(self, side: Side) -> Workload:
        """Parsed as the bench parses a file: it refuses what durability rests on, whoever asks."""
        import msgspec

        from queen.bench import knobs

        lines = {"postgres": side.postgres, "settings": side.settings, "tables": side.tables}
        parsed = {name: knobs.parse(name, list(given)) for name, given in lines.items() if given}
        return msgspec.structs.replace(self._workload, **parsed)

    @asynccontextmanager
    async def _opened(self, workload: Workload) -> AsyncIterator[Any]:
        from queen.bench import target

        async with target.started(
            workload.serve,
            settings=workload.settings,
            postgres=workload.postgres,
            tables=workload.tables,
            servers=self._servers,
        ) as system:
            yield system


def waits_of(runs: Sequence[Result]) -> dict[str, int]:
    """Samples of Queen's sessions by wait event, of all these runs together."""
    found: Counter[str] = Counter()
    for run in runs:
        found.update(run.postgres.waits if run.postgres is not None else {})
    return dict(found)


def _tell(done: Sequence[Trial], left: Sequence[Note], schema: str, as_json: bool) -> None:
    kept = [trial.candidate for trial in done if trial.kept]
    if as_json:
        console.put_json(
            {
                "schema_version": 1,
                "kind": "tune-pg-measure",
                "trials": [_trial(trial, schema) for trial in done],
                "not_tried": [{"name": note.name, "why": note.text} for note in left],
            }
        )
        return
    for trial in done:
        console.put(f"{_WORDS[trial.kept, trial.tried]}  {trial.candidate.words}: {trial.candidate.why}")
        console.put(f"      {trial.reason}")
    for note in left:
        console.put(f"      {note.name}: {note.text}")
    for candidate in kept:
        console.put("\n".join(how_to_set(candidate, schema)))
    if done and not kept:
        console.put("nothing was better than the plan, as far as this shows")


_WORDS: Final = {(True, True): "kept", (False, True): "no  ", (False, False): "-   "}


def how_to_set(candidate: Candidate, schema: str) -> list[str]:
    """Lines that an operator can use: statements, or the setting of Queen."""
    from queen.store.alter import set_system, set_table

    if candidate.where == "postgres":
        return [set_system(candidate.name, candidate.value)]
    if candidate.where == "tables":
        return [set_table(schema, table, {candidate.name: candidate.value}) for table in candidate.tables]
    return [f"QUEEN_{candidate.name.replace('.', '__').upper()}={candidate.value}  # for queen serve; or in queen.yaml"]


def _trial(trial: Trial, schema: str) -> dict[str, Any]:
    candidate = trial.candidate
    named = {"name": candidate.name, "value": candidate.value, "tables": list(candidate.tables)}
    told = {"kept": trial.kept, "tried": trial.tried, "reason": trial.reason, "bound": candidate.bound}
    return {**named, **told, "set": how_to_set(candidate, schema), "comparison": trial.comparison}
