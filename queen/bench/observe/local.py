"""Processor time and memory of servers, PostgreSQL and machine, when they are on this machine."""

from __future__ import annotations

from collections.abc import Sequence

from queen.measure.processes import Process, cpu_s, look_at_machine, read_processes, rss_bytes, tree


def read_local(server_pids: Sequence[int], postgres_pid: int | None) -> dict[str, float | None]:
    """Running totals server_cpu_s, postgres_cpu_s, machine_cpu_s, steal_s, and server_rss_bytes; None: not here.

    A PostgreSQL that is a child of a server is counted on its own side.
    """
    machine = look_at_machine()
    table = read_processes()
    servers = [process for pid in server_pids for process in _without_postgres(table, pid)]
    postgres = tree(table, postgres_pid) if postgres_pid is not None else []
    return {
        "server_cpu_s": cpu_s(servers) if servers else None,
        "postgres_cpu_s": cpu_s(postgres) if postgres else None,
        "machine_cpu_s": machine.busy_s if machine else None,
        "steal_s": machine.steal_s if machine else None,
        "server_rss_bytes": float(sum(rss_bytes(process.pid) for process in servers)) if servers else None,
    }


def find_postgres(server_pids: Sequence[int], backend_pid: int | None) -> int | None:
    """The PostgreSQL behind a backend of this machine, or the one that a server started."""
    table = read_processes()
    backend = table.get(backend_pid) if backend_pid is not None else None
    parent = table.get(backend.parent) if backend and _is_postgres(backend) else None
    if parent and _is_postgres(parent):
        return parent.pid
    return next((one.pid for pid in server_pids for one in tree(table, pid) if _is_postgres(one)), None)


def _is_postgres(process: Process) -> bool:
    return process.name.startswith("postgres")


def _without_postgres(table: dict[int, Process], pid: int) -> list[Process]:
    return tree({number: process for number, process in table.items() if not _is_postgres(process)}, pid)
