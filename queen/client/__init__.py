"""The Python client of Queen.

    async with Client("http://127.0.0.1:6632") as client:
        await client.push([NewMessage("orders", {"order": 7}, partition="shop-3")])
        batch = await client.pop("orders", wait=True)
        await client.ack(batch.messages)

`SyncClient` has the same verbs for code without an event loop. It speaks the public HTTP API only and knows nothing of
the server's inside. docs/client.md has examples.
"""

from __future__ import annotations

from queen.client.client import Client
from queen.client.consumer import Consumed, ConsumeOptions
from queen.client.listed import (
    Counts,
    DeadLetter,
    GroupSummary,
    Page,
    PartitionDetail,
    QueueDetail,
    QueueSummary,
    Replayed,
)
from queen.client.messages import Ack, Acked, LeasedBatch, Message, NewMessage, Pushed
from queen.client.producer import Produced, Producer, ProducerOptions, Unstored
from queen.client.retry import RetryPolicy
from queen.client.sync import SyncClient, SyncProducer
from queen.client.transactions import Transacted

__all__ = [
    "Ack",
    "Acked",
    "Client",
    "ConsumeOptions",
    "Consumed",
    "Counts",
    "DeadLetter",
    "GroupSummary",
    "LeasedBatch",
    "Message",
    "NewMessage",
    "Page",
    "PartitionDetail",
    "Produced",
    "Producer",
    "ProducerOptions",
    "Pushed",
    "QueueDetail",
    "QueueSummary",
    "Replayed",
    "RetryPolicy",
    "SyncClient",
    "SyncProducer",
    "Transacted",
    "Unstored",
]
