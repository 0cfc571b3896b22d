"""The text of configuration files: values put into one, and the line that makes PostgreSQL read ours. Pure, no I/O.

A setting that stands in the file is changed where it stands; the rest goes to the end. What else the file says stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

OUR_FILE: Final = "queen.conf"
OUR_FOLDER: Final = "conf.d"

HEADER: Final = (
    "# Written by queen tune-pg. `queen tune-pg --rollback` puts back what was before; a change by hand is fine, and\n"
    "# `queen tune-pg --check` tells of it.\n"
)
INCLUDE: Final = (
    f"\n# Queen's settings; added by queen tune-pg. They win over the lines above.\n"
    f"include_if_exists = '{OUR_FOLDER}/{OUR_FILE}'\n"
)
"""Goes to the end of a postgresql.conf that reads no folder."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_.+-]+")
_ASSIGNMENT: Final = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(?:=|\s)\s*\S")
_DIRECTIVE: Final = re.compile(r"\s*(include|include_if_exists|include_dir)\s*=?\s*'?([^'#]*?)'?\s*(?:#.*)?")


class Setting(NamedTuple):
    """One line to write. `reason` becomes its comment."""

    name: str
    value: str
    reason: str


class Include(NamedTuple):
    """One directive that reads more files."""

    kind: str
    target: str


def written(setting: Setting) -> str:
    """The line of one setting: quoted where it must be, with its reason."""
    value = setting.value if _PLAIN.fullmatch(setting.value) else "'" + setting.value.replace("'", "''") + "'"
    line = f"{setting.name} = {value}"
    return f"{line:<38} # {setting.reason}" if setting.reason else line


def merged(text: str | None, settings: Sequence[Setting]) -> str:
    """The text with these values in it. None is a file that is not there yet."""
    lines = (text if text is not None else HEADER).splitlines()
    wanted = {setting.name: setting for setting in settings}
    last = {name: number for number, line in enumerate(lines) if (name := assigned(line)) in wanted}
    for name, number in last.items():
        lines[number] = written(wanted[name])
    # A setting that stands twice is decided by its last line; the others would only mislead.
    kept = [line for number, line in enumerate(lines) if last.get(assigned(line), number) == number]
    rest = [setting for setting in settings if setting.name not in last]
    if rest and kept and kept[-1].strip():
        kept.append("")
    return "\n".join([*kept, *map(written, rest)]) + "\n"


def assigned(line: str) -> str:
    """The name of the setting that a line sets; empty for comments and directives."""
    match = _ASSIGNMENT.match(line)
    name = match[1].lower() if match else ""
    return "" if name.startswith("include") else name


def includes(text: str) -> Iterable[Include]:
    """The directives of a file, in order."""
    for line in text.splitlines():
        match = _DIRECTIVE.fullmatch(line)
        if match and match[2]:
            yield Include(match[1], match[2])
