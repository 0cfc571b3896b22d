"""One run of a load command: client, signals and progress around the work, and the end of it as a value.

Knows neither messages nor options.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from queen.cli.traffic.progress import Progress
from queen.cli.traffic.stop import Stop, signals
from queen.client import Client, RetryPolicy
from queen.client.tasks import cancel
from queen.errors import InvalidRequest, QueenError, SettingsError

Work = Callable[[Client, Stop], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Link:
    """How to reach the server: its URL, connections at once, and for how long a request is repeated."""

    url: str
    connections: int
    patience_ms: int


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended. `reason` is None when the work was done; `exit_code` is that of a signal, else 0."""

    reason: str | None
    exit_code: int
    error: QueenError | None
    retries: int


def run_session(link: Link, work: Work, progress: Progress | None) -> Ended:
    """Run the work to its end, Ctrl-C included. Errors of ours are returned, so that the caller can sum up first."""
    return asyncio.run(_run(link, work, progress))


async def _run(link: Link, work: Work, progress: Progress | None) -> Ended:
    stop, error = Stop(), None
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(_client(link))
        if progress is not None:
            stack.push_async_callback(cancel, asyncio.create_task(progress.run()))
        stack.enter_context(signals(stop))
        try:
            await work(client, stop)
        except QueenError as caught:
            error = caught
        except asyncio.CancelledError:
            # The second signal; anything else that cancels this task is not ours to swallow.
            if not stop.exit_code:
                raise
    return _ended(stop, error, client.retries)


def _ended(stop: Stop, error: QueenError | None, retries: int) -> Ended:
    first = stop.error if isinstance(stop.error, QueenError) else error
    return Ended(stop.reason or ("error" if error else None), stop.exit_code, first, retries)


def _client(link: Link) -> Client:
    retry = RetryPolicy(patience_ms=link.patience_ms)
    try:
        return Client(link.url, connections_max=link.connections, retry=retry)
    except InvalidRequest as error:
        # Here the URL is an option or a variable, so this is wrong usage.
        raise SettingsError(error.message, hint=error.hint) from error
