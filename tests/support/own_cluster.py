"""A PostgreSQL of the tests' own that may be ill: any setting, also those that Queen's private one holds fast.

It is a copy of a prepared data folder, without Queen's command line. It can be started again with other settings.
Knows no fixture; tests/support/fix_own_cluster.py hands it out and ends it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg

from queen.embedded.account import Account, choose_account
from queen.store.connect import ping
from tests.support.server import PATIENCE_S, wait_until

# How a copy of a running server begins, and what ends it and tells where its log has to be read from.
_BACKUP = ("select pg_backup_start('copy', true)", "select labelfile from pg_backup_stop(false)")
_BACKUP_14 = ("select pg_start_backup('copy', true, false)", "select labelfile from pg_stop_backup(false, false)")


class OwnCluster:
    """One cluster in a folder; stopped at first. Socket only, in the same folder."""

    def __init__(self, folder: Path, bin_dir: Path, template: Path | None, **settings: str) -> None:
        self.bin_dir = bin_dir
        self.folder = folder
        self.data = folder / "data"
        self.account: Account = choose_account(None, None)
        self._process: subprocess.Popen[bytes] | None = None
        self._own(folder)
        if template is not None:
            home = next(iter((template / "pg").iterdir()))
            subprocess.run(["cp", "-a", str(home / "data"), str(self.data)], check=True)
            self._configure(settings)

    @property
    def dsn(self) -> str:
        """Its database as a URL; the role is a superuser."""
        return f"postgresql:///queen?host={self.folder}&user=queen"

    @property
    def pid(self) -> int:
        """The process that starts its sessions."""
        assert self._process is not None, "it is stopped"
        return self._process.pid

    def start(self, **environment: str) -> None:
        """Start it and wait until it answers. `environment`: variables for this run beside those that we have."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self.bin_dir / "postgres", "-D", self.data, "-k", self.folder, "-c", "listen_addresses="],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                umask=0o077,
                env={**os.environ, **environment},
                **self.as_account(),
            )
        wait_until(self._answers, f"PostgreSQL to answer; see {self.folder / 'log'}")

    def stop(self, mode: str = "fast") -> None:
        """Stop it; harmless when it is stopped. `immediate` where its data is thrown away."""
        if self._process is not None:
            self.run("pg_ctl", "stop", "-D", str(self.data), "-m", mode, check=False)
            self._process.wait(PATIENCE_S)
            self._process = None

    def restart(self, **environment: str) -> None:
        """Stop it and start it: what was pending comes into force."""
        self.stop()
        self.start(**environment)

    def standby(self, folder: Path, slot: str) -> OwnCluster:
        """A standby of it that follows it through a new slot, under the slot's name; not started.

        A copy of the running server's folder, by the functions that there are for it: pg_basebackup does not come with
        every version that the tests use.
        """
        copy = OwnCluster(folder, self.bin_dir, None)
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            begin, end = _BACKUP if connection.info.server_version >= 150000 else _BACKUP_14
            connection.execute("select pg_create_physical_replication_slot(%s, true)", [slot])
            connection.execute(begin)
            # A file that goes away meanwhile is made again from the log.
            subprocess.run(["cp", "-a", str(self.data), str(copy.data)], check=False, stderr=subprocess.DEVNULL)
            label = connection.execute(end).fetchone()
        assert label is not None
        copy.write("backup_label", label[0])
        (copy.data / "postmaster.pid").unlink()
        for slot_folder in (copy.data / "pg_replslot").iterdir():
            shutil.rmtree(slot_folder)
        copy.write("standby.signal", "")
        source = f"host={self.folder} user=queen application_name={slot}"
        copy.add("queen.conf", f"primary_conninfo = '{source}'\nprimary_slot_name = '{slot}'\n")
        return copy

    def write(self, name: str, text: str) -> None:
        """A file of its data folder, readable by it."""
        path = self.data / name
        path.write_text(text, "utf-8")
        if self.account.switch:
            shutil.chown(path, self.account.uid, self.account.gid)

    def add(self, name: str, text: str) -> None:
        """More lines for a file of its data folder."""
        with (self.data / name).open("a", encoding="utf-8") as file:
            file.write(text)

    def run(self, program: str, *arguments: str, check: bool = True) -> None:
        """Run one of PostgreSQL's programs as the cluster's user."""
        done = subprocess.run(
            [self.bin_dir / program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE_S,
            check=False,
            **self.as_account(),
        )
        assert not check or done.returncode == 0, done.stderr.decode()

    def execute(self, *statements: str) -> None:
        """Statements, a transaction each."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def value(self, statement: str, *values: Any) -> Any:
        """The only value of a statement."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            row = connection.execute(statement.encode(), values or None).fetchone()
        return row[0] if row else None

    def wait_for(self, statement: str, *values: Any) -> None:
        """Wait until a statement says true."""
        wait_until(lambda: self.value(statement, *values), statement)

    def reload(self, name: str, value: str) -> None:
        """Read the files again, and wait until a value is in force."""
        self.execute("select pg_reload_conf()")
        self.wait_for("select current_setting(%s) = %s", name, value)

    def as_account(self) -> dict[str, Any]:
        """What subprocess needs to run a program as the cluster's user."""
        user = {"user": self.account.uid, "group": self.account.gid, "extra_groups": []}
        return {"cwd": "/", **(user if self.account.switch else {})}

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text("utf-8", "replace")[-2000:]
        return ping(self.dsn, 5) is None

    def _own(self, folder: Path) -> None:
        folder.mkdir(mode=0o755, exist_ok=True)
        folder.chmod(0o755)
        if self.account.switch:
            shutil.chown(folder, self.account.uid, self.account.gid)

    def _configure(self, settings: Mapping[str, str]) -> None:
        lines = [f"{name} = '{value}'\n" for name, value in {"logging_collector": "off", **settings}.items()]
        self.add("queen.conf", "".join(lines))
        os.chmod(self.data, 0o700)
