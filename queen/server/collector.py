"""The cyclic garbage collector of a process that serves.

Push, pop and ack make no cycles that hold payloads (`tests/server/test_garbage.py`): what they need is gone as soon as
nobody refers to it. The collector is left for the rare rest, an exception's traceback or an administrator's route.

Knows nothing of the engine or of requests.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from typing import Final

THRESHOLDS: Final = (50_000, 10, 10)
"""Python's own first number is 700, which is less than one pop of a thousand messages makes: then the collector runs
with every request, looks at what is in use, finds nothing, and moves it on to where the slow full collections look."""


@contextlib.contextmanager
def seldom_run() -> Iterator[None]:
    """Collect less often inside the block, and never look at what the start has made. For one block at a time."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
