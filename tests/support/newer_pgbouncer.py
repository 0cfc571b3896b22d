"""A PgBouncer that is newer than the system's: from a later release of Debian, beside the system and not installed.

apt fetches the packages from the place that it gets this system's from, with lists and a cache of its own. They are
unpacked into a cache outside the clone, and the program runs with the C library that came with it: nothing of the
system changes, and no script of a package runs. `python -m tests.support.newer_pgbouncer` gets it.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.support.versions import NotHere, cache_folder, locked, run

RELEASE = "trixie"
"""Debian 13: PgBouncer 1.24, which keeps prepared statements without being told."""

_PACKAGES = (
    "pgbouncer",
    "libaudit1",
    "libc6",
    "libcap-ng0",
    "libcap2",
    "libcares2",
    "libevent-2.1-7t64",
    "libpam0g",
    "libssl3t64",
    "libsystemd0",
)
_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_FETCH_S = 180


def program() -> Path:
    """The program; fetches it when needed. Raises NotHere."""
    cache = cache_folder().parent / "pgbouncer"
    found = cache / RELEASE / "pgbouncer"
    if not found.exists():
        cache.mkdir(mode=0o755, parents=True, exist_ok=True)
        with locked(cache):
            if not found.exists():
                _install(cache)
    return found


def _install(cache: Path) -> None:
    """The lock is held: makes it beside its place, and gives it its name when it is whole."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None or not _KEYS.exists():
        raise NotHere("a newer PgBouncer comes from Debian's packages, and this is no Debian")
    draft = cache / f".{RELEASE}.new"
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(mode=0o755)
        _fetch(draft)
        for package in sorted(draft.glob("*.deb")):
            run(["dpkg-deb", "--extract", str(package), str(draft / "files")], draft, _FETCH_S)
            package.unlink()
        _write_start(draft, cache / RELEASE)
        draft.rename(cache / RELEASE)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _fetch(folder: Path) -> None:
    apt = folder / "apt"
    for name in ("lists/partial", "cache/archives/partial"):
        (apt / name).mkdir(parents=True)
    (apt / "sources.list").write_text(f"deb [signed-by={_KEYS}] {_source(folder)} {RELEASE} main\n", "utf-8")
    own = {
        "Dir::Etc::SourceList": apt / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": apt / "lists",
        "Dir::Cache": apt / "cache",
        "Acquire::Languages": "none",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
        "APT::Sandbox::User": "",  # this folder is ours alone
    }
    command = ["apt-get", "-q", *(word for name, value in own.items() for word in ("-o", f"{name}={value}"))]
    run([*command, "update"], folder, _FETCH_S)
    run([*command, "download", *(f"{name}/{RELEASE}" for name in _PACKAGES)], folder, _FETCH_S)
    shutil.rmtree(apt)


def _source(folder: Path) -> str:
    """Where this system's own Debian packages come from."""
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian"]
    lines = run(asked, folder, _FETCH_S).split()
    if not lines:
        raise NotHere("apt knows no source of Debian's packages; `apt-get update` may help")
    return lines[0]


def _write_start(draft: Path, place: Path) -> None:
    """A command that runs the program with its own libraries, wherever the draft is going to lie."""
    loaders = sorted((draft / "files/usr").glob("lib*/ld-linux-*.so.*"))
    libraries = sorted((draft / "files/usr/lib").glob("*-linux-gnu"))
    if not loaders or not libraries:
        raise NotHere("the packages of a newer Debian lie otherwise than expected")
    loader, folder = (place / path[0].relative_to(draft) for path in (loaders, libraries))
    start = draft / "pgbouncer"
    start.write_text(
        f'#!/bin/sh\nexec {loader} --library-path {folder} {place}/files/usr/sbin/pgbouncer "$@"\n', "utf-8"
    )
    start.chmod(0o755)


def main() -> int:
    """Gets it, and says where it is. 1 when it cannot be had."""
    try:
        print(program())
    except NotHere as reason:
        print(reason, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
