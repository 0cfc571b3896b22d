"""Long-running programs of the public client, watched by what they print."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.conformance.suite import HERE
from tests.support.fix_public_client import PublicClient

PATIENCE_S = 120.0


def wait_until(condition: Callable[[], object], what: Callable[[], str]) -> None:
    """Wait for something that programs and servers bring about; `what` tells afterwards what did not come."""
    ends_at = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < ends_at, f"waited in vain for {what()}"
        time.sleep(0.02)


class Program:
    """One running script; its lines are read by a thread."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def numbers(self, word: str) -> list[int]:
        """The numbers it said after this word, in their order."""
        return [int(line.split()[1]) for line in list(self.lines) if re.fullmatch(rf"{word} \d+", line)]

    def wait_for(self, word: str, count: int) -> None:
        """Until it said this word with so many numbers. It must not end before."""

        def enough() -> bool:
            if len(self.numbers(word)) >= count:
                return True
            assert self.process.poll() is None, f"it ended: {self.text()}"
            return False

        wait_until(enough, lambda: f"{count} × {word}; it said: {self.text()}")

    def wait_for_more(self, word: str, count: int) -> None:
        """Until it said this word so many times more."""
        self.wait_for(word, len(self.numbers(word)) + count)

    def wait_for_line(self, line: str) -> None:
        """Until it said this."""
        wait_until(lambda: line in self.lines or self.process.poll() is not None, lambda: line)
        assert line in self.lines, self.text()

    def ended(self) -> int:
        """Wait for its end; the exit code."""
        code = self.process.wait(60)
        self._reader.join()
        return code

    def text(self) -> str:
        """The end of what it said."""
        return "\n".join(self.lines[-40:])

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))


@contextmanager
def running(client: PublicClient, name: str, *arguments: str) -> Iterator[Program]:
    """A program that has started; it is killed at the end if it still runs."""
    with started(client.start_file(HERE / "scripts" / f"program_{name}.py", *arguments)) as program:
        program.wait_for_line("STARTED")
        yield program


@contextmanager
def started(process: subprocess.Popen[str]) -> Iterator[Program]:
    """Watch a process until the end of the block, and kill it then if it still runs."""
    program = Program(process)
    try:
        yield program
    finally:
        if process.poll() is None:
            process.kill()
        program.ended()
