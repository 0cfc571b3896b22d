"""A private PostgreSQL shared by the processes of one machine: the face of this package.

The first process to open a data directory *owns* the server: it holds the lock, runs the server as its child and stops
it on `close`. Others *join*: they find the server by the owner's note and never stop it. States of a `Cluster`:

    open ──► owner    the lock is held, the server is our child
        └──► joined   somebody else's; when the owner is gone, `ensure` makes one of those who joined the next owner
    close ─► closed

What holds in every state: one lock, so one owner; one server, because PostgreSQL's own lock file guards its data; and
a server whose owner is gone stops by itself (postmaster.py). So a process may be killed at any moment: the next `open`
or `ensure` waits for what is still stopping, and starts anew.

Knows nothing of pools and schemas. Blocks: call `ensure` and `close` from a thread when an event loop runs.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from queen.embedded import conf, processes, server
from queen.embedded.folders import Home
from queen.embedded.plan import Plan, make_plan
from queen.embedded.postmaster import Postmaster
from queen.embedded.sockets import PORT, make_socket_folder, remove_socket_folder
from queen.embedded.state import Note, OwnerLock, read_note, remove_note, write_note
from queen.errors import EmbeddedError
from queen.settings import EmbeddedSettings
from queen.store.connect import create_database, ping

_POLL_S = 0.03
_PING_S = 5.0


class Cluster:
    """A running private PostgreSQL, owned or joined. Made by `open`; a context manager that closes itself."""

    def __init__(self, plan: Plan, holder: str, start_timeout_s: float) -> None:
        self._plan = plan
        self._holder = holder
        self._start_timeout_s = start_timeout_s
        self._lock = OwnerLock(plan.home, plan.account)
        self._server: Postmaster | None = None
        self._note: Note | None = None
        self._closed = False
        self._mutex = threading.RLock()

    @classmethod
    def open(cls, settings: EmbeddedSettings, *, holder: str = "serve") -> Cluster:
        """Starts or joins the cluster of the settings; it answers when this returns. Raises EmbeddedError.

        `holder` is the word by which others see who owns the server. Takes `start_timeout_ms` at most.
        """
        cluster = cls(make_plan(settings), holder, settings.start_timeout_ms / 1000)
        cluster._enter()
        return cluster

    @property
    def dsn(self) -> str:
        """The libpq connection string. It stays the same when the owner changes, as far as the machine allows."""
        return server.dsn(self.socket_dir)

    @property
    def url(self) -> str:
        """The same as a URL, for people and their tools."""
        return socket_url(self.socket_dir)

    @property
    def owned(self) -> bool:
        """Whether this process runs the server, and `close` will stop it."""
        return self._lock.held

    @property
    def owner_pid(self) -> int:
        """The process that runs the server."""
        return self._current.owner_pid

    @property
    def home(self) -> Home:
        """All the paths of this cluster."""
        return self._plan.home

    @property
    def data_dir(self) -> Path:
        return self._plan.home.data

    @property
    def bin_dir(self) -> Path:
        """The folder of the server's programs, psql among them."""
        return self._plan.binaries.bin_dir

    @property
    def socket_dir(self) -> Path:
        return Path(self._current.socket_dir)

    @property
    def version(self) -> str:
        return self._current.version

    @property
    def description(self) -> str:
        """Which PostgreSQL, such as "PostgreSQL 15.18, /usr/lib/postgresql/15/bin"."""
        return f"PostgreSQL {self._current.version}, {self._current.bin_dir}"

    @property
    def announcement(self) -> str:
        """The line for the start of a program: which PostgreSQL, where its data is, how to use one's own."""
        role = "private" if self.owned else f"private (of process {self.owner_pid})"
        return (
            f"{role} {self.description}, data in {self.data_dir}; "
            "to use your own: --database-url postgresql://USER:PASSWORD@HOST/DATABASE"
        )

    @property
    def alive(self) -> bool:
        """A cheap look: false when the server, or its owner, is certainly gone."""
        if self._server is not None:
            return self._server.alive
        return self._note is not None and self._note.owner_alive()

    def ensure(self) -> bool:
        """Makes sure that a server answers at `dsn`; call it when connections fail. True when one had to be started
        or found anew; `dsn` may then have changed. Raises EmbeddedError when that fails within `start_timeout_ms`,
        or after `close`. May be called again after a failure, and by several processes at once.
        """
        with self._mutex:
            if self._closed:
                raise EmbeddedError("the private PostgreSQL of this process was closed")
            if self._note is not None and ping(self.dsn, _PING_S) is None:
                return False
            if self._lock.held:
                self._revive(self._deadline())
            else:
                self._enter()
            return True

    def close(self) -> None:
        """Stops the server if this process owns it, and tidies up. Harmless when repeated."""
        with self._mutex:
            self._closed = True
            if self._lock.held:
                self._give_up()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _current(self) -> Note:
        if self._note is None:
            raise EmbeddedError("the private PostgreSQL is not running")
        return self._note

    def _deadline(self) -> float:
        return time.monotonic() + self._start_timeout_s

    def _enter(self) -> None:
        """Becomes the owner if nobody is, else joins; waits for another owner that is still starting."""
        deadline = self._deadline()
        while True:
            if self._lock.acquire():
                return self._own(deadline)
            if self._join():
                return None
            if time.monotonic() > deadline:
                raise self._nobody_answers()
            time.sleep(_POLL_S)

    def _join(self) -> bool:
        note = read_note(self._plan.home)
        if note is None or not note.ready or ping(server.dsn(Path(note.socket_dir)), _PING_S) is not None:
            return False
        self._note = note
        return True

    def _nobody_answers(self) -> EmbeddedError:
        note = read_note(self._plan.home)
        owner = f"process {note.owner_pid}" if note else "another process"
        return EmbeddedError(
            f"{owner} runs the PostgreSQL in {self.data_dir}, but it does not answer",
            hint="stop that process and start again, or choose another folder with --data-dir",
        )

    def _own(self, deadline: float) -> None:
        try:
            self._start(deadline)
        except BaseException:
            self._give_up()
            raise

    def _start(self, deadline: float) -> None:
        """The owner's way to a ready server. The note is written first, so that what a crash leaves can be found."""
        plan = self._plan
        server.prepare(plan, deadline)
        left = read_note(plan.home) or self._note
        socket_dir = make_socket_folder(plan.home, plan.account, Path(left.socket_dir) if left else None)
        if left is not None and left.socket_dir != str(socket_dir):
            remove_socket_folder(Path(left.socket_dir), plan.account)
        self._note = self._new_note(socket_dir)
        write_note(plan.home, self._note, plan.account)
        self._server = server.start_server(plan, socket_dir, deadline)
        create_database(server.dsn(socket_dir, "postgres"), conf.DATABASE)
        started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._note = replace(self._note, postmaster_pid=self._server.pid, ready=True, started_at=started_at)
        write_note(plan.home, self._note, plan.account)

    def _new_note(self, socket_dir: Path) -> Note:
        pid, binaries = os.getpid(), self._plan.binaries
        return Note(
            owner_pid=pid,
            owner_identity=processes.identity(pid),
            holder=self._holder,
            socket_dir=str(socket_dir),
            version=binaries.version,
            bin_dir=str(binaries.bin_dir),
        )

    def _revive(self, deadline: float) -> None:
        """The owner's server does not answer: waits if it is recovering, starts it again if it is gone."""
        if self._server is None or not server.wait_ready(self._server, self.socket_dir, deadline):
            self._own(deadline)

    def _give_up(self) -> None:
        """Back to owning nothing. The lock goes last: whoever gets it finds no server and no note."""
        stopped = self._server is None or self._server.stop()
        self._server = None
        if stopped:
            remove_note(self._plan.home)
            if self._note is not None:
                remove_socket_folder(Path(self._note.socket_dir), self._plan.account)
        self._lock.release()


def socket_url(socket_dir: Path) -> str:
    """The URL, for libpq's tools, of a server that listens in this folder."""
    return f"postgresql://{conf.ROLE}@/{conf.DATABASE}?host={quote(str(socket_dir), safe='')}&port={PORT}"
