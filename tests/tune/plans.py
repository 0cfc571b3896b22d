"""Machines and loads of every kind for the tests of the tuner, and the numbers of a plan read back."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

from queen.tune.inputs import GIB, MIB, Inputs
from queen.tune.plan import Plan

WEAK: Final = frozenset(
    {"fsync", "full_page_writes", "synchronous_commit", "wal_level", "wal_sync_method", "commit_delay"}
)
"""Settings by which a commit could become less than a commit, or an answer wait for others."""

ENUMS: Final[dict[int, dict[str, tuple[str, ...]]]] = {
    14: {"default_toast_compression": ("pglz", "lz4")},
    15: {"default_toast_compression": ("pglz", "lz4"), "wal_compression": ("pglz", "lz4", "zstd", "on", "off")},
}

_UNITS: Final = {"kB": 1 << 10, "MB": MIB, "GB": GIB}
_SECONDS: Final = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}


def number(text: str) -> float:
    """A value of a plan as bytes, seconds or a plain number; by other means than the code under test."""
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    unit = text[len(digits) :]
    return float(digits) * (_UNITS | _SECONDS).get(unit, 1)


def value(plan: Plan, name: str) -> float:
    """The number of one setting of the server."""
    text = plan.value(name)
    assert text is not None, name
    return number(text)


@st.composite
def machines(draw: st.DrawFn) -> Inputs:
    """256 MB to 1 TB, 1 to 256 processors, all storages, all versions, loads from a trickle to too much."""
    version = draw(st.integers(14, 18))
    asked = draw(st.booleans())
    return Inputs(
        memory_bytes=int(2 ** draw(st.floats(28, 40))),
        cpus=draw(st.integers(1, 256)),
        storage=draw(st.sampled_from(("ssd", "nvme", "hdd", "network"))),
        target_rate=10 ** draw(st.floats(0, 6)),
        payload_bytes=draw(st.sampled_from((0, 200, 1024, 65_536, 1_000_000))),
        groups=draw(st.integers(1, 20)),
        pool_size=draw(st.integers(1, 300)) if asked else 16,
        instances=draw(st.integers(1, 30)) if asked else 1,
        pg_version=version,
        workers_here=draw(st.integers(0, 1)),
        other_connections=draw(st.integers(0, 200)),
        pooled_connections=draw(st.none() | st.integers(1, 100)) if asked else None,
        wal_space_bytes=draw(st.none() | st.integers(GIB, 1 << 44)),
        wal_rate_observed=draw(st.none() | st.floats(1, 1e9)),
        fpi_share=draw(st.none() | st.floats(0, 1)),
        recovery_s=draw(st.integers(1, 3600)),
        clock_source=draw(st.sampled_from((None, "tsc", "hpet"))),
        enumvals=draw(st.sampled_from(({}, ENUMS[14 if version == 14 else 15]))),
        libraries=draw(st.sampled_from(((), ("pg_stat_statements",)))),
        preloaded=draw(st.sampled_from((None, (), ("auto_explain", "pg_stat_statements"), ("timescaledb",)))),
        primary_connections=draw(st.none() | st.integers(1, 1000)),
        connections_now=draw(st.none() | st.integers(1, 3000)),
        origins={"pool_size": "flag"} if asked else {},
    )
