"""The acts of `queen tune-pg` on a server: diff, apply, verify, check, confirm, roll back. One function each.

Resolves, calls `queen.tune.flow`, prints. The plan is made by the rest of the command and handed in as a function.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from queen.cli import console
from queen.cli.tune_pg.target import APPLICATION, shelf_without_server, target
from queen.errors import AccessDenied, EmbeddedError, StoreUnavailable, TuneInputError
from queen.settings import Settings

if TYPE_CHECKING:
    from queen.tune.flow.live import Live
    from queen.tune.flow.wanted import Wanted
    from queen.tune.lines import Plan

CONFIRM_MS_MAX: Final = 24 * 3_600_000
"""A watcher is a process that waits: not for ever."""


class Act(enum.StrEnum):
    """What is done with the plan."""

    diff = "diff"
    apply = "apply"
    verify = "verify"
    check = "check"
    confirm = "confirm"
    rollback = "rollback"
    measure = "measure"


class WayAsked(enum.StrEnum):
    """How the server's own settings are changed."""

    auto = "auto"
    file = "file"
    alter_system = "alter-system"


@dataclass(frozen=True, slots=True)
class ActOptions:
    """The options of the acts."""

    only: str | None = None
    way: WayAsked = WayAsked.auto
    role: str | None = None
    confirm_within_ms: int | None = None
    budget_ms: int | None = None
    pairs: int | None = None
    bench: bool = True
    as_json: bool = False


MakePlan = Callable[[], "Plan"]


def choose_act(wanted: dict[Act, bool], options: ActOptions) -> Act | None:
    """The one act that was asked for, None for printing only. Raises TuneInputError for options that do not fit."""
    acts = [act for act, asked in wanted.items() if asked]
    if len(acts) > 1:
        raise TuneInputError(f"one at a time: --{acts[0]} or --{acts[1]}")
    act = acts[0] if acts else None
    if options.confirm_within_ms is not None and act is not Act.apply:
        raise TuneInputError("--confirm-within goes with --apply")
    if options.confirm_within_ms is not None and not 0 < options.confirm_within_ms <= CONFIRM_MS_MAX:
        raise TuneInputError("--confirm-within takes a time up to 1d")
    if act is not Act.measure and (options.budget_ms is not None or options.pairs is not None):
        raise TuneInputError("--budget and --pairs go with --measure")
    if act not in (Act.apply, Act.verify) and not options.bench:
        raise TuneInputError("--no-bench goes with --apply and --verify")
    if act not in (Act.diff, Act.apply) and (options.only or options.role or options.way is not WayAsked.auto):
        raise TuneInputError("--only, --role and --way go with --diff and --apply")
    return act


def run_act(act: Act, options: ActOptions, settings: Settings, make_plan: MakePlan) -> None:
    """Do it, and print. Raises what the flow raises."""
    if act is Act.diff:
        _diff(options, settings, make_plan)
    elif act is Act.apply:
        _apply(options, settings, make_plan)
    elif act in (Act.check, Act.verify):
        from queen.cli.tune_pg.verify import check

        check(settings, thorough=act is Act.verify, bench=options.bench, as_json=options.as_json)
    elif act is Act.measure:
        from queen.cli.tune_pg.measure import measure

        measure(options, make_plan(), settings)
    elif act is Act.confirm:
        _confirm(options, settings)
    else:
        _rollback(options, settings)


def _diff(options: ActOptions, settings: Settings, make_plan: MakePlan) -> None:
    from queen.cli.tune_pg import stakes, tell
    from queen.store.inspect import Inspector
    from queen.tune.flow.live import compare, read

    wish = _wishes(options)
    with target(settings) as place:
        plan = make_plan()
        schema = settings.database.schema
        with Inspector(place.dsn, schema, application=APPLICATION) as inspector:
            live = read(inspector, schema, options.role, _names(plan))
        found = compare(wish(plan, live), live)
        tell.diff(found, stakes.stakes(place.dsn, schema, found), live, options.as_json)


def _apply(options: ActOptions, settings: Settings, make_plan: MakePlan) -> None:
    from queen.cli.tune_pg import smoke, tell
    from queen.store.operate import Operator
    from queen.tune.flow.apply import apply
    from queen.tune.flow.confirm import start_watcher

    wish = _wishes(options)
    with target(settings) as place:
        if place.started and options.confirm_within_ms is not None:
            raise TuneInputError(
                "the private PostgreSQL is not running, and would stop with this command",
                hint="start it first: queen serve, or queen db start --detach",
            )
        plan = make_plan()
        with Operator(place.dsn, application=APPLICATION) as operator:
            within = options.confirm_within_ms
            done = apply(
                operator,
                operator.connection.info.host,
                place.shelf(operator),
                plan,
                partial(wish, plan),
                schema=settings.database.schema,
                role=options.role,
                way=options.way.value,
                confirm_within_s=None if within is None else within / 1000,
                watch=partial(start_watcher, dsn=place.dsn),
                before=partial(smoke.before, operator.url) if options.bench else None,
            )
        tell.applied(done, options.as_json)


def _confirm(options: ActOptions, settings: Settings) -> None:
    from queen.cli.tune_pg import tell
    from queen.store.operate import Operator
    from queen.tune.flow.confirm import confirm

    try:
        with target(settings) as place, Operator(place.dsn, application=APPLICATION) as operator:
            shelf = place.shelf(operator)
    except (StoreUnavailable, AccessDenied, EmbeddedError):
        shelf = shelf_without_server(settings)
    tell.confirmed(confirm(shelf), options.as_json)


def _rollback(options: ActOptions, settings: Settings) -> None:
    from queen.cli.tune_pg import tell
    from queen.store.operate import Operator
    from queen.tune.flow.rollback import rollback, rollback_files

    try:
        with target(settings) as place, Operator(place.dsn, application=APPLICATION) as operator:
            undone = rollback(operator, place.shelf(operator))
    except (StoreUnavailable, AccessDenied, EmbeddedError) as error:
        # A server that does not start with what its files say now needs just this.
        console.say(f"the server does not answer ({error.message.splitlines()[0]}): only its files are put back")
        undone = [rollback_files(shelf_without_server(settings))]
    tell.rolled_back(undone, options.as_json)


def _wishes(options: ActOptions) -> Callable[[Plan, Live], list[Wanted]]:
    from queen.tune.flow.wanted import parse_kinds, wishes

    kinds = parse_kinds(options.only)
    return lambda plan, live: wishes(plan, live.role, live.children, kinds)


def _names(plan: Plan) -> list[str]:
    return [line.name for line in plan.lines] + [entry.setting for entry in plan.roles]
