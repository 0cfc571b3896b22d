"""All calls of the control plane, by subject."""

from __future__ import annotations

from queen.store.admin.activity import Activity
from queen.store.admin.dead_letters import DeadLetters
from queen.store.admin.groups import Groups
from queen.store.admin.messages import Messages
from queen.store.admin.offsets import Offsets
from queen.store.admin.past import Past
from queen.store.admin.queues import Queues
from queen.store.admin.server import DatabaseServer
from queen.store.admin.statistics import Statistics
from queen.store.admin.switches import Switches
from queen.store.admin.traces import Traces
from queen.store.pool import Pool


class Admin:
    """One part a subject, bound to (pool, schema)."""

    def __init__(self, pool: Pool, schema: str) -> None:
        self.queues = Queues(pool, schema)
        self.groups = Groups(pool, schema)
        self.offsets = Offsets(pool, schema)
        self.dead_letters = DeadLetters(pool, schema)
        self.activity = Activity(pool, schema)
        self.messages = Messages(pool, schema)
        self.traces = Traces(pool, schema)
        self.server = DatabaseServer(pool, schema)
        self.statistics = Statistics(pool, schema)
        self.past = Past(pool, schema)
        self.switches = Switches(pool, schema)
