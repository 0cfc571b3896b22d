"""W3: most of the log is full-page images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from queen.doctor import needs, stake
from queen.doctor.check import Check, NotSeen, Seen
from queen.doctor.finding import Finding, Fix, Stake, Threshold
from queen.doctor.shared import WAL
from queen.doctor.system import set_system
from queen.doctor.wal import COMPRESSED, grown, image_bytes, megabytes
from queen.store.inspect import Row

_BYTES_MIN: Final = 1 << 20  # less log inside the window is no share
_SPACING_S: Final = 900


def evaluate(seen: Seen) -> Iterable[Finding]:
    """The lower of two shares counts: that of the window, and that since the counters began. The first alone would cry
    wolf after every checkpoint, the second long after the remedy."""
    log = grown(seen)
    timeout = seen.facts.settings.seconds("checkpoint_timeout", 300)
    if log["wal_bytes"] < _BYTES_MIN:
        raise NotSeen("less than 1 MB of log inside the window", "run it under load")
    if seen.limits["age"].judge((log["age_s"] or 0.0) / timeout) is None:
        raise NotSeen("the counters of the log are younger than two checkpoint intervals", "run it again later")
    now = _share(seen, log["wal_fpi"], log["wal_bytes"])
    ever = _share(seen, log["total_images"], log["total_bytes"])
    severity = seen.limits["limit"].judge(min(now, ever))
    if severity is None:
        return
    yield Finding(
        severity,
        f"{min(now, ever):.0%} of the log is images of whole pages",
        {
            "image_share": round(now, 3),
            "image_share_since_reset": round(ever, 3),
            "images": log["wal_fpi"],
            "wal_MB": megabytes(log["wal_bytes"]),
            "counted_s": round(log["age_s"] or 0.0),
            "checkpoint_timeout_s": timeout,
            "wal_compression": seen.facts.settings.text("wal_compression", "off"),
        },
        "Let checkpoints come less often, and see W1; then compress the images.",
        threshold=seen.limits["limit"],
        at_stake=_stake(seen, log, now),
        fix=_fix(seen, timeout),
    )


def _share(seen: Seen, images: float, size: float) -> float:
    return min(1.0, image_bytes(images, seen.facts.settings) / max(size, 1.0))


def _wanted(seen: Seen, timeout: float) -> dict[str, str]:
    wanted = {"checkpoint_timeout": f"{_SPACING_S}s"} if timeout < _SPACING_S else {}
    setting = seen.facts.settings.get("wal_compression")
    if setting is not None and setting.value == "off":
        wanted["wal_compression"] = "lz4" if "lz4" in setting.enumvals else "on"
    return wanted


def _fix(seen: Seen, timeout: float) -> Fix | None:
    wanted = _wanted(seen, timeout)
    note = "After a crash PostgreSQL has more log to read before it serves again."
    return set_system(seen.facts, wanted, note) if wanted else None


def _stake(seen: Seen, log: Row, share: float) -> Stake:
    """A page is imaged once an interval, so a longer one divides the images; compression halves what is left."""
    timeout = seen.facts.settings.seconds("checkpoint_timeout", 300)
    left = min(1.0, timeout / _SPACING_S)
    if "wal_compression" in _wanted(seen, timeout):
        left *= COMPRESSED
    return stake.wal_ceiling(log["wal_bytes"], log["wal_bytes"] * (1 - share * (1 - left)))


CHECK = Check(
    id="W3",
    group="wal",
    title="Full-page images in the log",
    why="An image is 8 kB of log for a change of a hundred bytes; it takes the disk's bandwidth from messages.",
    false_positive="The first minutes after a checkpoint that somebody asked for.",
    explain="""\
The first change of a page after a checkpoint logs the whole page, so that a torn write can be mended. Indexes on random
values, such as transaction ids, touch many pages, so each checkpoint costs a wave of images.

The number of images times the page size, at most, is set against all bytes of log: inside the window, and since the
counters began. Both must be high.

Fewer checkpoints mean fewer images: checkpoint_timeout of 15 minutes, and max_wal_size to fit (W1). wal_compression
makes each image smaller for some processor time. full_page_writes itself stays on: without it a crash can destroy
pages (W8).""",
    evaluate=evaluate,
    queries={"wal": WAL},
    thresholds={
        "limit": Threshold(0.30, 0.60, "of the log"),
        "age": Threshold(2.0, None, "checkpoint intervals that the counters have counted"),
    },
    needs=(needs.primary,),
    delta=True,
)
