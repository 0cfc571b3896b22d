"""What the server knows of one message, as evidence beside an anomaly of the ledger.

From the database when it is known. The API has no route for a single message yet: without the database it tells of
dead letters and the queue's counts alone.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from queen.bench.observe.fetch import get_json
from queen.store.probe import Probe


async def message_view(probe: Probe | None, url: str | None, queue: str, partition: str, transaction_id: str) -> str:
    """One line."""
    if probe is not None:
        rows = await probe.rows("message", queue=queue, partition=partition, transaction_id=transaction_id)
        if rows is not None:
            return "; ".join(_stored(row) for row in rows) or "not stored"
    if url is None:
        return "unknown: nobody to ask"
    return await _from_api(url, queue, partition, transaction_id)


def _stored(row: dict[str, Any]) -> str:
    offset, group, acked = row["message_offset"], row["consumer_group"] or "", row["acked"]
    words = [f"stored at offset {offset}, {row['status']}, {row['created_at']:%H:%M:%S.%f}"]
    if row["dead_for"] is not None:
        words.append("in the dead letters")
    if acked is None:
        words.append("no cursor")
    else:
        state = "acked" if offset <= acked else "leased" if row["leased"] and offset <= row["lease_end"] else "pending"
        words.append(f"group {group!r}: {state} (cursor at {acked}, delivered {row['deliveries']} times)")
    return ", ".join(words)


async def _from_api(url: str, queue: str, partition: str, transaction_id: str) -> str:
    page = await get_json(url, "/api/v1/dlq?" + urlencode({"queue": queue, "partition": partition, "limit": 10_000}))
    facts = await get_json(url, f"/api/v1/resources/queues/{quote(queue, safe='')}")
    if page is None and facts is None:
        return "unknown: the server does not answer"
    dead = [one for one in (page or {}).get("messages", ()) if one.get("transactionId") == transaction_id]
    found = ["in the dead letters" if dead else "not in the dead letters"]
    found += [f"queue {name} {value}" for name, value in ((facts or {}).get("totals") or {}).items()]
    return ", ".join(found)
