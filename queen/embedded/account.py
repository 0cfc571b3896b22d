"""The user that the private PostgreSQL runs as, and what that user can reach.

PostgreSQL refuses to run as root, so root lends it an unprivileged account that exists already. This module creates
no user and changes no mode; it only looks.
"""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from queen.errors import EmbeddedError

_NOBODY = 65534
_SET_USER = "set embedded.user to an unprivileged user that exists, or use your own database with --database-url"


@dataclass(frozen=True, slots=True)
class Account:
    """An operating system user. `switch` tells whether we must become that user (only root can)."""

    name: str
    uid: int
    gid: int
    switch: bool


def choose_account(wanted: str | None, owner_uid: int | None) -> Account:
    """The account for a cluster whose data belongs to `owner_uid` (None: there is no data yet).

    Existing data decides: PostgreSQL serves only its owner. Raises EmbeddedError when the choice cannot work.
    """
    account = _as_root(wanted, owner_uid) if os.geteuid() == 0 else _as_user(wanted)
    if owner_uid is not None and owner_uid != account.uid:
        raise EmbeddedError(
            f"the data belongs to user {user_name(owner_uid)}, but PostgreSQL would run as {account.name}",
            hint=f"run queen as {user_name(owner_uid)}, or choose another folder with --data-dir",
        )
    return account


def _as_user(wanted: str | None) -> Account:
    account = _lookup_uid(os.geteuid(), switch=False)
    if wanted and wanted != account.name:
        raise EmbeddedError(
            f"only root can run PostgreSQL as another user; embedded.user is {wanted}, and you are {account.name}",
            hint="leave embedded.user unset, or start queen as that user",
        )
    return account


def _as_root(wanted: str | None, owner_uid: int | None) -> Account:
    if wanted:
        account = _lookup_name(wanted)
    elif owner_uid is not None:
        account = _lookup_uid(owner_uid, switch=True)
    else:
        account = _default_for_root()
    if account.uid == 0:
        raise EmbeddedError("PostgreSQL refuses to run as root, and its data may not belong to root", hint=_SET_USER)
    return account


def _default_for_root() -> Account:
    try:
        return _lookup_name("postgres")
    except EmbeddedError:
        return _lookup_uid(_NOBODY, switch=True)


def _lookup_name(name: str) -> Account:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise EmbeddedError(f"there is no user {name} on this machine", hint=_SET_USER) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, switch=True)


def _lookup_uid(uid: int, *, switch: bool) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        # initdb and peer authentication both ask for the name of the user, so a bare number cannot work.
        message = f"user id {uid} has no name in /etc/passwd; PostgreSQL needs one"
        raise EmbeddedError(message, hint=_SET_USER) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, switch=switch)


def user_name(uid: int) -> str:
    """The name of a user id, or the number itself."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def first_unreachable(folder: Path, account: Account) -> Path | None:
    """The first existing folder on the way to `folder`, itself included, that the account may not enter."""
    for step in (*reversed(folder.parents), folder):
        try:
            status = step.stat()
        except FileNotFoundError:
            return None
        except PermissionError:
            return step.parent
        if not _may_enter(status, account):
            return step
    return None


def _may_enter(status: os.stat_result, account: Account) -> bool:
    if account.uid == 0:
        return True
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)
