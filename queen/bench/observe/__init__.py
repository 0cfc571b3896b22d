"""What the other side did during a run: servers, PostgreSQL and processor time, once a second, on the run's clock.

`observer` takes the samples, `columns` keeps them, `metrics` reads what a server says of itself. None of it makes load
or judges.
"""

from __future__ import annotations

from queen.bench.observe.observer import Observer

__all__ = ["Observer"]
