"""The program of a watcher: `python -m queen.tune.flow.watcher JOURNAL`, with the DSN on its standard input."""

from __future__ import annotations

import sys
from pathlib import Path

from queen.errors import QueenError
from queen.tune.flow.confirm import watch
from queen.tune.flow.journal import Journal


def main() -> int:
    """Watches one journal to its end. 1 when it could not be put back; the log beside the journal says why."""
    dsn = sys.stdin.read()
    try:
        journal = watch(Journal.load(Path(sys.argv[1])), dsn)
    except QueenError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    sys.stderr.write(f"{journal.state}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
