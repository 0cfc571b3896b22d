"""Settings of the role that Queen connects with. They need no administrator, and bound how long a snapshot is held.

`queen serve` sets statement_timeout itself where it has sessions of its own; behind a transaction pooler only the role
can. pg_dump and migrations switch these bounds off for themselves.
"""

from __future__ import annotations

from queen.tune.inputs import Inputs
from queen.tune.lines import RoleLine
from queen.tune.memory import Memory
from queen.tune.sizes import size

TRANSACTION_TIMEOUT_SINCE = 17


def role_lines(inputs: Inputs, memory: Memory) -> list[RoleLine]:
    """Time-outs, and memory of a session."""
    lines = [
        RoleLine("statement_timeout", "30s", "no statement of Queen's takes that long; one that does is stuck"),
        RoleLine("lock_timeout", "2s", "nothing queues behind a lock for long; Queen repeats what was given up"),
        RoleLine("idle_in_transaction_session_timeout", "10s", "a transaction left open keeps dead rows everywhere"),
        RoleLine("jit", "off", "also where other programs of the server want it on"),
        RoleLine("work_mem", size(memory.work_mem), "a sort of a full batch stays in memory"),
    ]
    if inputs.pg_version >= TRANSACTION_TIMEOUT_SINCE:
        text = "a bound for the whole of a transaction, whatever it does"
        lines.insert(3, RoleLine("transaction_timeout", "60s", text))
    return lines
