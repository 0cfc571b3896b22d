"""What one server tells the others, and its form: JSON, one letter a field, because a notification holds 8,000 bytes.

    payload     INSTANCE:NUMBER:NEWS        or INSTANCE:NUMBER: when it is too long and must be read in the database
    news        {"p": …, "f": …}            the fields of `News`, those that are empty left out

It knows nothing of how news travel or what is done with them.
"""

from __future__ import annotations

import uuid
from typing import NamedTuple

import msgspec

PAYLOAD_BYTES_MAX = 7_900
ENQUEUED = "enqueued"
"""A payload of its own, by enqueue_many(): a caller has committed messages that nobody has placed yet."""

_encoder = msgspec.json.Encoder()


class News(msgspec.Struct, omit_defaults=True, rename={
    "stored": "p", "freed": "f", "queues": "q", "deleted": "d", "groups": "g", "left": "l", "sought": "s",
    "hello": "h", "everything": "a", "paused": "m"
}):  # fmt: skip
    """Things that happened at one server."""

    stored: dict[int, list[int]] = {}
    """Per queue id: a partition id and the offset after its newest message, again and again."""
    freed: dict[str, list[tuple[int, int, str]]] = {}
    """Per group: (partition id, offset up to which it is acknowledged, lease id if another server may remember it)."""
    queues: list[int] = []
    """Queues that are new or have other options."""
    deleted: list[str] = []
    """Names of queues that were deleted."""
    groups: list[str] = []
    """Groups that were deleted."""
    left: list[tuple[int, str]] = []
    """(queue id, group) of groups that were deleted on one queue."""
    sought: list[tuple[int, str, int]] = []
    """(queue id, group, partition id or 0 for all) of groups whose cursors were set to another place."""
    hello: bool = False
    """The sender has just begun."""
    everything: bool = False
    """More than can be said: look at everything."""
    paused: tuple[bool, int] | None = None
    """Whether pops pause, and the number of that change."""


class Announcement(NamedTuple):
    """News with their sender and number. `news` is None when it is to be read in the database."""

    instance_id: uuid.UUID
    number: int
    news: News | None


_decoder = msgspec.json.Decoder(News)


def encode(news: News) -> str:
    """The news as text."""
    return _encoder.encode(news).decode()


def payload(instance_id: uuid.UUID, number: int, news: str) -> str:
    """What goes into the notification."""
    head = f"{instance_id.hex}:{number}:"
    return head + news if len(head) + len(news.encode()) <= PAYLOAD_BYTES_MAX else head


def decode(news: str) -> News | None:
    """The news of a text; None for one that is none of ours."""
    try:
        return _decoder.decode(news)
    except msgspec.MsgspecError:
        return None


def decode_payload(text: str) -> Announcement | None:
    """The announcement in a notification; None for a text that is none of ours."""
    sender, _, rest = text.partition(":")
    number, _, news = rest.partition(":")
    try:
        instance_id, count = uuid.UUID(hex=sender), int(number)
    except ValueError:
        return None
    if not news:
        return Announcement(instance_id, count, None)
    found = decode(news)
    return Announcement(instance_id, count, found) if found is not None else None
