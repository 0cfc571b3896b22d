"""An event loop in a thread of its own, for callers that have none. Knows nothing of queues."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError as FutureCancelled
from concurrent.futures import Future
from typing import Any, TypeVar

from queen.client.tasks import cancel
from queen.errors import InvalidRequest

_Result = TypeVar("_Result")


class Portal:
    """Runs coroutines for ordinary threads. It begins with the first call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def run(self, work: Coroutine[Any, Any, _Result], on_interrupt: Callable[[], None] | None = None) -> _Result:
        """The result of a coroutine. An exception in the caller's thread, such as KeyboardInterrupt, cancels it; with
        `on_interrupt` the first one calls that, in the loop, and waits for the end before it goes on."""
        try:
            loop = self._open()
        except InvalidRequest:
            work.close()
            raise
        future = asyncio.run_coroutine_threadsafe(work, loop)
        try:
            return _wait(future)
        except BaseException:
            if future.done():
                raise
            if on_interrupt is None:
                future.cancel()
            else:
                loop.call_soon_threadsafe(on_interrupt)
                _end(future)
            raise

    def tell(self, work: Callable[[], object]) -> None:
        """Call something in the loop, soon, if there is one that runs."""
        with self._lock:
            if self._loop is not None and not self._closed:
                self._loop.call_soon_threadsafe(work)

    def close(self, last: Coroutine[Any, Any, None]) -> None:
        """Cancel what runs, run a last coroutine, end the thread. A second call does nothing."""
        with self._lock:
            closed, self._closed = self._closed, True
            loop, thread = self._loop, self._thread
        if closed or loop is None or thread is None:
            last.close()
            return
        asyncio.run_coroutine_threadsafe(_finish(last), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()

    def _open(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._closed:
                raise InvalidRequest("this client is closed")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                # A daemon: a client that was never closed must not keep the program from ending.
                self._thread = threading.Thread(target=_serve, args=(self._loop,), name="queen-client", daemon=True)
                self._thread.start()
            elif threading.current_thread() is self._thread:
                raise InvalidRequest("this call would wait for itself; use the async client in coroutines")
            return self._loop


def _wait(future: Future[_Result]) -> _Result:
    try:
        return future.result()
    except FutureCancelled:
        raise InvalidRequest("the client was closed during the call") from None


def _end(future: Future[Any]) -> None:
    """Wait for the end, whatever it is; an exception in this thread cancels it."""
    try:
        future.exception()
    except FutureCancelled:
        return
    except BaseException:
        future.cancel()
        raise


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()


async def _finish(last: Coroutine[Any, Any, None]) -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    await asyncio.gather(*map(cancel, others))
    await last
