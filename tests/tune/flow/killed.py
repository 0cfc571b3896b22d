"""A program for tests: applies the plan of the tests and kills itself at one point: `killed.py DSN SHELF POINT WAY`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from queen.store.operate import Operator
from queen.tune.flow import act
from queen.tune.flow.apply import apply
from queen.tune.flow.journal import Shelf
from tests.tune.flow.support import PLAN, SCHEMA, wish_list

POINTS = ("write_files", "half_a_file", "reload", "reload_done", "set_objects", "set_objects_done")
"""Before each of these steps, or after it; a file may be written and not yet have its name."""


def main() -> None:
    """Apply, and die on the way."""
    dsn, shelf, point, way = sys.argv[1:]
    if point == "half_a_file":
        Path.replace = _die_for_the_server(Path.replace)  # type: ignore[method-assign]
    elif point.endswith("_done"):
        name = point.removesuffix("_done")
        setattr(act, name, _then_die(getattr(act, name)))
    else:
        setattr(act, point, _die)
    with Operator(dsn, application="queen-tune-pg") as operator:
        host = operator.connection.info.host
        apply(operator, host, Shelf(Path(shelf)), PLAN, wish_list(PLAN), schema=SCHEMA, way=way)


def _die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _then_die(work: Callable[..., Any]) -> Callable[..., Any]:
    def run(*arguments: Any) -> None:
        work(*arguments)
        _die()

    return run


def _die_for_the_server(replace: Callable[..., Any]) -> Callable[..., Any]:
    """The journal's own files go through; the server's does not."""

    def run(self: Path, target: Path) -> Any:
        return _die() if self.name == ".queen.conf.tune-pg" else replace(self, target)

    return run


if __name__ == "__main__":
    main()
