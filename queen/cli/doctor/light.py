"""The doctor's process makes itself small: beside the database that it looks at, it must not be a load.

It runs before anything else is loaded, and imports next to nothing.
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from typing import Final, NoReturn

NICE: Final = 5
"""With 19 a run would take minutes where others never pause; with 10 it gets a tenth of what one of them gets."""

_GARBAGE_AFTER: Final = 500_000
"""Objects between two searches for garbage. A run makes few that need one, and ends before the first; the loading of
code would set off dozens, which take a tenth of its time. `--watch` comes to one now and then."""


def step_back() -> None:
    """Let others of this machine go first."""
    gc.set_threshold(_GARBAGE_AFTER)
    with suppress(AttributeError, OSError):  # not on every system, and never worth an error
        os.setpriority(os.PRIO_PROCESS, 0, max(NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    with suppress(AttributeError, OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    with suppress(AttributeError, OSError):
        if os.getsid(0) == os.getpid():
            _step_back_as_group()


def _step_back_as_group() -> None:
    """Linux weighs sessions against each other, and priorities within one only. This process leads its session, as one
    that a timer or a monitor has started: so the session steps back as a whole."""
    with open("/proc/self/autogroup", "w") as file:
        file.write(str(NICE))


def leave(code: int) -> NoReturn:
    """End the process without taking apart what was loaded, which takes as long as a tenth of a run."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
