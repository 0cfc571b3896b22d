"""Collects the inputs of a plan: options first, then what the server and its machine tell, then defaults.

What is measured here counts only where PostgreSQL is proven to run here; else the options must say it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from queen.cli.tune_pg.asked import Asked
from queen.cli.tune_pg.place import LOCAL, Place, address_of, find_place
from queen.errors import AccessDenied, CannotLook, StoreUnavailable, TuneInputError
from queen.settings import Resolved, Settings

if TYPE_CHECKING:
    from queen.tune.inputs import Inputs
    from queen.tune.server import LoadSeen, ServerSight

FLAG: Final = "flag"
OLDEST: Final = 14
DISK_S: Final = 2.0
ROUNDED_FROM: Final = 8 << 30


@dataclass(slots=True)
class Gathered:
    """Inputs, the look at the server if there was one, and remarks for the reader."""

    inputs: Inputs
    sight: ServerSight | None
    remarks: list[str]
    address: tuple[str, int, str] = LOCAL
    """Host, port and database, for a pooler in between."""


@dataclass(slots=True)
class _Values:
    """Values with origins, the first of each name stays."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)

    def take(self, origin: str, **values: Any) -> None:
        for name, value in values.items():
            if value is not None and name not in self.values:
                self.values[name], self.origins[name] = value, origin


def gather(asked: Asked, resolved: Resolved) -> Gathered:
    """Raises TuneInputError when memory or processors can neither be measured nor were named."""
    place = find_place(resolved.settings)
    remarks = [place.remark] if place.remark else []
    sight = _look(place, resolved.settings, remarks)
    values = _Values()
    _from_options(values, asked)
    if sight is not None:
        _from_server(values, sight)
    _from_settings(values, resolved)
    _from_machine(values, place, sight, resolved.settings, remarks)
    if asked.measure_disk:
        _measure_disk(values, _data_dir(place, sight))
    _version(values, place, remarks)
    _need_machine(values, place, sight)
    return Gathered(_inputs(values, asked), sight, remarks, address_of(place))


def _look(place: Place, settings: Settings, remarks: list[str]) -> ServerSight | None:
    if place.dsn is None:
        return None
    from queen.tune.server import look

    try:
        return look(place.dsn, settings.database.schema)
    except (StoreUnavailable, AccessDenied, CannotLook) as error:
        remarks.append(f"the server was not asked: {error.message.splitlines()[0]}")
        return None


def _from_options(values: _Values, asked: Asked) -> None:
    values.take(
        FLAG,
        memory_bytes=asked.memory,
        cpus=asked.cpus,
        storage=None if asked.storage is None else asked.storage.value,
        target_rate=asked.target,
        payload_bytes=asked.payload,
        groups=asked.groups,
        pool_size=asked.pool_size,
        instances=asked.instances,
        pg_version=asked.pg_version,
        other_connections=asked.other_connections,
        pooled_connections=asked.pooler_size,
        recovery_s=None if asked.recovery_ms is None else max(1, asked.recovery_ms // 1000),
    )


def _from_settings(values: _Values, resolved: Resolved) -> None:
    """The pool that `queen serve` would run with. A default stays one, so that a small machine may have less."""
    origin = next(row.origin for row in resolved.rows() if row.key == "database.pool_size")
    values.take(origin, pool_size=resolved.settings.database.pool_size)


def _from_server(values: _Values, sight: ServerSight) -> None:
    values.take("server", pg_version=sight.major)
    if values.values["pg_version"] == sight.major:
        # Words and libraries of another version say nothing about the one that was asked for.
        modules = ("pg_stat_statements",) if sight.has_module else None
        values.take("server", enumvals=sight.enumvals, preloaded=sight.preloaded, libraries=modules)
    mean = f"server, mean of {_span(sight.wal_window_s)}"
    values.take(mean, wal_rate_observed=sight.wal_rate, fpi_share=sight.fpi_share)
    _from_load(values, sight.load)
    now = sight.settings.get("max_connections")
    if now is not None:
        # A standby never has less than its primary, or it would not start.
        name = "primary_connections" if sight.in_recovery else "connections_now"
        values.take("server", **{name: int(now.value)})


def _from_load(values: _Values, load: LoadSeen) -> None:
    """Queen's own tables: a load above the default counts, and the pools of those that run."""
    from queen.tune.inputs import RATE

    if load.messages_per_s > RATE:
        values.take("server, busiest minute of a day", target_rate=round(load.messages_per_s))
    if load.instances:
        # Their pools are of one size, or nearly.
        pool = -(-load.pool_size // load.instances)
        values.take("server, those that run now", instances=load.instances, pool_size=max(1, pool))


def _from_machine(
    values: _Values, place: Place, sight: ServerSight | None, settings: Settings, remarks: list[str]
) -> None:
    """Only with proof: the postmaster is a process of this machine, or will be."""
    from queen.tune import machine

    pid = sight.pid if sight is not None else ("self" if place.here else None)
    if pid is None:
        return
    memory, cpus = machine.memory(pid), machine.processors(pid)
    if memory is not None and "memory_bytes" not in values.values:
        values.take(f"measured here: {memory.where}", memory_bytes=memory.value)
        values.take("settings: server.workers", workers_here=settings.server.workers)
        values.take("measured here", available_bytes=_free(sight))
    if cpus is not None:
        values.take(f"measured here: {cpus.where}", cpus=cpus.value)
    data_dir = _data_dir(place, sight)
    if data_dir is not None:
        _from_disk(values, _existing(data_dir), remarks)
    values.take("measured here", clock_source=machine.clock())


def _free(sight: ServerSight | None) -> int | None:
    """What is not in use, and what the server that runs would give back."""
    from queen.tune import machine, served
    from queen.tune.sizes import number_of

    free = machine.available()
    own = sight.settings.get("shared_buffers") if sight is not None else None
    if free is None or own is None:
        return free
    return free + int(number_of(served.shown(own), "B") or 0)


def _from_disk(values: _Values, folder: Path, remarks: list[str]) -> None:
    from queen.tune import machine

    disk = machine.disk(folder)
    if disk is not None and "storage" not in values.values:
        values.take(f"measured here: {disk.where}", storage=disk.storage)
        if disk.doubt:
            remarks.append(f"storage: {disk.doubt}")
    room = machine.wal_space(folder)
    if room is not None and room >= ROUNDED_FROM:
        room -= room % (1 << 30)  # a little more or less every second would make every plan another
    values.take("measured here", wal_space_bytes=room)


def _data_dir(place: Place, sight: ServerSight | None) -> Path | None:
    """The data directory, where it is one of this machine."""
    if sight is None or sight.pid is None:
        return place.data_dir if place.here else None
    return sight.data_dir or place.data_dir


def _measure_disk(values: _Values, data_dir: Path | None) -> None:
    """Beside the data directory, where that is the same disk: nothing foreign goes into it. Raises TuneInputError."""
    from queen.measure.disk import fdatasync_times

    if data_dir is None:
        raise TuneInputError(
            "--measure-disk needs to know the data directory, and that it is one of this machine",
            hint="run it where PostgreSQL runs, as a role that may read data_directory (pg_read_all_settings)",
        )
    folder = _existing(data_dir.parent)
    if data_dir.exists() and folder.stat().st_dev != data_dir.stat().st_dev:
        raise TuneInputError(f"{folder} is another disk than {data_dir}, so a time there says nothing")
    median = fdatasync_times(folder, DISK_S)["fdatasync_p50_ms"]
    if median is None:
        raise TuneInputError(f"no file can be written in {folder}", hint="run it as a user who may")
    values.take(f"measured here, {DISK_S:.0f} s", commit_ms=max(median, 0.001))


def _version(values: _Values, place: Place, remarks: list[str]) -> None:
    values.take("programs on this machine", pg_version=place.major)
    if "pg_version" not in values.values:
        values.take("the oldest supported", pg_version=OLDEST)
        remarks.append(f"the version is not known: these are settings that every version from {OLDEST} on takes")


def _need_machine(values: _Values, place: Place, sight: ServerSight | None) -> None:
    missing = [flag for flag, name in (("--memory", "memory_bytes"), ("--cpus", "cpus")) if name not in values.values]
    if not missing:
        return
    if place.here or (sight is not None and sight.pid is not None):
        why = "this system does not tell memory and processors"
    elif sight is None:
        why = "the configured server was not reached, so it is not proven that it runs on this machine"
    else:
        why = "it is not proven that the server runs on this machine, so this machine's memory says nothing"
    raise TuneInputError(why, hint=f"name what its machine has: {' '.join(missing)}, such as --memory 16GB --cpus 8")


def _inputs(values: _Values, asked: Asked) -> Inputs:
    from queen.tune.inputs import Inputs
    from queen.tune.pgbouncer import pooled

    inputs = Inputs(**values.values, origins=values.origins)
    return inputs.replace("computed", pooled_connections=pooled(inputs)) if asked.pgbouncer else inputs


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above that is there."""
    return next((path for path in (folder, *folder.parents) if path.exists()), folder)


def _span(seconds: float) -> str:
    for name, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {name}"
    return f"{seconds:.0f} s"
