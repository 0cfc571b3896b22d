"""Which waits the active sessions are in, sampled about a hundred times over the window of a run."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from queen.doctor.window import period
from queen.store.inspect import Inspector

# What does the queue's work: client sessions of this database that are active now, ours and the bench's aside. And the
# workers of autovacuum, in whichever database: they share one cost limit. This is what lies below pg_stat_activity: the
# view joins the names of databases and roles, which takes PostgreSQL longer than all the rest, and it is asked often.
_ACTIVE = """
SELECT CASE backend_type WHEN 'autovacuum worker' THEN 'vacuum' ELSE 'client' END AS kind,
       coalesce(wait_event_type || ':' || wait_event, 'CPU') AS wait, count(*) AS sessions
  FROM pg_stat_get_activity(NULL)
 WHERE backend_type = 'autovacuum worker'
    OR state = 'active' AND backend_type = 'client backend'
       AND datid = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND pid <> pg_backend_pid() AND application_name NOT IN ('queen-doctor', 'queen-bench')
 GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Waits:
    """`samples` looks found `active` sessions in all, so many in each wait (`CPU`: in none). `vacuum` is the same for
    the workers of autovacuum, which are not among the others."""

    samples: int = 0
    active: int = 0
    by_wait: dict[str, int] = field(default_factory=dict)
    vacuum: dict[str, int] = field(default_factory=dict)

    def share(self, *waits: str) -> float:
        """The share of active samples in these waits, 0 to 1; a name without event, such as "Lock", takes all of its
        type."""
        if not self.active:
            return 0.0
        count = sum(number for wait, number in self.by_wait.items() if wait in waits or wait.partition(":")[0] in waits)
        return count / self.active

    @property
    def busy(self) -> float:
        """Active sessions on average."""
        return self.active / self.samples if self.samples else 0.0


def sample(inspector: Inspector, window_s: float) -> Waits:
    """Look for `window_s` seconds. Raises CannotLook, StoreUnavailable."""
    period_s = period(window_s)
    end = time.monotonic() + window_s
    counts: Counter[str] = Counter()
    vacuum: Counter[str] = Counter()
    samples = 0
    while (left := end - time.monotonic()) > 0:
        began = time.monotonic()
        for kind, wait, sessions in inspector.glance(_ACTIVE):
            (vacuum if kind == "vacuum" else counts)[wait] += int(sessions)
        samples += 1
        time.sleep(max(0.0, min(left, period_s - (time.monotonic() - began))))
    return Waits(samples, counts.total(), dict(counts), dict(vacuum))
