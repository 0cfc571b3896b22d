"""How a run goes, on standard error: the stage, and a countdown while the window passes. One redrawn line, and on a
terminal only."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import IO, Final, Self

_REDRAW_S: Final = 0.5
_CLEAR: Final = "\r\x1b[K"


class Progress:
    """A context manager whose `stage` is called as each stage begins. `shown` is False where nobody watches."""

    def __init__(self, *, shown: bool, stream: IO[str] | None = None) -> None:
        self._stream = stream or sys.stderr
        self._shown = shown
        self._name = ""
        self._ends_at: float | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if self._shown:
            self._thread = threading.Thread(target=self._redraw, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._write(_CLEAR)

    def stage(self, name: str, seconds: float) -> None:
        """A stage begins; it waits so many seconds, 0 when it only works."""
        self._name = name
        self._ends_at = time.monotonic() + seconds if seconds else None
        if self._shown:
            self._draw()

    def _redraw(self) -> None:
        while not self._stop.wait(_REDRAW_S):
            self._draw()

    def _draw(self) -> None:
        ends_at = self._ends_at
        left = "" if ends_at is None else f", {max(0.0, ends_at - time.monotonic()):.0f} s left"
        self._write(f"{_CLEAR}queen doctor: {self._name}{left}")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            pass  # nobody listens: no reason to end
