"""Which repairs are made by which consent. Pure."""

from __future__ import annotations

from typing import Any

import pytest

from queen.doctor.finding import Finding, Fix, FixClass, Stake
from queen.doctor.repair.guard import refuse_unsafe
from queen.doctor.repair.plan import Consent, Plan, make_plan
from queen.doctor.repair.provider import parameter_lines, provider
from queen.errors import RepairRefused
from tests.doctor.invented import FIRST, SECOND, finding, report, result
from tests.doctor.seen import facts, setting

SET = ("ALTER SYSTEM SET max_wal_size = '12GB'", "SELECT pg_reload_conf()")


def of(kind: FixClass, *statements: str, object_: str = "a") -> Finding:
    return finding(object_=object_, fix=Fix(kind, statements or (f"VACUUM {object_}",)))


def plan(*findings: Finding, consent: Consent | None = None, **known: Any) -> Plan:
    return make_plan(report(result(FIRST, *findings)).ranked(), consent or Consent(), facts(**known))


def test_by_itself_only_what_is_online_is_done() -> None:
    made = plan(of("A"), of("B", *SET), of("C", *SET[:1]), of("D", "DROP INDEX i"), of("E", "sysctl -w x=1"))
    assert [step.kind for step in made.steps] == ["A"]
    reasons = {left.step.kind: left.reason for left in made.left}
    assert reasons == {
        "B": "needs a reload: add --allow reload",
        "C": "needs a restart: add --allow restart",
        "D": "needs your consent: queen doctor --fix V1 --yes",
        "E": "outside PostgreSQL: for you to do",
    }
    assert {left.step.kind: left.lines for left in made.left}["E"] == ("sysctl -w x=1",)


@pytest.mark.parametrize(
    ("consent", "kinds"),
    [
        (Consent(allow=frozenset({"reload"})), "B"),
        (Consent(allow=frozenset({"restart"})), "C"),
        (Consent(yes=True), ""),
        (Consent(ids=frozenset({"V"}), yes=True), ""),
        (Consent(ids=frozenset({"V1"})), ""),
        (Consent(ids=frozenset({"V1"}), yes=True), "D"),
    ],
)
def test_consent(consent: Consent, kinds: str) -> None:
    made = plan(of("B", *SET), of("C", *SET[:1]), of("D", "DROP INDEX i"), of("E", "sysctl"), consent=consent)
    assert "".join(step.kind for step in made.steps) == kinds


def test_steps_come_in_rank_order_and_the_same_statement_once() -> None:
    dear = finding(object_="b", stake=Stake("bound", 0.0, 9.0), fix=Fix("A", ("VACUUM b",)))
    seen = report(result(FIRST, of("A"), dear), result(SECOND, of("A")))
    assert [step.object for step in make_plan(seen.ranked(), Consent(), facts()).steps] == ["b", "a"]


def test_a_finding_without_a_fix_is_no_step() -> None:
    assert plan(finding()) == Plan((), ())


def test_managed_servers_get_the_line_of_their_parameter_group() -> None:
    seen = report(result(FIRST, of("B", *SET), of("A")))
    allow = Consent(allow=frozenset({"reload", "restart"}))
    made = make_plan(seen.ranked(), allow, facts(setting("rds.extensions", "x"), superuser=False))
    assert [step.kind for step in made.steps] == ["A"]
    assert made.left[0].reason == "set it in the parameter group of Amazon RDS"
    assert made.left[0].lines == ("max_wal_size = 12GB",)
    assert provider(facts(setting("max_wal_size", "1024"))) is None
    assert parameter_lines(["SELECT pg_reload_conf()", "alter system set a.b to 'c';"]) == ("a.b = c",)


def test_a_role_that_may_not_alter_the_system_is_told_the_grant() -> None:
    allow = Consent(allow=frozenset({"reload"}))
    made = plan(of("B", *SET), consent=allow, superuser=False, may_alter_system=False)
    assert made.steps == ()
    assert made.left[0].lines[0] == 'GRANT ALTER SYSTEM ON PARAMETER max_wal_size TO "queen";'
    older = plan(of("B", *SET), consent=allow, superuser=False, may_alter_system=False, version=140010)
    assert older.left[0].lines == SET


@pytest.mark.parametrize(
    ("known", "word"),
    [
        ({"in_recovery": True}, "standby"),
        ({"backend_pid": 8}, "pooler"),
        ({"schema_owned": False, "schema_owner": "boss"}, "does not own"),
    ],
)
def test_nothing_is_changed_where_it_would_not_be_safe(known: dict[str, Any], word: str) -> None:
    with pytest.raises(RepairRefused, match=word) as caught:
        refuse_unsafe(facts(**known))
    assert caught.value.hint


def test_without_a_schema_of_ours_nobody_owns_it() -> None:
    refuse_unsafe(facts(schema_owner=None, schema_owned=False))
