"""Deletes among pushes, pops, acks, expired leases and rotation, at random: the rest arrives, once acked, in order."""

from __future__ import annotations

import random

import pytest

from tests.sql import upkeep
from tests.sql.client import Session, Signal


class Story:
    """One partition, one group, and what a consumer that takes its time has seen of it."""

    def __init__(self, session: Session, seed: int) -> None:
        self.session = session
        self.random = random.Random(seed)
        self.p = session.partition()
        self.epoch = 1
        self.pushed = 0
        self.gone: set[int] = set()
        self.acked: list[int] = []
        self.held: list[int] = []
        session.open_cursors([self.p])

    def push(self) -> None:
        count = self.random.randint(1, 4)
        self.session.push({self.p: [f"m{self.pushed + n}" for n in range(count)]})
        self.pushed += count

    def pop(self) -> None:
        if not self.held:
            batch = self.random.randint(1, 5)
            for epoch in range(1, self.epoch + 1):
                rows = self.session.pop(self.p, batch=batch, epoch=epoch)
                if rows:
                    self.held = [int(name[1:]) for name in rows[0].transaction_ids]
                    assert not self.gone.intersection(self.held)
                    return
            self.session.next_epoch(self.p)

    def ack(self) -> None:
        if self.held:
            count = self.random.randint(1, len(self.held))
            rows = self.session.ack(Signal(self.p, self.session.lease, completed=self.held[count - 1]))
            assert rows, "the lease is live"
            self.acked += self.held[:count]
            self.held = [] if rows[0].released else self.held[count:]

    def expire(self) -> None:
        self.session.expire(self.p)
        self.held = []

    def delete(self) -> None:
        number = self.random.randrange(self.pushed + 1)
        found = self.session.call("delete_message", ("bigint", "text", "integer"), self.p, f"m{number}", 1000)[0][0]
        assert (found == "message") == (number < self.pushed and number not in self.gone)
        self.gone.add(number) if found else None

    def rotate(self) -> None:
        if self.epoch < 4:
            self.epoch = upkeep.close(self.session)

    def skip(self) -> None:
        self.session.call("skip_gaps", ("bigint[]", "text[]"), [self.p], ["g"])

    def finish(self) -> None:
        """Everything that is left is delivered, and the cursor ends at the end."""
        self.expire()
        for _ in range(4 * self.pushed + 20):
            self.pop()
            if self.held:
                self.session.ack(Signal(self.p, self.session.lease, completed=self.held[-1]))
                self.acked += self.held
                self.held = []
            self.skip()
        assert self.session.cursor(self.p).acked == self.pushed - 1


@pytest.mark.parametrize("seed", range(4))
def test_what_is_left_arrives_in_order(session: Session, seed: int) -> None:
    story = Story(session, seed)
    moves = [story.push] * 4 + [story.pop] * 6 + [story.ack] * 5 + [story.delete] * 5 + [story.expire, story.skip]
    for number in range(120):
        if number % 40 == 39:
            story.rotate()
        story.random.choice(moves)()
    story.finish()
    firsts = list(dict.fromkeys(story.acked))
    assert firsts == sorted(firsts)
    assert set(range(story.pushed)) - set(firsts) <= story.gone
