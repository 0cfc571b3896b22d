"""Makes a data directory, wholly or not at all, and writes the files that configure it.

initdb works in a folder beside the final one, which is renamed when all is written. What an interrupted attempt left
is removed by the next one. The caller holds the owner's lock (state.py), and starts the server.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
from pathlib import Path

from queen.embedded import conf
from queen.embedded.account import Account
from queen.embedded.find import Binaries
from queen.embedded.folders import Home, told_plainly, write_file
from queen.embedded.plan import Plan
from queen.embedded.postmaster import run_program
from queen.embedded.wal_reserve import reserve_wal
from queen.errors import EmbeddedError

_DRAFT = "data.new-"
_DISK_FULL = "No space left on device"
_LOCALES = ("C.UTF-8", "C")
"""Both sort by code point. Not every system has the first one."""


def prepare_data(plan: Plan, timeout_s: float) -> None:
    """Makes the data directory if there is none, and brings its access rules up to date. Raises EmbeddedError."""
    with told_plainly(plan.home.path):
        if not plan.home.has_data:
            _make_data(plan, timeout_s)
        _check_version(plan.home)
        _write_configuration(plan.home.data, plan)


def _make_data(plan: Plan, timeout_s: float) -> None:
    home, account = plan.home, plan.account
    for left in home.path.glob(f"{_DRAFT}*"):
        shutil.rmtree(left, ignore_errors=True)
    draft = home.path / f"{_DRAFT}{secrets.token_hex(4)}"
    try:
        _initdb(plan.binaries, draft, account, timeout_s)
        with (draft / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(conf.INCLUDE_LINE)
            os.fsync(file.fileno())
        _write_configuration(draft, plan)
        reserve_wal(draft, account, plan.wal_reserve_bytes)
        draft.rename(home.data)
        _sync_folder(home.path)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _initdb(binaries: Binaries, draft: Path, account: Account, timeout_s: float) -> None:
    for locale in _LOCALES:
        done = run_program(conf.initdb_command(binaries, draft, locale), account, timeout_s)
        if done.returncode == 0:
            return
        if "locale" not in done.stderr:
            break
    raise EmbeddedError(f"initdb failed: {_reason(done.stderr)}", hint=_remedy(done.stderr))


def _reason(stderr: str) -> str:
    """The telling line of initdb's complaint, which ends with what it tidied up."""
    if _DISK_FULL in stderr:
        return "the disk is full"
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    signs = ("FATAL", "PANIC", "error:", "cannot", "could not")
    telling = [line for line in lines if any(sign in line for sign in signs)]
    return (telling or lines or ["it gave no reason"])[-1]


def _remedy(stderr: str) -> str:
    if _DISK_FULL in stderr:
        return "free some disk space, or choose another folder with --data-dir"
    return "choose another folder with --data-dir, or use your own database with --database-url"


def _check_version(home: Home) -> None:
    written = (home.data / "PG_VERSION").read_text().strip()
    if written != str(home.major):
        raise EmbeddedError(
            f"{home.data} holds data of PostgreSQL {written}, not {home.major}",
            hint=f"move it to {home.path.with_name(written)}, or choose another folder with --data-dir",
        )


def _write_configuration(data: Path, plan: Plan) -> None:
    account = plan.account
    write_file(data / "pg_hba.conf", conf.access_rules(), account)
    write_file(data / "pg_ident.conf", conf.ident_map(_users(account)), account)
    if not (data / conf.BASELINE_NAME).exists():
        # All of tune-pg, for the first start alone: those who only look at a cluster need not load it.
        from queen.embedded.tuned import first_configuration

        text = first_configuration(data, plan.home.major) if plan.tuned else conf.baseline()
        write_file(data / conf.BASELINE_NAME, text, account)


def _users(account: Account) -> list[str]:
    """Who may connect: the server's own user, root (who could become that user anyway), and whoever starts it."""
    names = [account.name]
    for uid in (0, os.geteuid()):
        try:
            names.append(pwd.getpwuid(uid).pw_name)
        except KeyError:
            continue
    return names


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
