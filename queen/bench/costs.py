"""What one message costs: figures that travel between machines better than rates do. Pure."""

from __future__ import annotations

from queen.bench.result import Costs, PostgresSide, ServerSide


def costs(
    acked: int,
    server: ServerSide | None,
    postgres: PostgresSide | None,
    *,
    generator_cpu_s: float | None = None,
    wire_bytes: float | None = None,
) -> Costs | None:
    """Costs per message acked once, over the measured time; None when none was. What was not measured stays None."""
    if acked <= 0:
        return None

    def each(total: float | None, scale: float = 1.0) -> float | None:
        return None if total is None else total * scale / acked

    counters = postgres.counters if postgres else {}
    return Costs(
        server_cpu_us=each(server.cpu_s if server else None, 1e6),
        postgres_cpu_us=each(postgres.cpu_s if postgres else None, 1e6),
        generator_cpu_us=each(generator_cpu_s, 1e6),
        wal_bytes=each(counters.get("wal_bytes")),
        commits=each(counters.get("commits")),
        statements=each(counters.get("statements", _flushes(server))),
        disk_bytes=each(_grown(postgres)),
        wire_bytes=each(wire_bytes),
    )


def _flushes(server: ServerSide | None) -> float | None:
    """What the servers sent for messages, where PostgreSQL does not count statements."""
    found = [value for name, value in (server.counters if server else {}).items() if name.startswith("flushes_")]
    return sum(found) if found else None


def _grown(postgres: PostgresSide | None) -> float | None:
    """Bytes that tables and indexes grew by."""
    if postgres is None or not postgres.tables:
        return None
    return sum(
        table.get("table_bytes_grown", 0) + table.get("index_bytes_grown", 0) for table in postgres.tables.values()
    )
