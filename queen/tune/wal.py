"""Write-ahead log and checkpoints: the pace of a queue, for messages are appended all the time. Pure.

Nothing here weakens a commit: fsync, full_page_writes, synchronous_commit and wal_level are no part of a plan.
"""

from __future__ import annotations

from typing import Final

from queen.errors import TuneRefused
from queen.tune.inputs import GIB, MIB, Inputs, Storage
from queen.tune.known import line
from queen.tune.lines import Line, Note
from queen.tune.load import explain_rate, wal_rate
from queen.tune.memory import Memory
from queen.tune.sizes import down, rounded, seconds, size

COMPLETION: Final = 0.9
TIMEOUT_S: Final = 900
TIMEOUT_S_MIN: Final = 60
REPLAY: Final[dict[Storage, int]] = {"nvme": 150 * MIB, "ssd": 100 * MIB, "network": 60 * MIB, "hdd": 30 * MIB}
"""WAL bytes a second that recovery is taken to replay: careful guesses, not measured on your disk."""

SPACE_SHARE: Final = 0.4
SLOT_SHARE: Final = 0.25
SIZE_MIN: Final = 256 * MIB
SIZE_MAX: Final = 512 * GIB
MANY_IMAGES: Final = 0.3
WORDS_SINCE: Final = 15
"""Before, wal_compression was on or off."""

FAST_WAL: Final = 30 * MIB


def wal_lines(inputs: Inputs, memory: Memory) -> list[Line]:
    """Raises TuneRefused when the disk has no room for a log."""
    return [*_buffers(inputs, memory), *_checkpoints(inputs), *_compression(inputs), *_slots(inputs)]


def wal_notes(inputs: Inputs) -> list[Note]:
    """What was left as it is, and why."""
    notes = []
    if inputs.pg_version >= WORDS_SINCE and not _compresses(inputs):
        why = "no more than 30 % of the log were page images" if inputs.fpi_share is not None else _NOT_SEEN
        notes.append(Note("wal_compression", f"left as it is: {why}"))
    if wal_rate(inputs) * checkpoint_s(inputs) > REPLAY[inputs.storage] * inputs.recovery_s * 1.01:
        notes.append(Note("recovery", f"takes longer than {inputs.recovery_s} s after a crash at this rate"))
    if inputs.commit_ms is not None:
        notes.append(_commits(1000 / inputs.commit_ms, inputs.target_rate))
    if max_wal_bytes(inputs) < _wanted(inputs):
        missing = rounded(_wanted(inputs) / SPACE_SHARE)
        notes.append(Note("disk", f"{missing} of free space for the log would allow the checkpoints this load wants"))
    return notes


def _commits(most: float, rate: float) -> Note:
    """What the disk allows; Queen gathers messages into commits by itself."""
    text = f"at most about {most:.0f} a second one after the other on this disk; {rate:g} messages/s are then"
    return Note("commits", f"{text} {max(1.0, rate / most):.0f} or more in each")


_NOT_SEEN: Final = "it pays when page images are over 30 % of the log, which a running server can tell"


def checkpoint_s(inputs: Inputs) -> int:
    """Seconds from checkpoint to checkpoint: 15 minutes, less where replaying them would take too long."""
    most = inputs.recovery_s * REPLAY[inputs.storage] / wal_rate(inputs)
    if most >= TIMEOUT_S:
        return TIMEOUT_S
    return max(TIMEOUT_S_MIN, int(most) // 30 * 30)


def max_wal_bytes(inputs: Inputs) -> int:
    """max_wal_size. Raises TuneRefused when 40 % of the space is less than a log needs."""
    wanted = _wanted(inputs)
    if inputs.wal_space_bytes is None:
        return wanted
    most = int(inputs.wal_space_bytes * SPACE_SHARE)
    if most < SIZE_MIN:
        raise TuneRefused(
            f"only {rounded(inputs.wal_space_bytes)} are free for the write-ahead log, and 40 % of that is too little",
            hint=f"free some space: {rounded(SIZE_MIN / SPACE_SHARE)} is the least",
        )
    return min(wanted, down(most))


def _rate(inputs: Inputs) -> str:
    return f"{rounded(wal_rate(inputs))}/s"


def _wanted(inputs: Inputs) -> int:
    full = wal_rate(inputs) * checkpoint_s(inputs) * (1 + COMPLETION) * 1.2
    # Rounded up: a checkpoint by the clock is what the size is for.
    wanted = down(full) if down(full) >= full else down(full) + (GIB // 8 if full >= 2 * GIB else 16 * MIB)
    return min(SIZE_MAX, max(GIB, wanted))


def _buffers(inputs: Inputs, memory: Memory) -> list[Line]:
    fast = wal_rate(inputs) > FAST_WAL
    wanted = 64 * MIB if fast else 16 * MIB
    amount = max(MIB, min(wanted, memory.shared_buffers // 16 // MIB * MIB))
    why = f"16MB, 64MB above {rounded(FAST_WAL)}/s, at most shared_buffers ÷ 16; {_rate(inputs)} of WAL"
    reason = "one group commit of large batches fits without waiting"
    return [line(inputs, "wal_buffers", size(amount), reason, why)]


def _checkpoints(inputs: Inputs) -> list[Line]:
    period, most = checkpoint_s(inputs), max_wal_bytes(inputs)
    least = max(most // 4, min(GIB, most // 2)) // MIB * MIB
    replay = f"{inputs.recovery_s} s of recovery at {rounded(REPLAY[inputs.storage])}/s"
    space = "no space known" if inputs.wal_space_bytes is None else f"40 % of {rounded(inputs.wal_space_bytes)}"
    return [
        line(
            inputs,
            "checkpoint_timeout",
            seconds(period),
            "each checkpoint makes the log larger for a while: whole pages again",
            f"15min, less where {replay} is not enough; {explain_rate(inputs)}",
        ),
        line(
            inputs,
            "checkpoint_completion_target",
            f"{COMPLETION}",
            "spreads a checkpoint's writes, so that pushes see no burst",
            "fixed",
        ),
        line(
            inputs,
            "max_wal_size",
            size(most),
            "checkpoints come by the clock and not by volume",
            f"{_rate(inputs)} × {period} s × 1.9 × 1.2, at least 1GB, at most {space}",
        ),
        line(
            inputs,
            "min_wal_size",
            size(least),
            "log files are used again: making new ones holds up every commit",
            "max_wal_size ÷ 4, or 1GB where that is more and max_wal_size is twice that",
        ),
    ]


def _compresses(inputs: Inputs) -> bool:
    has_words = inputs.pg_version >= WORDS_SINCE
    return has_words and (inputs.fpi_share or 0.0) > MANY_IMAGES and inputs.offers("wal_compression", "lz4")


def _compression(inputs: Inputs) -> list[Line]:
    if not _compresses(inputs):
        return []
    reason = "images of whole pages are a large part of this log, and lz4 is cheap"
    formula = f"lz4 where it is offered and images are over 30 %: {100 * (inputs.fpi_share or 0):.0f} % observed"
    return [line(inputs, "wal_compression", "lz4", reason, formula)]


def _slots(inputs: Inputs) -> list[Line]:
    keep, formula = 2 * max_wal_bytes(inputs), "2 × max_wal_size"
    if inputs.wal_space_bytes is not None:
        keep = min(keep, down(inputs.wal_space_bytes * SLOT_SHARE))
        formula += f", at most 25 % of {rounded(inputs.wal_space_bytes)}"
    reason = "a forgotten replication slot is lost before the disk is full"
    lines = [line(inputs, "max_slot_wal_keep_size", size(keep), reason, formula)]
    if inputs.pg_version >= 18:
        reason = "a slot that nobody has used for a day is given up"
        lines.append(line(inputs, "idle_replication_slot_timeout", "24h", reason, "fixed"))
    return lines
