"""The public Python client from PyPI, unchanged, in an environment of its own: its module is also called `queen`.

The environment is made once a session, with the newest version; older ones are put beside it when a test asks. Where
the package index cannot be reached, tests that need it are skipped with that reason; in CI that is a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

VERSION = "2.6.0"
_TIMEOUT_S = 300


@dataclass(frozen=True)
class PublicClient:
    """Runs scripts with the client installed. `beside`: the folder of an older version, which goes before."""

    python: Path
    version: str = VERSION
    beside: Path | None = None

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a script to its end. The client writes its log to both outputs."""
        return self._run(["-P", "-c", script, *arguments], QUEEN_CLIENT_LOG="true")

    def run_file(
        self, path: Path, *arguments: str, text: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a script of a file, which may import those beside it, to its end. `text`: its standard input."""
        return self._run([str(path), *arguments], text, **variables)

    def start_file(self, path: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start a script of a file; both its outputs come through `stdout`."""
        return subprocess.Popen(
            [self.python, "-s", "-u", str(path), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self._environment(**variables),
        )

    def metadata(self) -> str:
        """The METADATA of the installed package: headers, then the README."""
        place = self.beside or next(self.python.parents[1].glob("lib/python*/site-packages"))
        return next(place.glob("queen_mq-*.dist-info/METADATA")).read_text(encoding="utf-8")

    def _run(self, arguments: list[str], text: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.python, "-s", *arguments],
            input=text,
            capture_output=True,
            text=True,
            env=self._environment(**variables),
            timeout=_TIMEOUT_S,
            check=False,
        )

    def _environment(self, **variables: str) -> dict[str, str]:
        beside = {"PYTHONPATH": str(self.beside)} if self.beside else {}
        return {"PATH": os.environ["PATH"], "CLIENT_VERSION": self.version, **beside, **variables}


class _Installer:
    """Makes the environment, and puts versions into it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, PublicClient] = {}

    def __call__(self, version: str) -> PublicClient:
        if version not in self._made:
            self._made[version] = self._newest() if version == VERSION else self._older(version)
        return self._made[version]

    def _newest(self) -> PublicClient:
        python = self._folder / "bin" / "python"
        _try([sys.executable, "-m", "venv", str(self._folder)])
        # With what its options `push_compression` and `framed_pop` need.
        _try([str(python), "-m", "pip", "install", "--quiet", f"queen-mq[zstd]=={VERSION}"])
        return PublicClient(python)

    def _older(self, version: str) -> PublicClient:
        """All versions need the same library, so an older one is unpacked alone and goes before the newest."""
        python, beside = self(VERSION).python, self._folder / version
        command = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(beside)]
        _try([*command, f"queen-mq=={version}"])
        return PublicClient(python, version, beside)


def _try(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if done.returncode == 0:
        return
    reason = f"{command[-1]} cannot be installed: {done.stderr[-500:]}"
    if "CI" in os.environ:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def public_clients() -> Iterator[Callable[[str], PublicClient]]:
    """Gives the client of a version, which is installed on first use."""
    folder = Path(tempfile.mkdtemp(prefix="queen-client-"))
    try:
        yield _Installer(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def public_client(public_clients: Callable[[str], PublicClient]) -> PublicClient:
    """The newest client, installed."""
    return public_clients(VERSION)
