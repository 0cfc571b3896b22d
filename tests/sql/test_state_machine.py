"""Random lives of a partition against the rules in plain Python: push, pop, ack, extend, expiry, dead letters."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.sql.client import Session, Signal
from tests.sql.rules import Cursor, Options

GROUPS = ("g", "h")
STATUSES = ("completed", "completed", "retry", "failed", "dlq")
_queues = itertools.count(1)

groups = st.sampled_from(GROUPS)
transaction_ids = st.lists(st.integers(0, 60).map(lambda n: f"t{n}"), min_size=1, max_size=4)
# Places are counted from the cursor on, so that most of them mean something; a few lie behind it.
items = st.lists(st.tuples(st.integers(-1, 5), st.sampled_from(STATUSES)), min_size=1, max_size=5)
which_lease = st.sampled_from(("own", "own", "own", "own", "none", "stale", "foreign"))


class Machine(RuleBasedStateMachine):
    """One partition, two groups. What the database says is compared after every step."""

    session: Session

    @initialize(
        limit=st.integers(0, 3), letters=st.booleans(), delay=st.sampled_from((False, False, True)), group=groups
    )
    def begin(self, limit: int, letters: bool, delay: bool, group: str) -> None:
        queue = f"q{next(_queues)}"
        self.options = Options(limit, letters, delay)
        own: dict[str, Any] = {"retryLimit": limit, "deadLetterQueue": letters, "dlqAfterMaxRetries": letters}
        if delay:
            own["retryDelay"] = 3_600_000
        self.session.configure(queue, **own)
        self.p = self.session.partition(queue=queue)
        self.log: list[str] = []
        self.cursors = {name: Cursor() for name in GROUPS}
        self.stale: dict[str, uuid.UUID] = {name: uuid.uuid4() for name in GROUPS}
        for name in GROUPS:
            self.session.open_cursors([self.p], name)

    @rule(ids=transaction_ids)
    def push(self, ids: list[str]) -> None:
        fresh = list(dict.fromkeys(one for one in ids if one not in self.log))
        if len(fresh) == len(ids):
            assert self.session.push({self.p: ids}) == [len(self.log)]
            self.log += ids
            return
        with pytest.raises(psycopg.errors.UniqueViolation):
            self.session.push({self.p: ids})
        self._push_again(ids)

    def _push_again(self, ids: list[str]) -> None:
        answers = self.session.push_deduplicating({self.p: ids})
        for one, answer in zip(ids, answers, strict=True):
            duplicate = one in self.log
            if not duplicate:
                self.log.append(one)
            assert answer == (self.log.index(one), duplicate)

    @rule(group=groups, batch=st.integers(1, 6), auto=st.sampled_from((False, False, False, True)))
    def pop(self, group: str, batch: int, auto: bool) -> None:
        cursor = self.cursors[group]
        lease = None if auto else uuid.uuid4()
        before = cursor.lease
        expected = cursor.pop(len(self.log), batch, lease)
        rows = self.session.pop(self.p, group=group, batch=batch, lease=lease, lease_ms=3_600_000, auto=auto)
        if expected is None:
            assert rows == []
            return
        if isinstance(before, uuid.UUID):
            self.stale[group] = before
        first, last, attempt = expected
        row = rows[0]
        assert (row.first_offset, row.attempt, row.head) == (first, attempt, len(self.log))
        assert row.transaction_ids == self.log[first : last + 1]

    @rule(group=groups, places=items, lease=which_lease)
    def ack(self, group: str, places: list[tuple[int, str]], lease: str) -> None:
        cursor = self.cursors[group]
        end = len(self.log) - 1 if lease == "none" else cursor.span_end
        found = [(cursor.acked + 1 + n, status) for n, status in places]
        found = [(offset, status) for offset, status in found if 0 <= offset <= end]
        if not found:
            return
        lease_id = self._lease(group, lease)
        before = cursor.acked
        may = lease_id is None or (cursor.live and lease_id == cursor.lease)
        expected = cursor.ack(found, self.options) if may else False
        rows = self._send(group, lease_id, found, before)
        assert bool(rows) == expected
        if rows:
            assert (rows[0].acked_was, rows[0].acked) == (before, cursor.acked)
            assert rows[0].released == (cursor.lease is None)
        if cursor.lease is None and lease == "own" and lease_id is not None:
            self.stale[group] = lease_id

    def _lease(self, group: str, which: str) -> uuid.UUID | None:
        own = self.cursors[group].lease
        if which == "own":
            return own if isinstance(own, uuid.UUID) else uuid.uuid4()
        return {"none": None, "stale": self.stale[group], "foreign": uuid.uuid4()}[which]

    def _send(self, group: str, lease: uuid.UUID | None, found: list[tuple[int, str]], acked: int) -> list[Any]:
        """Reduces items to extremes, as callers of the SQL functions do."""

        def extreme(status: str) -> int | None:
            return min((offset for offset, one in found if one == status and offset > acked), default=None)

        completed = max((offset for offset, one in found if one == "completed"), default=None)
        signal = Signal(self.p, lease, group, completed, extreme("retry"), extreme("failed"), extreme("dlq"))
        if signal.failed is None and signal.dead is None:
            if completed is None and signal.retried is None:
                return []
            return self.session.ack(signal)
        return self.session.ack_failed(signal)

    @rule(group=groups)
    def expire(self, group: str) -> None:
        self.session.expire(self.p, group)
        self.cursors[group].expire()

    @rule(group=groups, which=which_lease, longer=st.booleans())
    def extend(self, group: str, which: str, longer: bool) -> None:
        lease = self._lease(group, which) or uuid.uuid4()
        before = self.session.cursor(self.p, group).lease_until
        rows = self.session.extend((lease, self.p, 7_200_000 if longer else 1))
        cursor = self.cursors[group]
        assert len(rows) == (cursor.live and lease == cursor.lease)
        after = self.session.cursor(self.p, group).lease_until
        assert (after > before) if rows and longer else (after == before)

    @rule(group=groups, offset=st.one_of(st.none(), st.integers(0, 60)))
    def seek(self, group: str, offset: int | None) -> None:
        at, place = None, len(self.log)
        if offset is not None and self.log:
            at = self.session.one(
                'select created_at from {s}.messages where partition_id = %s and "offset" = %s',
                self.p,
                min(offset, len(self.log) - 1),
            )
            place = self.session.one(
                'select min("offset") from {s}.messages where partition_id = %s and created_at >= %s', self.p, at
            )
        types = ("bigint[]", "text", "timestamptz")
        assert self.session.call("seek", types, [self.p], group, at)[0][0] == 1
        cursor = self.cursors[group]
        if isinstance(cursor.lease, uuid.UUID):
            self.stale[group] = cursor.lease
        cursor.seek(place)

    @invariant()
    def database_agrees(self) -> None:
        if not hasattr(self, "p"):
            return
        assert self.session.stored(self.p) == list(enumerate(self.log))
        for group, cursor in self.cursors.items():
            row = self.session.cursor(self.p, group)
            assert (row.acked, row.retries, row.deliveries, row.live) == (
                cursor.acked,
                cursor.retries,
                cursor.deliveries,
                cursor.live,
            )
            assert row.lease_id == cursor.lease
            standing = self.session.examine(self.p, group)
            assert (standing.held_ms is not None) == (cursor.live or cursor.held)
            letters = self.session.rows(
                'select "offset", retries from {s}.dead_letters where partition_id = %s and consumer_group = %s'
                " order by dead_letter_id",
                self.p,
                group,
            )
            assert [tuple(letter) for letter in letters] == cursor.buried


@pytest.fixture(scope="module")
def machine(module_dsn: str) -> Iterator[type[Machine]]:
    with Session(module_dsn) as session:
        yield type("BoundMachine", (Machine,), {"session": session})


def test_a_partition_keeps_the_rules_whatever_comes(machine: type[Machine]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=50,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
        ),
    )
