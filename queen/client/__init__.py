"""The async HTTP client of Queen: push, pop, ack and the calls around them.

    async with Client("http://127.0.0.1:6632") as client:
        await client.push([NewMessage("orders", {"order": 7}, partition="shop-3")])
        batch = await client.pop("orders", wait=True)
        await client.ack(batch.messages)

It speaks the public HTTP API only and knows nothing of the server's inside.
"""

from __future__ import annotations

from queen.client.client import Client
from queen.client.messages import Ack, Acked, LeasedBatch, Message, NewMessage, Pushed
from queen.client.retry import RetryPolicy

__all__ = [
    "Ack",
    "Acked",
    "Client",
    "LeasedBatch",
    "Message",
    "NewMessage",
    "Pushed",
    "RetryPolicy",
]
