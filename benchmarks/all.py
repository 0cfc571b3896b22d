"""Every timed command one after the other, as for published results; each writes its own file."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks.lib import shell
from benchmarks.lib.facts import REPOSITORY

# The mode for those who want rates: operations of up to 1,000 messages.
_FAST = ["--server-arg=--high-perf"]

COMMANDS: dict[str, list[str]] = {
    "hotpath": ["--seconds", "6", "--repeat", "2", *_FAST],
    "partitions": ["--seconds", "8", "--repeat", "4", *_FAST],
    "sustained": _FAST,
    "burst": _FAST,
    "idle": _FAST,
    "retained": ["--seconds", "8", "--repeat", "3", *_FAST],
    "generator": [],
    "lists": _FAST,
    "doctor": [],
    "doctor_story": [],
    "tuned": [],
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the commands and returns the first exit code that is not 0. Ctrl-C ends the one that runs, and all."""
    parser = argparse.ArgumentParser(prog="all", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"some of {', '.join(COMMANDS)} (all)")
    names = parser.parse_args(arguments).names or list(COMMANDS)
    unknown = [name for name in names if name not in COMMANDS]
    if unknown:
        parser.error(f"no command {unknown[0]!r}; there are {', '.join(COMMANDS)}")
    worst = 0
    for name in names:
        clock = time.monotonic()
        print(f"all: {name} {' '.join(COMMANDS[name])}".rstrip(), flush=True)
        code = _run([sys.executable, "-m", f"benchmarks.{name}", *COMMANDS[name]])
        print(f"all: {name} ended with code {code} after {time.monotonic() - clock:.0f} s\n", flush=True)
        worst = worst or code
        if code in (130, 143):
            break
    return worst


def _run(command: list[str]) -> int:
    """On SIGTERM the command gets one too, and time to stop its server."""
    process = subprocess.Popen(command, cwd=REPOSITORY)
    try:
        return process.wait()
    except KeyboardInterrupt:
        return process.wait()  # it had the same Ctrl-C
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    shell.obey_terminate()
    sys.exit(main())
