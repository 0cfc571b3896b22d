"""What `queen consume` does with a batch when it runs a command: one for each message, or one for the whole batch.

Invariants
- A message is completed only when its command exited with 0. One that failed is settled as the options say, and what
  stands behind it in its partition is not run but given back, so that the order holds.
- A command that the end of the run cut off counts for nothing: its messages are given back.
- Commands that fail again and again are run at a growing distance.
"""

from __future__ import annotations

import asyncio
import select
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from queen.cli.traffic.child import Ending, run_shell
from queen.cli.traffic.printing import line_of
from queen.cli.traffic.settler import Settler
from queen.cli.traffic.stop import Stop
from queen.cli.traffic.tally import Tally
from queen.client import Ack, Client, LeasedBatch, Message, RetryPolicy
from queen.client.lease import Lease, kept
from queen.client.retry import pause_ms
from queen.model import QUEUE_MODE

_FAILING_MAX = 100_000
_SKIPPED = Ending("skipped", interrupted=True)
_PAUSES = RetryPolicy(wait_ms=200, wait_ms_max=5_000)


@dataclass(frozen=True, slots=True)
class Job:
    """What to run and how. `whole`: once for a batch; `ack`: by `batch` or by `message`; `lease_s` is what each pop
    asked for and each extension gives."""

    command: str
    whole: bool = False
    timeout_s: float = 300.0
    fail_as: str = "retry"
    ack: str = "message"
    envelope: bool = False
    lease_s: int = 60


class Commander:
    """The handler of batches that commands work on; shared by all workers of a run. `tally` counts `messages` (whose
    command ended), `redelivered`, `handler_failed`, and `left_failing`: partitions whose last message failed."""

    def __init__(self, client: Client, job: Job, settler: Settler, tally: Tally, stop: Stop) -> None:
        self._client = client
        self._job = job
        self._settler = settler
        self._tally = tally
        self._stop = stop
        self._failing: set[str] = set()
        self._in_vain = 0

    async def handle(self, batch: LeasedBatch) -> int:
        """Run and settle; returns for how many messages a command was run to its end."""
        async with kept(self._client, batch.lease_id, self._job.lease_s) as lease:
            used, good = await (self._whole(batch) if self._job.whole else self._each(batch, lease))
        self._in_vain = self._in_vain + 1 if used and not good else 0
        if self._in_vain:
            await self._stop.race(asyncio.sleep(pause_ms(_PAUSES, self._in_vain, None) / 1000))
        return used

    async def _each(self, batch: LeasedBatch, lease: Lease) -> tuple[int, int]:
        """Returns (commands that ended, those that exited with 0)."""
        acks: list[Ack] = []
        returned: list[Message] = []
        stuck: set[str] = set()
        used = good = 0
        for place, message in enumerate(batch.messages):
            if message.partition_id in stuck:
                returned.append(message)
                continue
            skip = self._stop.requested or lease.lost
            ending = _SKIPPED if skip else await self._run(batch, [place])
            if ending.interrupted:
                returned.append(message)
                continue
            used, good = used + 1, good + (ending.trouble is None)
            if ending.trouble is not None:
                stuck.add(message.partition_id)
            acks.append(self._ack(message, ending))
            if self._job.ack == "message":
                await self._settler.settle(acks)
                acks = []
        await self._settler.settle(acks, returned)
        return used, good

    async def _whole(self, batch: LeasedBatch) -> tuple[int, int]:
        ending = await self._run(batch, range(len(batch.messages)))
        if ending.interrupted:
            await self._settler.settle([], batch.messages)
            return 0, 0
        acks: list[Ack] = []
        begun: set[str] = set()
        for message in batch.messages:
            # Only the first of a partition is charged with the failure; the others go back with it.
            behind = ending.trouble is not None and message.partition_id in begun
            acks.append(Ack(message, "retry") if behind else self._ack(message, ending))
            begun.add(message.partition_id)
        await self._settler.settle(acks)
        return len(acks), len(acks) if ending.trouble is None else 0

    async def _run(self, batch: LeasedBatch, places: Sequence[int]) -> Ending:
        messages = [batch.messages[place] for place in places]
        data = b"".join(line_of(batch, place, self._job.envelope) for place in places)
        variables = variables_of(messages, whole=self._job.whole)
        ending = await run_shell(self._job.command, variables, data, self._job.timeout_s, self._stop)
        if ending.trouble is not None and not ending.interrupted and _nobody_reads(sys.stdout.fileno()):
            # It failed because its reader left, as `head` does. That says nothing about the message.
            self._stop.request("closed pipe")
            return _SKIPPED
        if not ending.interrupted:
            self._tally.take(messages)
            self._note(messages, ending)
        return ending

    def _note(self, messages: Sequence[Message], ending: Ending) -> None:
        partitions = {message.partition_id for message in messages}
        if ending.trouble is None:
            self._failing -= partitions
        else:
            self._tally.count("handler_failed", len(messages))
            self._tally.failures[ending.trouble] += 1
            if len(self._failing) < _FAILING_MAX:
                self._failing |= partitions
        self._tally.counts["left_failing"] = len(self._failing)

    def _ack(self, message: Message, ending: Ending) -> Ack:
        if ending.trouble is None:
            return Ack(message)
        # What the system had no room to start is no fault of the message.
        return Ack(message, self._job.fail_as if ending.started else "retry", f"command: {ending.trouble}")


def variables_of(messages: Sequence[Message], *, whole: bool) -> dict[str, str]:
    """What a command finds in its environment. Their names must be reserved among the settings' variables: a command
    may be `queen produce`."""
    first = messages[0]
    group = "" if first.consumer_group == QUEUE_MODE else first.consumer_group
    variables = {"QUEEN_QUEUE": first.queue, "QUEEN_GROUP": group}
    if whole:
        return variables | {"QUEEN_MESSAGES": str(len(messages))}
    return variables | {
        "QUEEN_PARTITION": first.partition,
        "QUEEN_MESSAGE_ID": first.id,
        "QUEEN_TRANSACTION_ID": first.transaction_id,
        "QUEEN_ATTEMPT": str(first.delivery_attempt),
    }


def _nobody_reads(descriptor: int) -> bool:
    """Is this the end of a pipe whose reader has left?"""
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))
