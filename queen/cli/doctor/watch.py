"""`--watch`: a run again and again until Ctrl-C. A terminal is redrawn; elsewhere each report follows the last."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from typing import NoReturn

from queen.cli import console
from queen.cli.doctor.aim import Aim
from queen.cli.doctor.once import examine, show
from queen.cli.doctor.options import Wish
from queen.errors import AccessDenied, StoreUnavailable


def watch(wish: Wish, aim: Aim, every_s: float) -> NoReturn:
    """Runs until it is interrupted. A database that is away is told and asked again; other errors end it."""
    while True:
        began = time.monotonic()
        try:
            report = examine(wish, aim)
            if sys.stdout.isatty() and not wish.as_json:
                sys.stdout.write("\x1b[H\x1b[2J")
            if not wish.as_json:
                console.put(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S}, every {every_s:g} s, Ctrl-C ends it")
            show(wish, report, compact=True)
            sys.stdout.flush()
        except (StoreUnavailable, AccessDenied) as error:
            console.report(error)
        time.sleep(max(0.0, every_s - (time.monotonic() - began)))
