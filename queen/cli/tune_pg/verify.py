"""`--check` and `--verify`: is the server as it was applied, and in order since: its log, the doctor, its speed."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import typer

from queen.cli import console
from queen.cli.tune_pg.target import APPLICATION, Target, target
from queen.errors import CannotChange
from queen.settings import Settings
from queen.tune.flow import server_log
from queen.tune.flow.apply import BENCH, LOG
from queen.tune.flow.server_log import Told, Unread

if TYPE_CHECKING:
    from queen.bench.smoke import Judged
    from queen.store.operate import Operator
    from queen.tune.flow.drift import Drift
    from queen.tune.flow.journal import Journal

TOUCHED: Final = {
    "C1": ("max_connections",),
    "C2": ("max_connections",),
    "M1": ("shared_buffers", "work_mem", "autovacuum_work_mem", "autovacuum_max_workers", "max_connections"),
    "M4": ("huge_pages", "shared_buffers"),
    "M5": ("random_page_cost", "effective_io_concurrency"),
    "V3": (),
    "V8": (),
    "V12": (),
    "W1": ("max_wal_size",),
    "W4": ("wal_buffers",),
    "W8": (),
}
"""Checks of what a plan sets, and the settings they look at: one that waits for a restart is told by the comparison,
and its check would only say the same once more. M6, which says so of all, is left out."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What `--verify` found beside the comparison. `findings`: (check, summary) of the doctor, from a warning on;
    `bench` None: left out."""

    findings: tuple[tuple[str, str], ...]
    log: Told | Unread
    bench: Judged | None

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong; what could not be looked at is told, and counts for neither side."""
        told = isinstance(self.log, Told) and bool(self.log.errors)
        return not self.findings and not told and (self.bench is None or self.bench.word != "worse")


def check(settings: Settings, *, thorough: bool, bench: bool, as_json: bool) -> None:
    """Compare, and with `thorough` look at the rest. Raises what the flow raises, and typer.Exit(1) for a finding."""
    from queen.cli.tune_pg import tell
    from queen.store.operate import Operator
    from queen.tune.flow.drift import check as compared

    with target(settings) as place, Operator(place.dsn, application=APPLICATION) as operator:
        shelf = place.shelf(operator)
        drift = compared(operator, shelf)
        verified = _verified(place, settings, operator, drift, shelf.changed(), bench) if thorough else None
    tell.drift(drift, verified, as_json)
    if not drift.clean or (verified is not None and not verified.clean):
        raise typer.Exit(console.FOUND)


def _verified(
    place: Target, settings: Settings, operator: Operator, drift: Drift, journal: Journal | None, bench: bool
) -> Verified:
    """The log is read first: load and doctor ask for what may not be there, which leaves errors of their own in it."""
    from queen.cli.tune_pg import smoke

    log = _log(operator, journal)
    kept = journal.get(BENCH) if journal is not None else None
    judged = smoke.after(operator.url, kept) if bench else None
    pending = {entry.wanted.name for entry in drift.pending}
    findings = _doctor(place, settings, pending)
    _forgive(operator, journal, log)
    return Verified(tuple(findings), log, judged)


def _log(operator: Operator, journal: Journal | None) -> Told | Unread:
    stood = _mark(journal)
    try:
        if stood is None:
            now = server_log.mark(operator)
            known = Unread("where it stood before the change is not known")
            return now if isinstance(now, Unread) else known
        return server_log.since(operator, stood)
    except CannotChange as error:
        return Unread(error.message)


def _mark(journal: Journal | None) -> server_log.Mark | None:
    content = journal.get(LOG) if journal is not None else None
    if content is None:
        return None
    try:
        return server_log.from_dict(json.loads(content))
    except (KeyError, TypeError, ValueError):
        return None


def _forgive(operator: Operator, journal: Journal | None, log: Told | Unread) -> None:
    """What came into the log while we looked is our own doing, and nothing new the next time."""
    stood = _mark(journal)
    if stood is None or journal is None or isinstance(log, Unread):
        return
    with suppress(CannotChange):
        told = server_log.since(operator, stood)
        if isinstance(told, Told) and (own := set(told.kinds) - set(log.kinds)):
            journal.put(LOG, json.dumps(server_log.as_dict(stood.knowing(own))).encode())


def _doctor(place: Target, settings: Settings, pending: set[str]) -> list[tuple[str, str]]:
    """What the doctor has to say about what a plan touches: (check, its summary) of each warning and worse."""
    from queen.doctor.catalogue import catalogue
    from queen.doctor.finding import SEVERITIES
    from queen.doctor.run import Ask, run

    wanted = {name for name, looks_at in TOUCHED.items() if not pending & set(looks_at)}
    checks = [check for check in catalogue() if check.id in wanted]
    if not checks:
        return []
    report = run(Ask(place.dsn, checks, settings.database.schema, window_s=1.0))
    return [
        (result.id, finding.summary)
        for result in report.results
        for finding in result.findings
        if SEVERITIES[finding.status] >= SEVERITIES["warn"]
    ]
