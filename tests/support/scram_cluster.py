"""A PostgreSQL that asks for a password over TCP: somebody's own database, as `--database-url` names one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import psycopg

from queen.embedded.account import choose_account
from queen.store.connect import ping
from tests.support.ports import free_port
from tests.support.server import PATIENCE_S, wait_until

PASSWORD = "right horse"


class ScramCluster:
    """One cluster on a port of its own; stopped at first."""

    def __init__(self, folder: Path, bin_dir: Path) -> None:
        self._bin_dir = bin_dir
        self._folder = folder / "scram"
        self._account = choose_account(None, None)
        self._process: subprocess.Popen[bytes] | None = None
        self._folder.mkdir()
        self._folder.chmod(0o700)
        password = self._folder / "password"
        password.write_text(PASSWORD, "utf-8")
        if self._account.switch:
            shutil.chown(self._folder, self._account.uid, self._account.gid)
            shutil.chown(password, self._account.uid, self._account.gid)
        self._run("initdb", "-D", str(self._data), "-U", "owner", "-A", "scram-sha-256", "--no-sync", "-E", "UTF8",
                  "--locale=C", f"--pwfile={password}")  # fmt: skip
        self.port = free_port()

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def url(self, password: str = PASSWORD, database: str = "postgres") -> str:
        """The database as a URL."""
        return f"postgresql://owner:{password.replace(' ', '%20')}@127.0.0.1:{self.port}/{database}"

    def start(self, **settings: str | int) -> None:
        """Start it and wait until it answers. `settings` are the server's, for this run."""
        fixed = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", **settings}
        options = [word for name, value in fixed.items() for word in ("-c", f"{name}={value}")]
        self._process = subprocess.Popen(
            [self._bin_dir / "postgres", "-D", self._data, "-p", str(self.port), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self._as_account(),
        )
        wait_until(lambda: ping(self.url(), 5) is None, "PostgreSQL to answer")

    def allow(self, address: str) -> None:
        """Let clients in that come from this address, from the next start on."""
        with (self._data / "pg_hba.conf").open("a", encoding="utf-8") as file:
            file.write(f"host all all {address} scram-sha-256\n")

    def stop(self) -> None:
        """Stop it; harmless when it is stopped."""
        if self._process is not None:
            self._run("pg_ctl", "stop", "-D", str(self._data), "-m", "immediate", check=False)
            self._process.wait(PATIENCE_S)
            self._process = None

    def execute(self, text: str) -> None:
        """Run a statement."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(text.encode())

    def _run(self, program: str, *arguments: str, check: bool = True) -> None:
        done = subprocess.run(
            [self._bin_dir / program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE_S,
            check=False,
            **self._as_account(),
        )
        assert not check or done.returncode == 0, done.stderr.decode()

    def _as_account(self) -> dict[str, Any]:
        account = {"user": self._account.uid, "group": self._account.gid, "extra_groups": []}
        return {"cwd": "/", **(account if self._account.switch else {})}
