"""What is at stake in a change that a plan proposes, as far as the doctor can tell from this server's counters.

A check that knows a formula for a setting is run for two seconds. For all other settings nothing is known of the rate,
and that is what is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from queen.errors import QueenError

if TYPE_CHECKING:
    from queen.doctor.finding import Result
    from queen.tune.flow.live import Found
    from queen.tune.flow.wanted import Wanted

WINDOW_S: Final = 2.0

CHECKS: Final[Mapping[tuple[str, str], str]] = {
    ("server", "max_wal_size"): "W1",
    ("server", "checkpoint_timeout"): "W3",
    ("server", "wal_compression"): "W3",
    ("server", "wal_buffers"): "W4",
    ("server", "shared_buffers"): "M3",
    ("table", "fillfactor"): "V2",
    ("table", "autovacuum_vacuum_scale_factor"): "V1",
    ("table", "autovacuum_vacuum_threshold"): "V1",
    ("table", "autovacuum_vacuum_cost_delay"): "V1",
}
"""By kind and setting: the check that computes what its repair would bring."""

_NO_RATE: Final = frozenset(
    {
        "max_connections",
        "superuser_reserved_connections",
        "huge_pages",
        "max_slot_wal_keep_size",
        "idle_replication_slot_timeout",
        "autovacuum_worker_slots",
        "track_io_timing",
        "track_wal_io_timing",
        "shared_preload_libraries",
        "log_checkpoints",
        "log_lock_waits",
        "log_autovacuum_min_duration",
        "statement_timeout",
        "lock_timeout",
        "idle_in_transaction_session_timeout",
        "transaction_timeout",
    }
)
"""Settings that protect, or tell something: today's rate does not depend on them."""


@dataclass(frozen=True, slots=True)
class AtStake:
    """Percent of today's rate. `kind` as the doctor has it; `none`: no rate is at stake; `unknown`: nobody knows."""

    kind: Literal["measured", "modelled", "bound", "none", "unknown"]
    why: str
    low_pct: float | None = None
    high_pct: float | None = None

    @property
    def words(self) -> str:
        """For people."""
        if self.kind == "unknown":
            return f"not known{f' ({self.why})' if self.why else ''}"
        if self.kind == "none":
            return f"no rate ({self.why})"
        span = f"{self.low_pct:g} to {self.high_pct:g} %" if self.low_pct else f"at most {self.high_pct:g} %"
        return f"{span} ({self.why})"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"kind": self.kind, "low_pct": self.low_pct, "high_pct": self.high_pct, "why": self.why}


def stakes(dsn: str, schema: str, found: Sequence[Found]) -> list[AtStake]:
    """One for each, in the same order. Looks at the server for two seconds where a formula asks for it."""
    wanted = {check for entry in found if entry.state == "differs" and (check := _check(entry.wanted)) is not None}
    results: dict[str, Result] | str = _results(dsn, schema, wanted) if wanted else {}
    return [of(entry.wanted, results) for entry in found]


def of(wish: Wanted, results: Mapping[str, Result] | str) -> AtStake:
    """Of one wish. `results` of the checks by id, or why there are none. Pure."""
    if wish.name in _NO_RATE:
        return AtStake("none", "safety, or sight")
    check = _check(wish)
    if check is None:
        return AtStake("unknown", "")
    if isinstance(results, str):
        return AtStake("unknown", results)
    result = results.get(check)
    if result is None:
        return AtStake("unknown", f"{check} was not run")
    if result.status in ("skipped", "error"):
        return AtStake("unknown", f"{check} {result.status}: {result.reason or 'it failed'}")
    return _of_findings(wish, check, result)


def _of_findings(wish: Wanted, check: str, result: Result) -> AtStake:
    named = [
        finding
        for finding in result.findings
        if wish.kind != "table" or (finding.object or "").rpartition(".")[2].strip('"') == wish.object
    ]
    if not named:
        return AtStake("unknown", f"{check} found nothing in {WINDOW_S:.0f} s")
    best = max(named, key=lambda finding: finding.at_stake.high_pct or 0.0).at_stake
    if best.kind == "none" or not best.high_pct:
        return AtStake("none", f"{check} warns, but nothing waits for it now")
    return AtStake(best.kind, f"{check}, {best.kind} by {best.method}", best.low_pct, best.high_pct)


def _check(wish: Wanted) -> str | None:
    return CHECKS.get((wish.kind, wish.name))


def _results(dsn: str, schema: str, ids: set[str]) -> dict[str, Result] | str:
    from queen.doctor.catalogue import catalogue
    from queen.doctor.run import Ask, run

    checks = [check for check in catalogue() if check.id in ids]
    try:
        report = run(Ask(dsn, checks, schema, window_s=WINDOW_S))
    except QueenError as error:
        return f"the doctor could not look: {error.message.splitlines()[0]}"
    return {result.id: result for result in report.results}
