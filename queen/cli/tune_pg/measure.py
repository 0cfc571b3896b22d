"""`queen tune-pg --measure`: trials of single settings above the plan, on this disk, as `queen bench --ab` makes them.

Each run has a server and a private PostgreSQL of its own in the temporary folder (`TMPDIR` names another disk). Nothing
is changed anywhere else. What may be tried and when it is kept, `queen.tune.trials` knows.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import typer

from queen.cli import console
from queen.errors import TuneInputError
from queen.tune import trials
from queen.tune.trials import Trial

if TYPE_CHECKING:
    from queen.bench.workload import Workload
    from queen.cli.tune_pg.acts import ActOptions
    from queen.tune.lines import Note, Plan

BUDGET_MS: Final = 30 * 60_000
PROFILE: Final = "latency"
"""Its shape: single messages from several connections; rate, payload and groups are those of the plan."""

_FIXED: Final = frozenset({"shared_preload_libraries"})
"""A private PostgreSQL has it on its command line."""


def measure(options: ActOptions, plan: Plan) -> None:
    """Try what may be tried within the budget, and print what it was worth. Raises TuneInputError, SettingsError."""
    pairs = options.pairs or trials.PAIRS_MIN
    budget_s = (BUDGET_MS if options.budget_ms is None else options.budget_ms) / 1000
    wanted, left = trials.candidates(plan)
    if wanted and budget_s < trials.pair_s(pairs):
        raise TuneInputError(
            f"one trial of {pairs} pairs takes about {trials.pair_s(pairs) // 60} min: --budget is less"
        )
    runner = Runner(base_workload(plan), pairs)
    done = trials.search(wanted, plan_lines(plan), runner, budget_s, pairs)
    _tell(done, left, options.as_json)
    if runner.interrupted or runner.invalid:
        raise typer.Exit(runner.interrupted or runner.invalid)


def plan_lines(plan: Plan) -> list[str]:
    """The server's part of a plan as lines of a file."""
    from queen.tune.flow.conf_file import Setting, written

    return [written(Setting(line.name, line.value, "")) for line in plan.lines if line.name not in _FIXED]


def base_workload(plan: Plan) -> Workload:
    """The load of the plan, in runs of the shortest time that a comparison takes."""
    import msgspec

    from queen.bench import knobs, profiles

    inputs = plan.inputs
    asked = {
        "rate": f"{inputs.target_rate:g}/s",
        "payload_bytes": f"{inputs.payload_bytes}B",
        "groups": str(inputs.groups),
        "warmup_s": f"{trials.WARMUP_S}s",
        "measure_s": f"{trials.MEASURE_S}s",
    }
    return msgspec.structs.replace(knobs.override(profiles.load(PROFILE), asked), name="tune-pg")


class Runner:
    """Makes the runs of one trial and compares them. `interrupted`: the exit code after Ctrl-C, else 0; `invalid`: that
    of the worst trial that came to no comparison."""

    def __init__(self, workload: Workload, pairs: int) -> None:
        self._workload = workload
        self._pairs = pairs
        self.interrupted = 0
        self.invalid = 0

    def __call__(self, a: Sequence[str], b: Sequence[str]) -> tuple[Mapping[str, Any] | None, str]:
        """The comparison of B against A, or None and why there is none."""
        from queen.bench.result import Campaign
        from queen.cli.bench.execute import run_shown

        if self.interrupted:
            return None, "not tried: interrupted"
        console.say(f"trial: {b[-1]}, {self._pairs} pairs of {trials.MEASURE_S} s")
        record, self.interrupted = asyncio.run(run_shown(self._ask(a, b), _opened))
        if not isinstance(record, Campaign) or record.comparison is None:
            self.invalid = max(self.invalid, record.verdict.exit_code if record is not None else 0)
            return None, record.verdict.line if record is not None else "interrupted"
        return record.comparison, ""

    def _ask(self, a: Sequence[str], b: Sequence[str]) -> Any:
        import msgspec

        from queen.bench import ab, knobs
        from queen.bench.ask import Ask

        # Parsed as the bench parses a file: it refuses what durability rests on, whoever asks.
        sides = [
            msgspec.structs.replace(self._workload, postgres=knobs.parse("postgres", list(side))) for side in (a, b)
        ]
        seed = secrets.randbelow(1 << 31)
        return Ask(
            mode="ab",
            workload=self._workload,
            slos=self._workload.slos,
            seed=seed,
            command="queen tune-pg --measure",
            sides=ab.Plan(a=sides[0], b=sides[1], order=ab.order(self._pairs), seed=seed),
        )


@asynccontextmanager
async def _opened(workload: Workload) -> AsyncIterator[Any]:
    from queen.bench import target

    async with target.started(workload.serve, postgres=workload.postgres) as system:
        yield system


def _tell(done: Sequence[Trial], left: Sequence[Note], as_json: bool) -> None:
    from queen.store.alter import set_system

    kept = [trial.candidate for trial in done if trial.kept]
    if as_json:
        console.put_json(
            {
                "schema_version": 1,
                "kind": "tune-pg-measure",
                "trials": [_trial(trial) for trial in done],
                "not_tried": [{"name": note.name, "why": note.text} for note in left],
            }
        )
        return
    for trial in done:
        console.put(f"{'kept' if trial.kept else 'no  '}  {trial.candidate.line}: {trial.candidate.why}")
        console.put(f"      {trial.reason}")
    for note in left:
        console.put(f"      {note.name}: {note.text}")
    for candidate in kept:
        console.put(set_system(candidate.name, candidate.value))
    if done and not kept:
        console.put("nothing was better than the plan, as far as this shows")


def _trial(trial: Trial) -> dict[str, Any]:
    candidate = trial.candidate
    named = {"name": candidate.name, "value": candidate.value, "bound": candidate.bound}
    return {**named, "kept": trial.kept, "reason": trial.reason, "comparison": trial.comparison}
