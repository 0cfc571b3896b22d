"""Q8 on a real PostgreSQL: children of messages that are overdue, stuck, or too many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from queen.doctor.catalogue import find
from queen.doctor.checks.queues.q8_rotation import due_ms, evaluate, rules
from queen.doctor.probes.server import ServerSample
from queen.settings import EngineSettings
from queen.store.inspect import Row
from tests.doctor.queues.support import beat, fill, look
from tests.doctor.seen import seen_with
from tests.doctor.support import about, execute
from tests.sql.client import Session

DAY_MS = 86_400_000.0


@pytest.fixture(autouse=True)
def _well(module_dsn: str, queen: Session) -> Iterator[None]:
    beat(queen)
    assert look(module_dsn, "Q8").status == "ok"
    yield
    execute(module_dsn, "update queen.epochs set opened_at = now()", "delete from queen.epochs where epoch > 50")
    assert look(module_dsn, "Q8").status == "ok"


def test_a_child_that_should_have_been_followed_is_found_and_gone_after_rotation(
    module_dsn: str, queen: Session
) -> None:
    fill(queen, "q", {"a": 10})
    execute(module_dsn, "update queen.epochs set opened_at = now() - interval '50 hours'")
    finding = about(look(module_dsn, "Q8"), "messages_1")
    assert finding.status == "warn"
    assert (finding.evidence["epochs_behind"], finding.evidence["due_at_age_s"]) == (1.1, 86_400)
    execute(module_dsn, "update queen.epochs set opened_at = now() - interval '80 hours'")
    assert about(look(module_dsn, "Q8"), "messages_1").status == "crit"
    assert queen.call("rotate", ("integer", "integer"), 1, 1000)[0][0] == 2
    assert look(module_dsn, "Q8").status == "ok"


def test_a_closed_child_that_is_not_settled_is_found_and_gone_when_recorded(module_dsn: str, queen: Session) -> None:
    execute(module_dsn, "update queen.epochs set closed_at = now() - interval '20 minutes' where epoch = 1")
    finding = about(look(module_dsn, "Q8"), "closed epochs")
    assert finding.status == "warn"
    assert finding.evidence["children"] == ["messages_1"]
    assert finding.evidence["closed_s_ago"] >= 1200
    assert queen.call("record_spans", ("integer", "bigint", "integer"), 1, 0, 1000)[0][0] is None
    assert look(module_dsn, "Q8").status == "ok"


def test_too_many_children_are_found(module_dsn: str) -> None:
    execute(module_dsn, "insert into queen.epochs (epoch, recorded_at) select n, now() from generate_series(51, 130) n")
    finding = about(look(module_dsn, "Q8"), "children of messages")
    assert finding.status == "warn"
    assert finding.evidence["children_max"] == 100


def test_where_no_server_runs_none_rotates(module_dsn: str) -> None:
    execute(module_dsn, "delete from queen.instances")
    result = look(module_dsn, "Q8")
    assert (result.status, result.enable) == ("skipped", "queen serve")
    execute(module_dsn, "insert into queen.instances values (gen_random_uuid(), now(), now(), 16, 'test')")


def test_a_busy_child_is_due_by_its_size_but_not_before_its_least_age() -> None:
    by = rules(seen_with(find("Q8"), {}))
    full = {"age_ms": 1_200_000.0, "newest_bytes": 2.0 * EngineSettings().epoch_bytes_max, "window_s": 0}
    assert due_ms([full], by) == 600_000
    assert due_ms([{**full, "window_s": 3600}], by) == 1_200_000
    assert due_ms([{**full, "newest_bytes": 10.0}], by) == DAY_MS
    assert due_ms([full] * 60, by) == 600_000 * 4


def test_the_settings_of_the_server_count_where_it_tells_them() -> None:
    hour: Row = {"epoch": 7, "age_ms": 3_600_000.0, "newest_bytes": 10.0, "window_s": 0, "closed_ms": None}
    hour |= {"recorded": False, "emptied": False}
    servers: list[Row] = [{"servers": 1, "leader": True}]
    seen = seen_with(find("Q8"), {"epochs": [hour], "servers": servers})
    assert list(evaluate(seen)) == []
    assert "default" in rules(seen).source
    told = {"rotation": {"ageMsMin": 60_000, "ageMsMax": 900_000, "bytesMax": 1 << 30, "epochsMax": 8}}
    server = ServerSample("http://here:1", 0.0, told, {})
    (finding,) = evaluate(replace(seen, server=server))
    assert finding.status == "crit"
    assert (finding.evidence["due_at_age_s"], finding.evidence["epochs_behind"]) == (900, 3.0)
    assert finding.evidence["judged_by"] == "the settings of http://here:1"
    many = seen_with(find("Q8"), {"epochs": [hour] * 7, "servers": servers}, server=server)
    assert [one.evidence["children_max"] for one in evaluate(many) if one.object == "children of messages"] == [8]
