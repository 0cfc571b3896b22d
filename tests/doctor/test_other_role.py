"""Settings are those of Queen's servers, whoever the doctor connects as."""

from __future__ import annotations

import secrets

from psycopg.conninfo import conninfo_to_dict

from queen.doctor.facts import gather
from queen.doctor.other_role import settings_of
from queen.store.inspect import Inspector, Row
from tests.doctor.seen import setting
from tests.doctor.support import about, execute, look_as


def test_what_the_other_role_has_outranks_and_what_ours_changed_is_put_back() -> None:
    rows = [
        setting("jit", "off", vartype="bool", source="user", boot_val="on"),
        setting("work_mem", "65536", vartype="integer", unit="kB", source="database user", boot_val="4096"),
        setting("random_page_cost", "4", vartype="real"),
        setting("idle_in_transaction_session_timeout", "0", vartype="integer", unit="ms"),
        setting("synchronous_commit", "on", vartype="enum"),
        setting("max_connections", "100", vartype="integer", source="configuration file"),
    ]
    overrides: list[Row] = [
        {"name": "work_mem", "value": "8MB", "source": "database"},
        {"name": "work_mem", "value": "16MB", "source": "user"},
        {"name": "random_page_cost", "value": "1.1", "source": "user"},
        {"name": "idle_in_transaction_session_timeout", "value": "1.5min", "source": "database user"},
        {"name": "synchronous_commit", "value": "OFF", "source": "database user"},
    ]
    found = {row["name"]: (row["setting"], row["source"]) for row in settings_of(rows, overrides)}
    assert found == {
        "jit": ("on", "default"),
        "work_mem": ("16384", "user"),
        "random_page_cost": ("1.1", "user"),
        "idle_in_transaction_session_timeout": ("90000", "database user"),
        "synchronous_commit": ("off", "database user"),
        "max_connections": ("100", "configuration file"),
    }


def test_a_role_that_only_watches_is_told_of_the_role_of_the_servers(database_dsn: str) -> None:
    with Inspector(database_dsn) as inspector:
        owner = gather(inspector).role
    role, database = f"watcher_{secrets.token_hex(4)}", conninfo_to_dict(database_dsn)["dbname"]
    target = f'alter role "{owner}" in database "{database}"'
    execute(
        database_dsn, f"create role {role}", f"grant pg_monitor to {role}", f"grant usage on schema queen to {role}"
    )
    try:
        execute(database_dsn, f"{target} set idle_in_transaction_session_timeout = '2h'")
        finding = about(look_as(role, database_dsn, "V5"), f"role {owner}")
        assert finding.evidence["idle_in_transaction_session_timeout"] == "7200 s"
        assert finding.fix is not None
        assert finding.fix.apply[0].startswith(f'ALTER ROLE "{owner}" IN DATABASE ')
        assert finding.fix.undo[0].endswith("= '2h'")
        execute(database_dsn, *finding.fix.apply)
        assert look_as(role, database_dsn, "V5").findings == ()
    finally:
        execute(database_dsn, f"drop owned by {role}", f"drop role {role}")
