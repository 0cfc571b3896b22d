"""S3 on a real PostgreSQL: a sequence near the end of its column, ids of queues that run out."""

from __future__ import annotations

import secrets

from tests.doctor.support import about, execute, look, look_as


def test_a_serial_near_the_end_of_four_bytes_is_found_and_gone_with_eight(module_dsn: str) -> None:
    execute(
        module_dsn,
        "create table public.orders (id serial primary key, at timestamptz)",
        "select setval('public.orders_id_seq', 1700000000)",
    )
    finding = about(look(module_dsn, "S3"), "public.orders_id_seq")
    assert finding.status == "warn"
    assert finding.evidence == {"used_pct": 79.2, "reached": 1_700_000_000, "end": 2_147_483_647}
    execute(
        module_dsn,
        "alter table public.orders alter column id type bigint",
        "alter sequence public.orders_id_seq as bigint",
    )
    assert look(module_dsn, "S3").status == "ok"


def test_a_wide_sequence_ends_where_its_narrow_column_ends(module_dsn: str) -> None:
    execute(
        module_dsn,
        "create table public.narrow (id int)",
        "create sequence public.wide owned by public.narrow.id",
        "select setval('public.wide', 2100000000)",
    )
    finding = about(look(module_dsn, "S3"), "public.wide")
    assert (finding.status, finding.evidence["end"]) == ("crit", 2_147_483_647)
    assert "public.narrow ALTER COLUMN id" in finding.remedy
    execute(module_dsn, "drop table public.narrow")
    assert look(module_dsn, "S3").status == "ok"


def test_ids_of_queues_are_looked_at_too(module_dsn: str) -> None:
    execute(module_dsn, "update queen.counters set next_id = 1900000001 where name = 'queue'")
    finding = about(look(module_dsn, "S3"), "queen.queues.queue_id")
    assert finding.evidence["reached"] == 1_900_000_000
    execute(module_dsn, "update queen.counters set next_id = 1 where name = 'queue'")
    assert look(module_dsn, "S3").status == "ok"


def test_a_sequence_that_begins_anew_at_its_end_has_none(module_dsn: str) -> None:
    execute(module_dsn, "create sequence public.round maxvalue 10 cycle", "select setval('public.round', 10)")
    assert look(module_dsn, "S3").status == "ok"


def test_what_the_role_may_not_read_is_not_said_to_be_well(database_dsn: str) -> None:
    role = f"watcher_{secrets.token_hex(4)}"
    execute(
        database_dsn,
        f"create role {role}",
        'create schema "My ""own"""',
        'create sequence "My ""own""".hidden',
        f"grant usage on schema queen to {role}",
    )
    try:
        result = look_as(role, database_dsn, "S3")
        assert result.reason == f"role {role} may not read 1 sequences of this database"
        execute(database_dsn, result.enable or "")
        result = look_as(role, database_dsn, "S3")
        assert result.reason == f"role {role} may not read the tables of Queen"
        execute(database_dsn, result.enable or "")
        assert look_as(role, database_dsn, "S3").status == "ok"
    finally:
        execute(database_dsn, f"drop owned by {role}", f"drop role {role}")
