"""W2 on a real PostgreSQL: indexes that nobody needs make every message dear."""

from __future__ import annotations

from queen.doctor.checks.wal import w2_wal_per_message as w2
from queen.doctor.probes.server import ServerSample
from queen.store.inspect import Row
from tests.doctor.seen import seen_with
from tests.doctor.support import about, execute, look
from tests.doctor.wal.support import look_until, meanwhile

INSERT = (
    "insert into queen.messages (partition_id, \"offset\", created_at, queue_id, epoch, transaction_id, payload)"
    " select 1, (random() * 1e15)::bigint, now(), 1, (select max(epoch) from queen.epochs), gen_random_uuid()::text,"
    " '{}' from generate_series(1, 2000)"
)  # fmt: skip
NAMES = [f"superfluous_{n}" for n in range(12)]


def test_superfluous_indexes_are_felt_and_gone_when_dropped(module_dsn: str) -> None:
    columns = "transaction_id, payload, created_at"
    execute(module_dsn, INSERT, *[f"create index {name} on queen.messages ({columns})" for name in NAMES])
    with meanwhile(module_dsn, INSERT):
        finding = about(look_until(module_dsn, "W2", "warn", "crit"), "queen.messages")
    assert finding.status in ("warn", "crit")
    assert finding.evidence["messages"] >= 1000
    assert finding.evidence["payload_bytes"] == 3
    assert finding.evidence["expected_bytes"] == 453
    assert finding.evidence["wal_bytes_per_message"] > 3 * 453
    assert finding.at_stake.high_pct is not None
    assert finding.at_stake.method == "WAL ceiling"
    execute(module_dsn, *[f"drop index queen.{name}" for name in NAMES])
    with meanwhile(module_dsn, INSERT):
        assert look_until(module_dsn, "W2", "ok", "warn", "crit").status == "ok"


def test_a_window_without_messages_is_no_ok(module_dsn: str) -> None:
    result = look(module_dsn, "W2")
    assert result.status == "skipped"
    assert result.enable == "run it under load"


def test_the_server_counts_too_and_groups_are_allowed_for() -> None:
    log: Row = {"what": "wal", "wal_records": 0, "wal_fpi": 0, "wal_bytes": 0.0, "wal_buffers_full": 0, "position": 0.0}
    first: dict[str, list[Row]] = {
        "wal": [log],
        "tables": [],
        "payload": [{"payload_bytes": 50.0}],
        "groups": [{"groups": 6}],
    }
    second = {**first, "wal": [{**log, "wal_bytes": 3_000_000.0}]}
    before, now = (ServerSample("", 0.0, {}, {"counters": {"push_messages": 9, "ack_messages": n}}) for n in (5, 2005))
    seen = seen_with(w2.CHECK, first, second, server_before=before, server=now)
    assert list(w2.evaluate(seen)) == [], "1,500 bytes are less than three times 50 + 450 + 5 × 60"
    one_group = {**second, "groups": [{"groups": 1}]}
    (finding,) = w2.evaluate(seen_with(w2.CHECK, first, one_group, server_before=before, server=now))
    assert finding.evidence["wal_bytes_per_message"] == 1500
    assert finding.status == "warn"
