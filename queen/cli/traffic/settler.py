"""Sends the acks of a run and counts what became of them. Knows nothing of how messages are handled.

One request settles any mixture of `completed`, `failed` and `retry`. Within a partition the server lets the first
message that is not completed decide: what lies behind it comes again, in order.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from queen.cli.traffic.tally import Tally
from queen.client import Ack, Client, Message


class Settler:
    """Counts `acked`, `failed` (completed, but the server refused the ack), `returned` (given back without having been
    handled) and `dead_letters`."""

    def __init__(self, client: Client, tally: Tally) -> None:
        self._client = client
        self._tally = tally

    async def settle(self, acks: Sequence[Ack], returned: Sequence[Message] = ()) -> None:
        """Settle messages as their acks say, and give back others. Raises what the client raises."""
        self._tally.count("returned", len(returned))
        every = [*acks, *(Ack(message, "retry") for message in returned)]
        if not every:
            return
        began_at = time.perf_counter()
        results = await self._client.settle(every)
        self._tally.requests["ack"].record(began_at)
        for ack, result in zip(every, results, strict=True):
            self._tally.count("dead_letters", int(result.dlq))
            # A refused `retry` or `failed` needs no word: without a lease the message comes again anyway.
            if ack.status == "completed":
                self._tally.count("acked" if result.success else "failed")
                if not result.success:
                    self._tally.note_error(result.error or "refused")
