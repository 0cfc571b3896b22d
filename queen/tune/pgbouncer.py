"""A PgBouncer that fits the plan: transaction mode, room for all of Queen's pools, few connections behind it. Pure.

`pgbouncer.ini.example` is made here, with the values of the baseline.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from queen.tune.connections import connections_needed
from queen.tune.inputs import Inputs

_TEXT: Final = """\
; PgBouncer for Queen in transaction mode: many instances share few connections to PostgreSQL.
; Point database.url at it, and database.direct_url at PostgreSQL itself: notifications need a session of their own.

[databases]
; Where PostgreSQL is. The name on the left is the one that Queen connects to.
{database} = host={host} port={port} dbname={database}

[pgbouncer]
; Only this machine reaches it. Behind a private network: the address there.
listen_addr = 127.0.0.1
listen_port = 6432

; A connection serves the next client as soon as a transaction ends: the mode that Queen is built for.
pool_mode = transaction
; {clients_reason}
max_client_conn = {clients}
; {pool_reason}
default_pool_size = {pool}

; Passwords never travel or rest in the clear: userlist.txt holds the verifier as PostgreSQL stores it, mode 0600.
auth_type = scram-sha-256
auth_file = /etc/pgbouncer/userlist.txt
admin_users = queen

; Sent by common drivers at the start; harmless to ignore, and refused otherwise.
ignore_startup_parameters = extra_float_digits

logfile = /var/log/postgresql/pgbouncer.log
pidfile = /var/run/postgresql/pgbouncer.pid
"""

POOL_LEAST: Final = 10


@dataclass(frozen=True, slots=True)
class Pooler:
    """The two sizes of a pooler, with a reason each."""

    clients: int
    clients_reason: str
    pool: int
    pool_reason: str


BASELINE: Final = Pooler(
    1000,
    "Room for ten instances with high-performance pools.",
    100,
    "Connections to PostgreSQL; stays below its max_connections of 200, so that people and listeners still get in.",
)


def pooled(inputs: Inputs) -> int:
    """Connections from a pooler to PostgreSQL: four for each processor, at least 10, never more than Queen's pools."""
    if inputs.pooled_connections is not None:
        return inputs.pooled_connections
    return min(inputs.instances * inputs.pool_size, max(POOL_LEAST, 4 * inputs.cpus))


def pooler_for(inputs: Inputs, max_connections: int) -> Pooler:
    """The sizes for this machine and load, next to a PostgreSQL with so many connections."""
    pools = inputs.instances * inputs.pool_size
    clients = max(100, -(-int((pools + 2 * inputs.instances) * 1.2) // 10) * 10)
    behind = pooled(inputs)
    needed = connections_needed(inputs.replace("computed", pooled_connections=behind))
    return Pooler(
        clients,
        f"Room for {inputs.instances} × a pool of {inputs.pool_size}, and a fifth more, at least 100.",
        behind,
        f"4 for each of {inputs.cpus} processors, from {POOL_LEAST} to all of the pools; with listeners and others "
        f"{needed} of max_connections = {max_connections}.",
    )


def pgbouncer_ini(pooler: Pooler, host: str = "127.0.0.1", port: int = 5432, database: str = "queen") -> str:
    """The file."""
    return _TEXT.format(
        host=host,
        port=port,
        database=database,
        clients=pooler.clients,
        clients_reason=pooler.clients_reason,
        pool=pooler.pool,
        pool_reason=pooler.pool_reason,
    )
