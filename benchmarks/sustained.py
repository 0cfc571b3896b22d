"""A steady stream: 10,000 messages a second for a minute in pushes of 10, popped and acked meanwhile."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.lib import shell
from benchmarks.lib.steady import Preset
from benchmarks.lib.steady import main as steady_main

PRESET = Preset(name="sustained", about="Is a steady rate held?", rate=10_000, size=10, seconds=60.0, later=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return steady_main(PRESET, arguments)


if __name__ == "__main__":
    shell.obey_terminate()
    sys.exit(main())
