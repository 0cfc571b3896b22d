"""Q7 on a real PostgreSQL: messages whose time has come, and nobody to place them."""

from __future__ import annotations

from queen.doctor.finding import Threshold
from tests.doctor.queues.support import beat, look
from tests.doctor.support import about
from tests.sql.client import Session
from tests.sql.enqueuing import enqueue, place

SOON = {"limit": Threshold(0.01, 60, "s")}


def test_due_messages_are_found_and_gone_when_placed(module_dsn: str, queen: Session) -> None:
    queen.schedule(queen.partition(), "x", "y")
    assert look(module_dsn, "Q7").status == "ok", "not due yet"
    queen.ripen()
    finding = about(look(module_dsn, "Q7"), "scheduled messages")
    assert finding.status == "crit"
    assert finding.evidence["due"] == 2
    assert finding.evidence["late_s"] > 80_000
    assert (finding.evidence["servers"], finding.evidence["leader"]) == (0, False)
    assert "start one" in finding.remedy
    beat(queen)
    assert about(look(module_dsn, "Q7"), "scheduled messages").evidence["leader"]
    queen.place_due()
    assert look(module_dsn, "Q7").status == "ok"


def test_an_enqueued_message_that_stays_is_found_and_gone_when_placed(module_dsn: str, queen: Session) -> None:
    enqueue(queen, "one")
    assert look(module_dsn, "Q7").status == "ok", "it stood there for a moment only"
    finding = about(look(module_dsn, "Q7", thresholds=SOON), "enqueued messages")
    assert finding.evidence["waiting"] == 1
    assert finding.evidence["at_least_s"] >= 0
    place(queen)
    assert look(module_dsn, "Q7", thresholds=SOON).status == "ok"
