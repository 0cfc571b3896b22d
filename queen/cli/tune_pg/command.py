"""`queen tune-pg`: prints a configuration of PostgreSQL for this machine and load. Changes nothing by itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from queen.cli import console
from queen.cli.client_options import duration, rate, size
from queen.cli.options import ConfigOption, DatabaseUrlOption, DataDirOption, JsonOption, flags
from queen.cli.tune_pg.acts import Act, ActOptions, WayAsked, choose_act, run_act
from queen.cli.tune_pg.asked import Asked, Format, Output, Profile, StorageKind
from queen.settings import Resolved, resolve

if TYPE_CHECKING:
    from queen.tune.lines import Plan

_MACHINE, _LOAD, _OUTPUT = "Machine (measured where PostgreSQL runs here)", "Load", "Output"
_ACT = "On the server (one of them; without one nothing is changed)"


def _panel(info: Any, panel: str) -> Any:
    """An option of client_options under a heading of this command."""
    info.rich_help_panel = panel
    return info


def _count(flag: str, help: str, panel: str, least: int = 1) -> Any:
    return typer.Option(flag, metavar="N", min=least, help=help, show_default=False, rich_help_panel=panel)


def _act(flag: str, help: str) -> Any:
    return typer.Option(flag, help=help, rich_help_panel=_ACT)


def tune_pg(
    memory: Annotated[int | None, _panel(size("--memory", "Memory of the machine or container."), _MACHINE)] = None,
    cpus: Annotated[int | None, _count("--cpus", "Processors.", _MACHINE)] = None,
    storage: Annotated[
        StorageKind | None, typer.Option("--storage", help="What the data lies on.", rich_help_panel=_MACHINE)
    ] = None,
    pg_version: Annotated[int | None, _count("--pg-version", "Major version.", _MACHINE, 14)] = None,
    measure_disk: Annotated[
        bool,
        typer.Option(
            "--measure-disk",
            help="Time safe writes beside the data directory for 2 s, in a file that is removed.",
            rich_help_panel=_MACHINE,
        ),
    ] = False,
    target: Annotated[float | None, _panel(rate("--target", "Messages a second. Default: 1000/s."), _LOAD)] = None,
    payload: Annotated[int | None, _panel(size("--payload", "Size of a payload. Default: 1KiB."), _LOAD)] = None,
    groups: Annotated[
        int | None, _count("--groups", "Consumer groups that read each message. Default: 1.", _LOAD)
    ] = None,
    pool_size: Annotated[
        int | None, _count("--pool-size", "Connections of one Queen. Default: database.pool_size.", _LOAD)
    ] = None,
    instances: Annotated[int | None, _count("--instances", "Running `queen serve`. Default: 1.", _LOAD)] = None,
    pooler_size: Annotated[
        int | None, _count("--pooler-size", "Connections from a pooler to PostgreSQL, if one is in between.", _LOAD)
    ] = None,
    other_connections: Annotated[
        int | None, _count("--other-connections", "Of other programs and people. Default: 20.", _LOAD, 0)
    ] = None,
    recovery: Annotated[
        int | None, duration("--recovery", "Longest recovery after a crash. Default: 5m.", _LOAD)
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", help="Form of the output.", rich_help_panel=_OUTPUT)
    ] = Format.conf,
    as_json: JsonOption = False,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write it to this file.", rich_help_panel=_OUTPUT)
    ] = None,
    pgbouncer: Annotated[
        bool,
        typer.Option("--pgbouncer", help="Print the pgbouncer.ini that goes with it.", rich_help_panel=_OUTPUT),
    ] = False,
    profile: Annotated[
        Profile | None,
        typer.Option("--profile", help="A fixed plan; baseline: postgresql.conf.example.", rich_help_panel=_OUTPUT),
    ] = None,
    explain: Annotated[
        str | None,
        typer.Option("--explain", metavar="SETTING", help="Tell all about one setting.", rich_help_panel=_OUTPUT),
    ] = None,
    diff: Annotated[bool, _act("--diff", "Compare the plan with the server.")] = False,
    apply: Annotated[
        bool, _act("--apply", "Change the server, its tables and its role; keeps what was before.")
    ] = False,
    verify: Annotated[
        bool, _act("--verify", "Read back what was applied; ask the server's log, the doctor and a short load.")
    ] = False,
    check: Annotated[bool, _act("--check", "Exit with 1 when it is no longer as it was applied.")] = False,
    rollback: Annotated[bool, _act("--rollback", "Undo the last apply.")] = False,
    confirm: Annotated[bool, _act("--confirm", "Keep what --confirm-within would undo.")] = False,
    measure: Annotated[
        bool, _act("--measure", "Try settings above the plan on this disk, in turns with it; changes nothing.")
    ] = False,
    budget: Annotated[int | None, duration("--budget", "Time for --measure. Default: 30m.", _ACT)] = None,
    pairs: Annotated[int | None, _count("--pairs", "Pairs of runs for each trial. Default: 5.", _ACT, 5)] = None,
    confirm_within: Annotated[
        int | None, duration("--confirm-within", "With --apply: undo it after this time unless confirmed.", _ACT)
    ] = None,
    no_bench: Annotated[
        bool, _act("--no-bench", "With --apply and --verify: without the load of half a minute.")
    ] = False,
    only: Annotated[
        str | None,
        typer.Option("--only", metavar="KIND,…", help="Of server, table, role; all by default.", rich_help_panel=_ACT),
    ] = None,
    role: Annotated[
        str | None,
        typer.Option("--role", metavar="NAME", help="That Queen connects with; this one.", rich_help_panel=_ACT),
    ] = None,
    way: Annotated[
        WayAsked, typer.Option("--way", help="How the server is changed.", rich_help_panel=_ACT)
    ] = WayAsked.auto,
    config: ConfigOption = None,
    database_url: DatabaseUrlOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Print settings of PostgreSQL for this machine and load, each with its reason; or apply them.

    Examples: queen tune-pg --target 10k; queen tune-pg --memory 64GB --cpus 16 --pg-version 17 --format alter-system;
    queen tune-pg --target 10k --apply --confirm-within 5m
    """
    options = ActOptions(only, way, role, confirm_within, budget, pairs, not no_bench, as_json)
    acts = {Act.diff: diff, Act.apply: apply, Act.verify: verify, Act.check: check}
    act = choose_act({**acts, Act.rollback: rollback, Act.confirm: confirm, Act.measure: measure}, options)
    asked = Asked(
        memory=memory,
        cpus=cpus,
        storage=storage,
        target=target,
        payload=payload,
        groups=groups,
        pool_size=pool_size,
        instances=instances,
        pg_version=pg_version,
        other_connections=other_connections,
        pooler_size=pooler_size,
        recovery_ms=recovery,
        measure_disk=measure_disk,
        pgbouncer=pgbouncer,
    )
    wanted = Output(Format.json if as_json else form, output, explain, pgbouncer)
    resolved = resolve(flags(database_url=database_url, data_dir=data_dir), config_path=config)
    if act is not None:
        make = _plan_for_trials if act is Act.measure else _plan_for_server
        run_act(act, options, resolved.settings, lambda: make(asked, profile, resolved))
        return
    deliver(_baseline(wanted) if profile is Profile.baseline else _computed(asked, wanted, resolved), wanted.file)


def deliver(text: str, file: Path | None) -> None:
    """Prints the text, or writes it to a file that is whole or not there. Raises TuneInputError when it cannot."""
    if file is None:
        typer.echo(text, nl=False)
        return
    from queen.cli.tune_pg.write import write_whole

    write_whole(file, text)
    console.say(f"written to {file}")


def _baseline(wanted: Output) -> str:
    from queen.cli.tune_pg import show
    from queen.tune.baseline import baseline
    from queen.tune.pgbouncer import BASELINE, pgbouncer_ini

    if wanted.pgbouncer:
        return pgbouncer_ini(BASELINE)
    if wanted.explain is not None:
        return show.explanation(baseline(), wanted.explain, None) + "\n"
    if wanted.form is Format.conf:
        return show.baseline_text()
    return show.text_of(baseline(), wanted.form, "queen", None, [])


def _plan_for_server(asked: Asked, profile: Profile | None, resolved: Resolved) -> Plan:
    """The plan to hold against the running server. Raises TuneInputError for one that is for another version."""
    from queen.cli.tune_pg.gather import gather
    from queen.errors import TuneInputError
    from queen.tune.baseline import baseline
    from queen.tune.plan import make_plan
    from queen.tune.served import check_plan

    found = gather(asked, resolved)
    if found.sight is None:
        raise TuneInputError("; ".join(found.remarks) or "the server was not asked")
    if found.sight.major != found.inputs.pg_version:
        raise TuneInputError(f"the server is PostgreSQL {found.sight.major}, not {found.inputs.pg_version}")
    plan = baseline(found.inputs) if profile is Profile.baseline else make_plan(found.inputs)
    return check_plan(plan, found.sight.settings)


def _plan_for_trials(asked: Asked, profile: Profile | None, resolved: Resolved) -> Plan:
    """The plan for the programs that are here: trials have a PostgreSQL of their own. Raises EmbeddedError."""
    from queen.cli.tune_pg.gather import gather
    from queen.embedded.find import find_binaries
    from queen.tune.baseline import baseline
    from queen.tune.plan import make_plan

    found = gather(asked, resolved)
    inputs = found.inputs.replace("programs found here", pg_version=find_binaries(None).major)
    return baseline(inputs) if profile is Profile.baseline else make_plan(inputs)


def _computed(asked: Asked, wanted: Output, resolved: Resolved) -> str:
    from queen.cli.tune_pg import show
    from queen.cli.tune_pg.gather import gather
    from queen.tune.pgbouncer import pgbouncer_ini, pooler_for
    from queen.tune.plan import make_plan
    from queen.tune.served import check_plan

    found = gather(asked, resolved)
    plan = make_plan(found.inputs)
    if found.sight is not None and found.sight.major == plan.inputs.pg_version:
        plan = check_plan(plan, found.sight.settings)
    if wanted.pgbouncer:
        most = int(plan.value("max_connections") or 0)
        return pgbouncer_ini(pooler_for(plan.inputs, most), *found.address)
    if wanted.explain is not None:
        return show.explanation(plan, wanted.explain, found.sight) + "\n"
    schema = resolved.settings.database.schema
    return show.text_of(plan, wanted.form, schema, found.sight, found.remarks)
