"""`queen doctor`: resolves settings, runs the checks, prints what they found."""

from __future__ import annotations

from typing import Annotated

import typer

from queen.cli import console
from queen.cli.options import ConfigOption, DatabaseUrlOption, DataDirOption, flags
from queen.settings import database_configured, direct_dsn, resolve

OnlyOption = Annotated[str | None, typer.Option("--only", metavar="ID,…", help="Checks, letters or groups to run.")]
WindowOption = Annotated[float, typer.Option("--window", metavar="SECONDS", help="Between the two samples.")]


def doctor(
    only: OnlyOption = None,
    window: WindowOption = 10.0,
    url: Annotated[str | None, typer.Option("--url", metavar="URL", help="A running Queen server.")] = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    database_url: DatabaseUrlOption = None,
) -> None:
    """Say what is wrong with the database and the servers, what it costs and what to do.

    Examples: queen doctor; queen doctor --only V,C1 --window 30
    """
    from queen.doctor.catalogue import choose
    from queen.doctor.run import Ask, run
    from queen.embedded.cluster import socket_url
    from queen.embedded.look import look

    settings = resolve(flags(data_dir=data_dir, database_url=database_url), config_path=config).settings
    if database_configured(settings):
        dsn = direct_dsn(settings)
    else:
        sight = look(settings.embedded)
        if sight is None or sight.socket_dir is None or not sight.answers:
            console.fail("the private PostgreSQL is not running", console.UNREACHABLE, hint="queen serve")
        dsn = socket_url(sight.socket_dir)
    checks = choose(only.split(",") if only else ())
    report = run(Ask(dsn, checks, settings.database.schema, url, window))
    for result in report.results:
        console.put(f"{result.status:8}{result.id:4}{result.title}{': ' + result.reason if result.reason else ''}")
        for finding in result.findings:
            console.put(f"            {finding.summary}")
    console.put(report.verdict)
    if report.worst() >= 2:
        raise typer.Exit(console.FOUND)
