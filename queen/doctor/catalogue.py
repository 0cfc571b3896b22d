"""All checks: found by walking the folders of `checks/`, in a stable order. Adding a check touches its file only."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
from collections.abc import Sequence
from typing import Final

from queen.doctor import checks
from queen.doctor.check import GROUPS, Check
from queen.errors import SettingsError

_ID: Final = re.compile(r"^([A-Z])(\d+)$")


@functools.cache
def catalogue() -> tuple[Check, ...]:
    """Every check, by group and number."""
    found = []
    for group in GROUPS:
        package = importlib.import_module(f"{checks.__name__}.{group}")
        for module in pkgutil.iter_modules(package.__path__):
            check = getattr(importlib.import_module(f"{package.__name__}.{module.name}"), "CHECK", None)
            if isinstance(check, Check):
                found.append(check)
    return tuple(sorted(found, key=lambda check: (list(GROUPS).index(check.group), _order(check.id))))


def find(name: str) -> Check:
    """The check of an id, in any case. Raises SettingsError."""
    for check in catalogue():
        if check.id == name.upper():
            return check
    raise SettingsError(f"there is no check {name!r}", hint="queen doctor --list names them all")


def choose(only: Sequence[str] = (), skip: Sequence[str] = ()) -> tuple[Check, ...]:
    """The checks that these ids, letters or group names leave: all when `only` is empty. Raises SettingsError for a
    word that names none."""
    for word in (*only, *skip):
        if not any(_named(check, word) for check in catalogue()):
            groups = ", ".join(GROUPS)
            raise SettingsError(
                f"there is no check or group {word!r}", hint=f"queen doctor --list; groups are {groups}"
            )
    return tuple(
        check
        for check in catalogue()
        if (not only or any(_named(check, word) for word in only)) and not any(_named(check, word) for word in skip)
    )


def _named(check: Check, word: str) -> bool:
    letter = check.id[0]
    return word.upper() in (check.id, letter) or word.lower() == check.group


def _order(name: str) -> tuple[str, int]:
    match = _ID.match(name)
    return (match[1], int(match[2])) if match else (name, 0)
