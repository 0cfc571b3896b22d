"""The private PostgreSQL of a run: opened in the bench's own process, so that killing servers does not touch it.

When the bench dies, however it dies, the kernel ends this PostgreSQL (queen.embedded.launch). Knows no server.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from queen.bench.knobs import DEFAULTS
from queen.embedded import processes
from queen.embedded.cluster import Cluster
from queen.embedded.conf import BASELINE_NAME
from queen.embedded.state import read_note
from queen.errors import EmbeddedError
from queen.settings import EmbeddedSettings

_HEAD = "# Settings of a workload; all others are those that PostgreSQL comes with."
Mode = Literal["fast", "immediate"]
_SIGNALS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}
_STOP_TIMEOUT_S = 60.0
_POLL_S = 0.02


class Database:
    """A running private PostgreSQL. Made by `open`."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    @classmethod
    async def open(cls, folder: Path) -> Database:
        """An empty one in this folder. Raises EmbeddedError."""
        settings = EmbeddedSettings(data_dir=str(folder))
        opening = asyncio.ensure_future(asyncio.to_thread(Cluster.open, settings, holder="bench"))
        try:
            return cls(await asyncio.shield(opening))
        except asyncio.CancelledError:
            # The thread goes on; what it opens must be closed before the folder goes.
            (await opening).close()
            raise

    @property
    def dsn(self) -> str:
        """As a URL, which is what `queen serve` takes."""
        return self._cluster.url

    @property
    def schema(self) -> str:
        return "queen"

    @property
    def data_dir(self) -> Path:
        return self._cluster.data_dir

    @property
    def pid(self) -> int | None:
        """The postmaster, None while there is none."""
        note = read_note(self._cluster.home)
        return note.postmaster_pid if note is not None else None

    async def configure(self, settings: Sequence[str]) -> None:
        """Give it these settings in place of Queen's own and start it anew. Raises EmbeddedError, with the last lines
        of its log where they name a setting that it does not take."""
        await asyncio.to_thread(_write, self.data_dir / BASELINE_NAME, settings)
        await self.restart()

    async def restart(self, mode: Mode = "fast") -> None:
        """Stop it in this way and start it again at the same address. Raises EmbeddedError."""
        await asyncio.to_thread(self._restart, mode)

    def close(self) -> None:
        """Stop it. Blocks; harmless when repeated."""
        self._cluster.close()

    def _restart(self, mode: Mode) -> None:
        began, pid = time.monotonic(), self.pid
        if pid is not None:
            mark = processes.identity(pid)
            if mark:
                os.kill(pid, _SIGNALS[mode])
            while mark and processes.identity(pid) == mark:
                if time.monotonic() - began > _STOP_TIMEOUT_S:
                    raise EmbeddedError(f"PostgreSQL did not stop within {_STOP_TIMEOUT_S:.0f} s")
                time.sleep(_POLL_S)
        self._cluster.ensure()


def _write(file: Path, settings: Sequence[str]) -> None:
    """The file keeps its owner, as whom PostgreSQL reads it."""
    owner = file.stat()
    lines = [setting for setting in settings if setting != DEFAULTS]
    file.write_text("\n".join([_HEAD, *lines, ""]), "utf-8")
    os.chown(file, owner.st_uid, owner.st_gid)
