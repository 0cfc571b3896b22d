"""A burst: 50,000 messages a second for half a minute in pushes of 100, popped and acked when it is over."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.lib import shell
from benchmarks.lib.steady import Preset
from benchmarks.lib.steady import main as steady_main

PRESET = Preset(name="burst", about="Is a burst taken in?", rate=50_000, size=100, seconds=30.0, later=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return steady_main(PRESET, arguments)


if __name__ == "__main__":
    shell.obey_terminate()
    sys.exit(main())
