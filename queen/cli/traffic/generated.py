"""Made-up messages: payloads of given sizes or from a template, over partitions p0, p1, … or by a field of theirs.

The filling is a slice of random text at a moving place, so that neither a network nor a database can compress it away.
Everything random comes from one seed, so that a run can be repeated.
"""

from __future__ import annotations

import base64
import itertools
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from msgspec import Raw

from queen.cli.traffic.fields import MissingField, partition_by_field
from queen.cli.traffic.source import ITEM_BYTES, Chunk, lane_of
from queen.cli.traffic.spread import Keys, SizeRange
from queen.cli.traffic.template import Template
from queen.client import NewMessage
from queen.errors import InvalidRequest

_CHUNK_MESSAGES = 100
_CHUNK_BYTES = 1024 * 1024
_PAD_STEP = 97
SEED_DEFAULT = 1


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is made. A template leaves `sizes` without effect; `partition_by` a field of it `partitions` and `keys`."""

    queue: str
    partitions: int
    sizes: SizeRange
    seed: int = SEED_DEFAULT
    keys: Keys = field(default_factory=Keys)
    template: Template | None = None
    partition_by: str | None = None
    partition_default: str | None = None


def payloads(sizes: SizeRange, seed: int = SEED_DEFAULT) -> Callable[[int], bytes]:
    """Payload number n as JSON of a size of the range, or the smallest that holds the number when that is more."""
    pad_text = base64.b64encode(random.Random(seed).randbytes(sizes.most + 4096))
    next_size = sizes.drawn(seed)

    def payload(number: int) -> bytes:
        head = b'{"n":%d,"pad":"' % number
        length = max(0, next_size() - len(head) - 2)
        start = number * _PAD_STEP % (len(pad_text) - length)
        return head + pad_text[start : start + length] + b'"}'

    return payload


async def generated(recipe: Recipe) -> AsyncIterator[Chunk]:
    """Messages without end. The lane follows the partition's number, so that lanes are equally loaded.

    Raises InvalidRequest when a payload lacks the field to partition by."""
    make = _payload_maker(recipe)
    place = _placer(recipe)
    first = make(0)
    # Large payloads come in small chunks: what is made ahead of need counts in memory.
    largest = len(first) if recipe.template else recipe.sizes.most
    ahead = max(1, min(_CHUNK_MESSAGES, _CHUNK_BYTES // max(1, largest)))
    for begin in itertools.count(step=ahead):
        chunk: Chunk = []
        for number in range(begin, begin + ahead):
            payload = make(number) if number else first
            lane, partition = place(number, payload)
            chunk.append((lane, (NewMessage(recipe.queue, Raw(payload), partition), len(payload) + ITEM_BYTES)))
        yield chunk


def _payload_maker(recipe: Recipe) -> Callable[[int], bytes]:
    template = recipe.template
    return payloads(recipe.sizes, recipe.seed) if template is None else (lambda _: template.payload())


def _placer(recipe: Recipe) -> Callable[[int, bytes], tuple[int, str]]:
    """(message number, payload) → (lane, partition)."""
    name, default = recipe.partition_by, recipe.partition_default
    if name is None:
        names = [f"p{index}" for index in range(recipe.partitions)]
        draw = recipe.keys.drawn(recipe.partitions, recipe.seed)
        return lambda number, _: (index := draw(number), names[index])

    def by_field(number: int, payload: bytes) -> tuple[int, str]:
        try:
            partition = partition_by_field(Raw(payload), name, default)
        except ValueError as error:
            hint = error.hint if isinstance(error, MissingField) else None
            raise InvalidRequest(f"generated message {number}: {error}", hint=hint) from error
        return lane_of(partition), partition

    return by_field
