"""Decides what a private PostgreSQL consists of: which programs, which user, which folder. Makes the folder only.

The major version is part of the data's path. Existing data decides: it is served by programs of its own version, or
not at all, for no PostgreSQL reads another's data.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from queen.embedded.account import Account, choose_account, first_unreachable
from queen.embedded.find import WHEEL, Binaries, find_all
from queen.embedded.folders import (
    Home,
    base_folder,
    existing_homes,
    home_of,
    make_home,
    owner_of,
    refuse_unreachable,
    told_plainly,
)
from queen.errors import EmbeddedError
from queen.settings import EmbeddedSettings


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is decided before a server is joined or started."""

    binaries: Binaries
    account: Account
    home: Home
    wal_reserve_bytes: int = 0
    tuned: bool = True
    """Whether the first configuration is made for this machine, or is the baseline."""


def make_plan(settings: EmbeddedSettings) -> Plan:
    """Looks at the machine and the data that is there, and prepares the home. Raises EmbeddedError."""
    base = base_folder(settings.data_dir)
    binaries = choose_binaries(find_all(settings.bin_dir).found, existing_homes(base), base)
    home = home_of(base, binaries.major)
    account = choose_account(settings.user, owner_of(home))
    make_home(home, account)
    programs = reachable(binaries, base, account)
    return Plan(programs, account, home, settings.wal_reserve_bytes, tuned=settings.tune == "auto")


def choose_binaries(found: list[Binaries], homes: list[Home], base: Path) -> Binaries:
    """The first set whose data exists; where there is no data yet, the first of all."""
    if not homes:
        return found[0]
    majors = [home.major for home in homes]
    for binaries in found:
        if binaries.major in majors:
            return binaries
    raise EmbeddedError(
        f"the data in {homes[0].path} was made by PostgreSQL {majors[0]}; found here: "
        f"{', '.join(sorted({str(binaries.major) for binaries in found}))}",
        hint=f"install PostgreSQL {majors[0]} again, or move the data with pg_upgrade or pg_dump, "
        f"or start empty with another --data-dir than {base}",
    )


def reachable(binaries: Binaries, base: Path, account: Account) -> Binaries:
    """The same programs where the account can run them. Those of a wheel inside root's own folders are copied once."""
    if first_unreachable(binaries.bin_dir, account) is None:
        return binaries
    if binaries.source != "wheel":
        refuse_unreachable(binaries.bin_dir, account)
    with told_plainly(base):
        return replace(binaries, bin_dir=_copy_of_wheel(binaries, base))


def _copy_of_wheel(binaries: Binaries, base: Path) -> Path:
    """Copies two folders of the wheel: the programs find their libraries by the place beside them."""
    tree = binaries.bin_dir.parent
    package = tree.parent
    target = base / "binaries" / f"{WHEEL}-{binaries.version}"
    bin_dir = target / package.name / tree.name / "bin"
    if not bin_dir.is_dir():
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(tree, draft / package.name / tree.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        _let_all_read(draft)
        _put_in_place(draft, target)
    return bin_dir


def _let_all_read(tree: Path) -> None:
    """Opens our own copy, whatever the umask of the installation was."""
    for folder, _, files in os.walk(tree):
        os.chmod(folder, 0o755)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    tree.parent.chmod(0o755)


def _put_in_place(draft: Path, target: Path) -> None:
    try:
        draft.rename(target)
    except OSError:
        # Another process was quicker; its copy is as good.
        shutil.rmtree(draft, ignore_errors=True)
        if not target.is_dir():
            raise
