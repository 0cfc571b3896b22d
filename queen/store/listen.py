"""The ear of a server: one direct connection that listens on a channel, kept alive.

What it hears it hands on as text. Where LISTEN cannot work, behind a transaction pooler, it says so once and gives up;
the caller then reads what was announced. It knows nothing of what the texts mean, and never stops anybody from serving.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable

import psycopg
from psycopg import AsyncConnection, sql

log = logging.getLogger(__name__)

_PAUSE_FIRST_S, _PAUSE_MAX_S = 0.2, 5.0
_CONNECT_S = 5
# A connection that died without a word is found by a question after this much silence.
_SILENCE_MAX_S = 30.0
_ANSWER_S = 10.0

Connection = AsyncConnection[tuple[object, ...]]


class Unsupported(Exception):
    """The connection goes through a pooler, which would swallow every notification."""


class Listener:
    """Listens until stopped. `up` is called after every LISTEN, `down` when a connection that listened is lost."""

    def __init__(
        self,
        dsn: str,
        channel: str,
        heard: Callable[[str], None],
        up: Callable[[], None],
        down: Callable[[], None],
    ) -> None:
        self._dsn = dsn
        self._channel = channel
        self._heard = heard
        self._up = up
        self._down = down
        self._listening = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="listener")

    async def stop(self) -> None:
        """End, whatever it is doing."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    async def _run(self) -> None:
        ceiling = _PAUSE_FIRST_S
        while True:
            try:
                await self._listen()
            except Unsupported:
                log.warning(
                    "notifications cannot be received through a transaction pooler; reading announcements instead"
                    " hint=set database.direct_url to a way around the pooler"
                )
                return
            except (psycopg.Error, OSError, TimeoutError) as error:
                if self._listening:
                    ceiling = _PAUSE_FIRST_S
                log.warning("listener lost its connection error=%s", str(error).strip().split("\n")[0])
            except Exception:
                log.exception("listener failed")
            finally:
                self._fall_silent()
            await asyncio.sleep(random.uniform(0, ceiling))
            ceiling = min(_PAUSE_MAX_S, ceiling * 2)

    async def _listen(self) -> None:
        connection = await AsyncConnection.connect(
            self._dsn,
            autocommit=True,
            prepare_threshold=None,
            connect_timeout=_CONNECT_S,
            application_name="queen-listen",
            keepalives_idle=20,
            keepalives_interval=5,
            keepalives_count=3,
        )
        try:
            if await is_pooled(connection):
                raise Unsupported
            await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
            self._listening = True
            self._up()
            while True:
                async for notification in connection.notifies(timeout=_SILENCE_MAX_S):
                    self._heard(notification.payload)
                async with asyncio.timeout(_ANSWER_S):
                    await connection.execute("select 1")
        finally:
            # Straight away: an orderly farewell could wait for a server that is gone.
            connection.pgconn.finish()

    def _fall_silent(self) -> None:
        if self._listening:
            self._listening = False
            with contextlib.suppress(Exception):
                self._down()


async def is_pooled(connection: Connection) -> bool:
    """Does another process serve this session than the one it was opened with?"""
    row = await (await connection.execute("select pg_backend_pid()")).fetchone()
    return row is None or row[0] != connection.info.backend_pid
