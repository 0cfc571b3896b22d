"""`queen doctor`: resolves settings, runs the checks, prints what they found, and repairs it when asked to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from queen.cli import console
from queen.cli.doctor import options as o
from queen.cli.doctor.options import Wish
from queen.cli.doctor.screen import Color, screen
from queen.cli.options import ConfigOption, DatabaseUrlOption, DataDirOption, flags
from queen.errors import QueenError, SettingsError
from queen.settings import Settings, resolve

if TYPE_CHECKING:
    from queen.cli.doctor.aim import Aim
    from queen.doctor.report import Report


def doctor(
    ids: o.IdsArgument = None,
    only: o.OnlyOption = None,
    skip: o.SkipOption = None,
    window: o.WindowOption = None,
    deep: o.DeepOption = False,
    url: o.UrlOption = None,
    pooler_admin: o.PoolerOption = None,
    timeout: o.TimeoutOption = None,
    threshold: o.ThresholdOption = None,
    fail_on: o.FailOnOption = None,
    baseline: o.BaselineOption = None,
    save_baseline: o.SaveBaselineOption = None,
    as_json: o.JsonOption = False,
    nagios: o.NagiosOption = False,
    verbose: o.VerboseOption = False,
    quiet: o.QuietOption = False,
    color: o.ColorOption = Color.auto,
    watch: o.WatchOption = None,
    list_: o.ListOption = False,
    explain: o.ExplainOption = None,
    fix: o.FixOption = False,
    allow: o.AllowOption = None,
    yes: o.YesOption = False,
    dry_run: o.DryRunOption = False,
    undo: o.UndoOption = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    database_url: DatabaseUrlOption = None,
) -> None:
    """Say what is wrong with the database and the servers, what it costs and what to do; with --fix, do it.

    Examples: queen doctor; queen doctor V C1 --window 5s; queen doctor --fix --dry-run; queen doctor --explain V4
    """
    tells = list_ or explain is not None
    if tells and not nagios:
        _tell(explain, color, as_json=as_json)
        return
    try:
        if tells:
            raise SettingsError("--nagios goes with a look at a database, not with --list or --explain")
        if nagios and fail_on is not None:
            raise SettingsError("--nagios and --fail-on do not go together: the exit codes of --nagios are fixed")
        watch_s = None if watch is None else o.seconds("--watch", watch, 1.0, 86_400.0)
        window_s = o.window(window, watch_s)
        wish = Wish(
            only=o.named("--only", [only] if only is not None else []),
            skip=o.split(skip),
            window_s=window_s,
            timeout_s=o.timeout(timeout, window_s),
            deep=deep,
            url=url,
            pooler_admin=pooler_admin,
            thresholds=tuple(threshold or ()),
            fail_on=fail_on or o.FailOn.warn,
            baseline=baseline,
            save_baseline=save_baseline,
            as_json=as_json,
            nagios=nagios,
            verbose=verbose,
            quiet=quiet,
            color=color,
            watch_s=watch_s,
            ids=o.named("ID", ids or []),
            fix=fix,
            allow=tuple(allow or ()),
            yes=yes,
            dry_run=dry_run,
            undo=undo,
        )
        o.refuse_together(wish)
        settings = resolve(flags(data_dir=data_dir, database_url=database_url), config_path=config).settings
        code = _do(wish, settings)
    except QueenError as error:
        if not nagios:
            raise
        from queen.cli.doctor.nagios import UNKNOWN, head

        console.put(head(UNKNOWN, error.message))
        raise typer.Exit(UNKNOWN) from error
    if code:
        raise typer.Exit(code)


def _tell(name: str | None, color: Color, *, as_json: bool) -> None:
    from queen.cli.doctor.catalogue import explain, list_checks

    if name is None:
        list_checks(screen(color), as_json=as_json)
    else:
        explain(screen(color), name, as_json=as_json)


def _do(wish: Wish, settings: Settings) -> int:
    """The exit code."""
    from queen.cli.doctor.aim import take_aim

    aim = take_aim(wish, settings)
    if wish.fix or wish.undo is not None:
        from queen.cli.doctor.repair import repair, take_back

        return repair(wish, aim) if wish.undo is None else take_back(wish, aim, wish.undo)
    if wish.watch_s is not None:
        from queen.cli.doctor.watch import watch

        return watch(wish, aim, wish.watch_s)
    return _once(wish, aim)


def _once(wish: Wish, aim: Aim) -> int:
    from queen.cli.doctor.once import examine, show
    from queen.cli.doctor.outcome import code_of, keep_traces

    report: Report = examine(wish, aim)
    code = show(wish, report)
    keep_traces(report)
    return code if code is not None else code_of(report, wish.fail_on)


__all__ = ["doctor"]
