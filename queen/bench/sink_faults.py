"""Faults that a sink can be ordered to have, so that the bench can be seen to find them. Each strikes once, but for
`drop`, `refuse` and `delay`. N counts stored messages from 1 (`cut`: pushes)."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import msgspec

from queen.errors import SettingsError
from queen.units import parse_duration_ms

COUNTED = ("drop", "swap", "duplicate", "corrupt", "ghost", "cut", "early")
NAMES = (*COUNTED, "stall", "refuse", "delay", "not-queen")


class Faults(msgspec.Struct, kw_only=True):
    """0: not ordered."""

    drop: int = 0
    swap: int = 0
    duplicate: int = 0
    corrupt: int = 0
    ghost: int = 0
    cut: int = 0
    early: int = 0
    stall_s: float = 0
    stall_at_s: float = 0
    refuse: float = 0
    delay_s: float = 0
    not_queen: bool = False


def parse(texts: Sequence[str]) -> Faults:
    """From texts as `drop=100000`, `stall=1s@20s`, `refuse=0.01`, `delay=5ms`, `not-queen`. Raises SettingsError."""
    faults = Faults()
    for text in texts:
        name, _, value = text.partition("=")
        try:
            _set(faults, name, value)
        except ValueError as error:
            raise SettingsError(f"fault {text!r} cannot be read", hint=", ".join(NAMES)) from error
    return faults


def _set(faults: Faults, name: str, value: str) -> None:
    if name in COUNTED:
        setattr(faults, name, int(value))
    elif name == "stall":
        length, _, at = value.partition("@")
        faults.stall_s, faults.stall_at_s = parse_duration_ms(length) / 1000, parse_duration_ms(at) / 1000
    elif name == "refuse":
        faults.refuse = float(value)
    elif name == "delay":
        faults.delay_s = parse_duration_ms(value) / 1000
    elif name == "not-queen":
        faults.not_queen = True
    else:
        raise ValueError(name)


def corrupted(data: bytes) -> bytes:
    """One digit of the checksum is another one."""
    return data[:-4] + (b"0" if data[-4:-3] != b"0" else b"1") + data[-3:]


def ghost(transaction: str, data: bytes) -> tuple[str, bytes]:
    """The same message under a sequence that was never sent, in good form."""
    sequence = int(data[-50:-40], 16) + 10**9
    text = data[:-50] + b"%010x" % sequence + data[-40:-10]
    number = re.sub(r"\d+$", str(sequence), transaction)
    return number, text + b"%08x" % zlib.crc32(text) + data[-2:]


def foreign(transaction: str, data: bytes) -> tuple[str, bytes]:
    """The same message as another run would have sent it."""
    text = data[:-68] + b"elsewher" + data[-60:-10]
    return f"other-{transaction}", text + b"%08x" % zlib.crc32(text) + data[-2:]
