"""Plans for machines and loads of every kind: the guard holds, values are within bounds, durability is left alone."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings

from queen.errors import TuneInputError, TuneRefused
from queen.tune.inputs import GIB, MIB, Inputs
from queen.tune.known import KNOWN
from queen.tune.plan import Plan, make_plan
from tests.tune.plans import ENUMS, WEAK, machines, number, value

BOUNDS = {
    "max_connections": (1, 262_143),
    "superuser_reserved_connections": (0, 262_143),
    "shared_buffers": (16 * 8192, 1_073_741_823 * 8192),
    "effective_cache_size": (8192, 2_147_483_647 * 8192),
    "work_mem": (64 << 10, 2_147_483_647 << 10),
    "maintenance_work_mem": (1 << 20, 2_147_483_647 << 10),
    "autovacuum_work_mem": (1 << 20, 2_147_483_647 << 10),
    "wal_buffers": (8192, 262_143 * 8192),
    "checkpoint_timeout": (30, 86_400),
    "checkpoint_completion_target": (0, 1),
    "max_wal_size": (2 * 16 * MIB, 2_147_483_647 * MIB),
    "min_wal_size": (2 * 16 * MIB, 2_147_483_647 * MIB),
    "max_slot_wal_keep_size": (16 * MIB, 2_147_483_647 * MIB),
    "idle_replication_slot_timeout": (0, 2_147_483_647),
    "autovacuum_naptime": (1, 2_147_483),
    "autovacuum_max_workers": (1, 262_143),
    "autovacuum_worker_slots": (1, 262_143),
    "autovacuum_vacuum_cost_limit": (1, 10_000),
    "autovacuum_vacuum_cost_delay": (0, 0.1),
    "random_page_cost": (0, 1e10),
    "effective_io_concurrency": (0, 1000),
    "io_workers": (1, 32),
    "log_autovacuum_min_duration": (0, 2_147_483),
}
"""From the documentation of PostgreSQL; bytes, seconds or plain numbers."""


def planned(inputs: Inputs) -> Plan | None:
    """The plan, or None where it is refused with words that say what to do."""
    try:
        return make_plan(inputs)
    except TuneRefused as error:
        told = error.hint
    assert told
    return None


@given(machines())
@settings(max_examples=300, deadline=None)
def test_every_plan_obeys_the_memory_guard_and_the_bounds(inputs: Inputs) -> None:
    plan = planned(inputs)
    if plan is None:
        return
    _guard_holds(plan)
    for line in plan.lines:
        assert line.name in KNOWN
        assert KNOWN[line.name].since <= inputs.pg_version
        assert line.reason
        assert line.formula
        if line.name in BOUNDS:
            low, high = BOUNDS[line.name]
            assert low <= number(line.value) <= high, line
    assert len({line.name for line in plan.lines}) == len(plan.lines)


def _guard_holds(plan: Plan) -> None:
    inputs = plan.inputs
    pools = inputs.instances * inputs.pool_size
    sessions = min(pools, inputs.pooled_connections) if inputs.pooled_connections else pools
    work_mem = number(next(line.value for line in plan.roles if line.setting == "work_mem"))
    taken = value(plan, "shared_buffers") + sessions * (4 * work_mem + 10 * MIB)
    taken += value(plan, "autovacuum_max_workers") * value(plan, "autovacuum_work_mem")
    assert taken <= 0.8 * (inputs.memory_bytes - inputs.workers_here * 100 * MIB)
    assert value(plan, "work_mem") <= work_mem


@given(machines())
@settings(max_examples=100, deadline=None)
def test_no_plan_lowers_durability(inputs: Inputs) -> None:
    plan = planned(inputs)
    if plan is not None:
        touched = {line.name for line in plan.lines} | {line.setting for line in plan.roles}
        assert touched & WEAK == set()
        assert plan.value("huge_pages") == "try"


def test_no_plan_can_lower_durability() -> None:
    assert WEAK & KNOWN.keys() == set()


@given(machines())
@settings(max_examples=100, deadline=None)
def test_the_parts_of_a_plan_fit_together(inputs: Inputs) -> None:
    plan = planned(inputs)
    if plan is None:
        return
    now = plan.inputs
    assert value(plan, "min_wal_size") <= value(plan, "max_wal_size")
    if now.wal_space_bytes is not None:
        assert value(plan, "max_wal_size") <= 0.4 * now.wal_space_bytes
        assert value(plan, "max_slot_wal_keep_size") <= 0.25 * now.wal_space_bytes
    through = min(now.pooled_connections or 10**6, now.pool_size * now.instances)
    others = now.other_connections + value(plan, "superuser_reserved_connections")
    assert value(plan, "max_connections") >= through + 2 * now.instances + others
    assert value(plan, "max_connections") >= max(now.primary_connections or 0, now.connections_now or 0)
    for line in plan.lines:
        if line.value == "lz4":
            assert "lz4" in now.enumvals[line.name]
    preload = plan.value("shared_preload_libraries")
    if preload is not None:
        assert set(now.preloaded or ()) < set(preload.split(", "))


@given(machines())
@settings(max_examples=60, deadline=None)
def test_more_memory_never_gives_less(inputs: Inputs) -> None:
    less = planned(inputs)
    more = planned(dataclasses.replace(inputs, memory_bytes=2 * inputs.memory_bytes))
    if less is None:
        return
    assert more is not None
    assert value(more, "shared_buffers") >= value(less, "shared_buffers")
    assert more.inputs.pool_size >= less.inputs.pool_size


@pytest.mark.parametrize("memory", [256 * MIB, 512 * MIB, GIB, 4 * GIB, 1 << 40])
def test_a_pool_that_nobody_chose_shrinks_until_it_fits(memory: int) -> None:
    plan = make_plan(Inputs(memory_bytes=memory, cpus=1))
    assert 1 <= plan.inputs.pool_size <= 16
    told = [note.text for note in plan.notes if note.name == "DB_POOL_SIZE"]
    if plan.inputs.pool_size < 16:
        assert f"DB_POOL_SIZE={plan.inputs.pool_size}" in told[0]
        assert plan.inputs.origin("pool_size") != "default"
    else:
        assert told == []


def test_a_pool_that_was_chosen_is_refused_with_the_number_that_fits() -> None:
    inputs = Inputs(memory_bytes=GIB, cpus=2, pool_size=400, origins={"pool_size": "flag"})
    with pytest.raises(TuneRefused) as refused:
        make_plan(inputs)
    fitting = int(str(refused.value.hint).split()[2])
    assert make_plan(dataclasses.replace(inputs, pool_size=fitting)).inputs.pool_size == fitting
    with pytest.raises(TuneRefused):
        make_plan(dataclasses.replace(inputs, pool_size=fitting + 1))


@pytest.mark.parametrize(
    "wrong",
    [
        {"cpus": 0},
        {"instances": 0},
        {"groups": 0},
        {"pool_size": 0},
        {"target_rate": 0.0},
        {"payload_bytes": -1},
        {"other_connections": -1},
        {"pooled_connections": 0},
        {"storage": "tape"},
        {"pg_version": 13},
        {"memory_bytes": 32 * MIB},
        {"memory_bytes": 256 * MIB, "workers_here": 2},
        {"recovery_s": 0},
    ],
)
def test_machines_and_loads_that_cannot_be(wrong: dict[str, object]) -> None:
    inputs = Inputs(**{"memory_bytes": GIB, "cpus": 1, **wrong})  # type: ignore[arg-type]
    with pytest.raises(TuneInputError):
        make_plan(inputs)


def test_a_disk_without_room_for_a_log_is_refused() -> None:
    with pytest.raises(TuneRefused, match="write-ahead log"):
        make_plan(Inputs(memory_bytes=GIB, cpus=1, wal_space_bytes=500 * MIB))


def test_too_many_connections_are_refused_in_favour_of_a_pooler() -> None:
    inputs = Inputs(memory_bytes=1 << 40, cpus=64, pool_size=300, instances=20, origins={"pool_size": "flag"})
    with pytest.raises(TuneRefused) as refused:
        make_plan(inputs)
    assert "--pgbouncer" in str(refused.value.hint)
    assert make_plan(dataclasses.replace(inputs, pooled_connections=256)).value("max_connections") == "390"


def test_shared_memory_that_others_use_is_refused() -> None:
    inputs = Inputs(memory_bytes=8 * GIB, cpus=4, available_bytes=GIB)
    with pytest.raises(TuneRefused, match="not in use"):
        make_plan(inputs)
    assert make_plan(dataclasses.replace(inputs, available_bytes=2 * GIB)).value("shared_buffers") == "2GB"


@pytest.mark.parametrize(("version", "needs"), [(14, "restart"), (17, "restart"), (18, "reload")])
def test_what_a_setting_needs_follows_the_version(version: int, needs: str) -> None:
    plan = make_plan(Inputs(memory_bytes=8 * GIB, cpus=4, pg_version=version))
    line = next(line for line in plan.lines if line.name == "autovacuum_max_workers")
    assert line.needs == needs


def test_settings_come_and_go_with_the_version() -> None:
    old = make_plan(Inputs(memory_bytes=8 * GIB, cpus=16, pg_version=17))
    new = make_plan(Inputs(memory_bytes=8 * GIB, cpus=16, pg_version=18))
    assert old.value("effective_io_concurrency") == "200"
    assert old.value("io_workers") is None
    assert new.value("effective_io_concurrency") is None
    assert new.value("io_workers") == "4"
    assert new.value("idle_replication_slot_timeout") == "24h"
    names = [[line.setting for line in plan.roles] for plan in (old, new)]
    assert all("transaction_timeout" in roles for roles in names)
    older = make_plan(Inputs(memory_bytes=8 * GIB, cpus=16, pg_version=16))
    assert "transaction_timeout" not in [line.setting for line in older.roles]


def test_a_version_from_the_future_gets_what_is_known() -> None:
    plan = make_plan(Inputs(memory_bytes=8 * GIB, cpus=4, pg_version=19))
    assert any(note.name == "version" for note in plan.notes)
    assert plan.lines == make_plan(Inputs(memory_bytes=8 * GIB, cpus=4, pg_version=18)).lines


def test_the_log_is_planned_for_the_load_or_for_what_was_seen_if_that_is_more() -> None:
    base = Inputs(memory_bytes=8 * GIB, cpus=4, target_rate=10_000, payload_bytes=265)
    computed = make_plan(base)
    assert value(computed, "max_wal_size") == pytest.approx(10_000 * (265 + 900) * 900 * 1.9 * 1.2, rel=0.02)
    seen = make_plan(dataclasses.replace(base, wal_rate_observed=30e6))
    assert value(seen, "max_wal_size") == pytest.approx(30e6 * 900 * 1.9 * 1.2, rel=0.02)
    idle = make_plan(dataclasses.replace(base, wal_rate_observed=1.0))
    assert idle.value("max_wal_size") == computed.value("max_wal_size")


def test_a_slow_disk_shortens_the_way_between_checkpoints() -> None:
    base = Inputs(memory_bytes=8 * GIB, cpus=4, target_rate=50_000, storage="hdd")
    plan = make_plan(base)
    period = value(plan, "checkpoint_timeout")
    assert 60 <= period < 900
    assert 50_000 * (1024 + 900) * period <= 30 * MIB * 300
    assert value(make_plan(dataclasses.replace(base, recovery_s=3600)), "checkpoint_timeout") == 900


def test_whole_pages_in_the_log_are_compressed_where_the_server_can() -> None:
    base = Inputs(memory_bytes=8 * GIB, cpus=4, fpi_share=0.5)
    assert make_plan(base).value("wal_compression") is None
    able = dataclasses.replace(base, enumvals=ENUMS[15])
    assert make_plan(able).value("wal_compression") == "lz4"
    assert make_plan(dataclasses.replace(able, fpi_share=0.1)).value("wal_compression") is None
    assert make_plan(dataclasses.replace(able, pg_version=14)).value("wal_compression") is None


def test_a_library_is_added_to_those_that_are_there() -> None:
    base = Inputs(memory_bytes=8 * GIB, cpus=4, libraries=("pg_stat_statements",))
    assert make_plan(base).value("shared_preload_libraries") is None
    with_other = dataclasses.replace(base, preloaded=("timescaledb",))
    assert make_plan(with_other).value("shared_preload_libraries") == "timescaledb, pg_stat_statements"
    with_it = dataclasses.replace(base, preloaded=("pg_stat_statements",))
    assert make_plan(with_it).value("shared_preload_libraries") is None


def test_the_same_inputs_give_the_same_plan() -> None:
    inputs = Inputs(memory_bytes=8 * GIB, cpus=4)
    assert make_plan(inputs) == make_plan(inputs)
