"""Words and examples for the OpenAPI page: parameters by name, bodies and answers of the hot routes.

The examples belong together: what is pushed here is popped and acknowledged here.
"""

from __future__ import annotations

from typing import Any

_PARTITION = "00000000-0007-8001-8000-000000000000"
_MESSAGE = "00000000-0007-8000-8000-00000000002a"
_LEASE = "01990f3f-0a11-7d02-8c44-000000000007"
_SCAN = "scan-90112"
_PAYLOAD = {"parcel": 90112, "gate": "B"}
_ACK: dict[str, Any] = {"transactionId": _SCAN, "partitionId": _PARTITION, "leaseId": _LEASE, "status": "completed"}

PUSH = {
    "items": [{"queue": "parcels.scanned", "partition": "depot-7", "transactionId": _SCAN, "payload": _PAYLOAD}],
}
PUSHED = [
    {
        "index": 0,
        "message_id": _MESSAGE,
        "transaction_id": _SCAN,
        "queueName": "parcels.scanned",
        "partition_id": _PARTITION,
        "status": "queued",
    }
]
ACK = {**_ACK, "consumerGroup": "billing", "error": None}
ACK_BATCH = {"consumerGroup": "billing", "acknowledgments": [_ACK]}
ACKED = [
    {
        "index": 0,
        "transactionId": _SCAN,
        "success": True,
        "error": None,
        "leaseReleased": True,
        "dlq": False,
        "noop": False,
        "queueName": "parcels.scanned",
        "partitionName": "depot-7",
    }
]
POPPED = {
    "success": True,
    "queue": "parcels.scanned",
    "partition": "depot-7",
    "partitionId": _PARTITION,
    "leaseId": _LEASE,
    "consumerGroup": "billing",
    "partitionsClaimed": 1,
    "messages": [
        {
            "id": _MESSAGE,
            "transactionId": _SCAN,
            "traceId": None,
            "data": _PAYLOAD,
            "producerSub": None,
            "createdAt": "2026-03-02T08:15:00.104233Z",
            "queue": "parcels.scanned",
            "partition": "depot-7",
            "partitionId": _PARTITION,
            "leaseId": _LEASE,
            "consumerGroup": "billing",
            "deliveryAttempt": 1,
        }
    ],
}
ERROR = {"error": "Queue not found", "code": "not_found", "hint": "GET /api/v1/resources/queues lists the queues"}

PARAMETERS: dict[str, tuple[str, Any]] = {
    "queue": ("Name of the queue.", "orders"),
    "partition": ("Name of the partition.", "customer-31"),
    "namespace": ("Namespace of the queues.", "shop"),
    "task": ("Task of the queues.", "billing"),
    "group": ("Name of the consumer group; `__QUEUE_MODE__` is the queue's own cursor.", "billing"),
    "consumerGroup": ("Name of the consumer group; `__QUEUE_MODE__` is the queue's own cursor.", "billing"),
    "deleteMetadata": ("Forget where the group started, too.", True),
    "lease_id": ("The lease, as the pop gave it.", "01990f3f-0a11-7d02-8c44-9b1e2d3c4f50"),
    "partition_id": ("The partition, as the pop gave it.", "00000000-0007-8001-8000-000000000000"),
    "transaction_id": ("The message's transaction id.", "order-4711"),
    "record_id": ("The record of the dead letter.", "00000000-0009-8003-8000-000000000000"),
    "name": ("A name that traces were given.", "checkout"),
    "search": ("Part of the name, in any case.", "ord"),
    "from": ("Not before this time.", "2026-01-31T12:00:00Z"),
    "to": ("Not after this time.", "2026-01-31T13:00:00Z"),
    "interval": ("Width of a point: minute, hour or day.", "hour"),
    "limit": ("Most entries of the page.", 100),
    "offset": ("Entries to skip.", 0),
}
"""What a parameter means wherever it stands, and an example; a route may describe its own more closely."""
