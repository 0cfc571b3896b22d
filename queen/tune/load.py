"""What the load writes: WAL bytes a second, from our own measurement or what the server was seen to write. Pure."""

from __future__ import annotations

from typing import Final

from queen.tune.inputs import Inputs
from queen.tune.sizes import rounded

LIFE_BYTES: Final = 900
"""WAL of a message's whole life beside its payload, one message a request, images of whole pages included: 1,172 B
with 265 B of payload (README, "Figures"). Batches of 100 need half of that; the worse case decides here."""

GROUP_BYTES: Final = 60
"""WAL of one more group that reads a message and acks it in batches."""


def computed_rate(inputs: Inputs) -> float:
    """WAL bytes a second of the load that was asked for."""
    return inputs.target_rate * (inputs.payload_bytes + LIFE_BYTES + GROUP_BYTES * (inputs.groups - 1))


def wal_rate(inputs: Inputs) -> float:
    """WAL bytes a second to plan for: the computed rate, or the observed one where that is higher."""
    return max(computed_rate(inputs), inputs.wal_rate_observed or 0.0)


def explain_rate(inputs: Inputs) -> str:
    """How `wal_rate` came about, with the numbers."""
    if (inputs.wal_rate_observed or 0.0) > computed_rate(inputs):
        return f"{rounded(wal_rate(inputs))}/s of WAL, as observed"
    more = f" + {inputs.groups - 1} × {GROUP_BYTES} B" if inputs.groups > 1 else ""
    one = f"{inputs.payload_bytes} B + {LIFE_BYTES} B{more}"
    return f"{rounded(wal_rate(inputs))}/s of WAL = {inputs.target_rate:g}/s × ({one})"
