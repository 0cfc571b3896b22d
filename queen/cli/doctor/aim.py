"""What a run is aimed at: the database, the Queen server if one answers, the folder of undo files. And the run itself,
bounded in time."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from queen.cli import console
from queen.cli.doctor.options import Wish
from queen.doctor import baseline, threshold
from queen.doctor import run as runs
from queen.doctor.catalogue import choose
from queen.doctor.probes import server
from queen.errors import AccessDenied, QueenError, ServerUnreachable, SettingsError, StoreUnavailable
from queen.settings import Settings, database_configured, direct_dsn

if TYPE_CHECKING:
    from queen.doctor.baseline import Baseline
    from queen.doctor.report import Report
    from queen.doctor.run import Ask, OnStage

_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}
_HINT: Final = (
    "is PostgreSQL running and reachable from here? queen db status tells; queen config show --origin tells where "
    "its address comes from"
)
_UNDO_FOLDER: Final = "undo"


@dataclass(frozen=True, slots=True)
class Aim:
    """A run to make, and where its undo file goes; None when it is to repair nothing. `known`: the user's baseline."""

    ask: Ask
    undo_folder: Path | None
    timeout_s: float
    known: Baseline | None = None


def take_aim(wish: Wish, settings: Settings) -> Aim:
    """Resolve everything that a run needs. Raises SettingsError, DoctorFileError for a baseline that cannot be read,
    ServerUnreachable when the server that was named does not answer, EmbeddedError; ends the command when the private
    PostgreSQL does not run."""
    checks = choose((*wish.only, *wish.ids), wish.skip)
    if not checks:
        raise SettingsError("no check is left to run", hint="leave out some of --skip")
    known = baseline.load(wish.baseline) if wish.baseline else None
    ask = runs.Ask(
        dsn=_dsn(settings),
        checks=checks,
        schema=settings.database.schema,
        url=_url(wish, settings),
        window_s=wish.window_s,
        deep=wish.deep,
        thresholds=threshold.parse(wish.thresholds),
        pooler_admin=wish.pooler_admin,
        memos=known.memos if known else {},
    )
    return Aim(ask, _undo_folder(settings) if wish.fix else None, wish.timeout_s, known)


def look(aim: Aim, on_stage: OnStage = lambda _name, _seconds: None) -> Report:
    """Make the run, for at most `timeout_s`. Raises StoreUnavailable, AccessDenied, both with what to try.

    It works in a thread that is left behind when the time is over: a network that swallows everything lets no call of
    the driver return.
    """
    outcomes: queue.SimpleQueue[Report | BaseException] = queue.SimpleQueue()
    thread = threading.Thread(target=_put, args=(aim.ask, on_stage, outcomes), daemon=True)
    thread.start()
    try:
        outcome = outcomes.get(timeout=aim.timeout_s)
    except queue.Empty:
        text = f"the database did not answer within {aim.timeout_s:g} s"
        raise StoreUnavailable(text, hint=f"a longer --timeout, or: {_HINT}") from None
    if isinstance(outcome, BaseException):
        raise _hinted(outcome)
    return outcome


def fresh(aim: Aim, report: Report) -> Report:
    """The report without what the user's baseline knows."""
    return report if aim.known is None else baseline.only_new(report, aim.known)


def again(aim: Aim, ids: set[str]) -> Aim:
    """The same run for some of its checks."""
    return replace(aim, ask=replace(aim.ask, checks=[check for check in aim.ask.checks if check.id in ids]))


def _put(ask: Ask, on_stage: OnStage, outcomes: queue.SimpleQueue[Report | BaseException]) -> None:
    try:
        outcomes.put(runs.run(ask, on_stage))
    except BaseException as error:
        outcomes.put(error)


def _hinted(error: BaseException) -> BaseException:
    """Our errors always say what to try."""
    if isinstance(error, StoreUnavailable | AccessDenied) and error.hint is None:
        error.hint = _HINT
    elif type(error) is QueenError:
        return StoreUnavailable(error.message, hint=error.hint or _HINT)
    return error


def _undo_folder(settings: Settings) -> Path:
    from queen.embedded.folders import base_folder

    return base_folder(settings.embedded.data_dir) / _UNDO_FOLDER


def _dsn(settings: Settings) -> str:
    from queen.embedded.cluster import socket_url
    from queen.embedded.look import look as look_at_private

    if database_configured(settings):
        return direct_dsn(settings)
    sight = look_at_private(settings.embedded)
    if sight is None or sight.socket_dir is None or not sight.answers:
        console.fail(
            "the private PostgreSQL is not running",
            console.UNREACHABLE,
            hint="start it with: queen serve, or queen db start; name another database with --database-url",
        )
    return socket_url(sight.socket_dir)


def _url(wish: Wish, settings: Settings) -> str | None:
    if wish.url is not None:
        if server.look(wish.url) is None:
            raise ServerUnreachable(
                f"no Queen server answers at {wish.url}",
                hint="start it with: queen serve; or leave --url out to look at the database alone",
            )
        return wish.url
    host = _EVERYWHERE.get(settings.server.host, settings.server.host)
    url = f"http://{host}:{settings.server.port}"
    return url if settings.server.port and server.look(url) is not None else None
