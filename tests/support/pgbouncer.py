"""A real PgBouncer in front of a PostgreSQL, as a process of its own: `pgbouncer.ini` as ours, on a free port."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict

from queen.embedded.account import choose_account
from tests.support.ports import free_port
from tests.support.server import PATIENCE_S, wait_until


class PgBouncer:
    """One bouncer before the database of `target`, whose password logs in at both. Not started at first.

    `settings` replace those of the file. It runs in `folder`, which must be one that other users can reach: as root
    it refuses to run, and runs as the user of the private PostgreSQL instead.
    """

    def __init__(self, folder: Path, program: str, target: str, **settings: Any) -> None:
        self._folder = folder / "bouncer"
        self._program = program
        self._parts = {name: str(value) for name, value in conninfo_to_dict(target).items() if value is not None}
        self._account = choose_account(None, None)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self._folder.mkdir()
        self._folder.chmod(0o700)
        self._file("userlist.txt").write_text(self._verifier(target), "utf-8")
        self._file("pgbouncer.ini").write_text(self._configuration(settings), "utf-8")
        for path in (self._folder, *self._folder.iterdir()):
            if path.is_file():
                path.chmod(0o600)
            if self._account.switch:
                shutil.chown(path, self._account.uid, self._account.gid)

    def url(self, database: str | None = None) -> str:
        """A database behind it as a URL; `pgbouncer` is its console."""
        user, password = self._parts["user"], quote(self._parts["password"], safe="")
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database or self._parts['dbname']}"

    def start(self) -> None:
        """Start it and wait until it lets clients through."""
        account: dict[str, Any] = {"user": self._account.uid, "group": self._account.gid, "extra_groups": []}
        self._process = subprocess.Popen(
            [self._program, str(self._file("pgbouncer.ini"))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            **(account if self._account.switch else {}),
        )
        wait_until(self._answers, "PgBouncer to answer")

    def stop(self) -> None:
        """End it; harmless when it is not running."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE_S)
            self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._file("pgbouncer.log").read_text("utf-8", "replace")
        try:
            with psycopg.connect(self.url(), connect_timeout=5, prepare_threshold=None) as client:
                client.execute("select 1")
        except psycopg.OperationalError:
            return False
        return True

    def _file(self, name: str) -> Path:
        return self._folder / name

    def _verifier(self, target: str) -> str:
        """The line that logs the role in: its verifier as PostgreSQL stores it, so that no password lies in a file."""
        with psycopg.connect(target, autocommit=True) as connection:
            row = connection.execute(
                'select format(\'"%s" "%s"\', rolname, rolpassword) from pg_authid where rolname = current_user'
            ).fetchone()
        assert row is not None
        return f"{row[0]}\n"

    def _configuration(self, changed: dict[str, Any]) -> str:
        parts, folder = self._parts, self._folder
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": folder / "userlist.txt",
            "pool_mode": "transaction",
            "max_client_conn": 200,
            "default_pool_size": 10,
            "admin_users": parts["user"],
            "ignore_startup_parameters": "extra_float_digits",
            "logfile": folder / "pgbouncer.log",
            "pidfile": folder / "pgbouncer.pid",
            **changed,
        }
        lines = [f"{name} = {value}" for name, value in settings.items()]
        target = f"host={parts['host']} port={parts['port']}"
        return "\n".join(["[databases]", f"* = {target}", "[pgbouncer]", *lines, ""])
