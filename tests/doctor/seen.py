"""What a check may know, invented: for versions, machines and moments that no test can bring about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from queen.doctor.check import Check, Seen
from queen.doctor.facts import Facts, ServerSettings
from queen.doctor.finding import Threshold
from queen.doctor.probes.waits import Waits
from queen.store.inspect import Row

_ROW: Row = {"unit": None, "vartype": "string", "context": "sighup", "source": "default", "sourcefile": None,
             "boot_val": None, "enumvals": None, "pending_restart": False}  # fmt: skip

FACTS = Facts(
    version=150018,
    version_text="15.18",
    database="queen",
    role="queen",
    schema="queen",
    superuser=True,
    pg_monitor=True,
    may_alter_system=True,
    schema_owner="queen",
    schema_owned=True,
    schema_complete=True,
    schema_readable=True,
    in_recovery=False,
    backend_pid=2,
    protocol_pid=2,
    postmaster_pid=1,
    started_at=datetime(2026, 1, 1, tzinfo=UTC),
    stats_reset=None,
    stats_age_s=86_400.0,
    host="/tmp",
    extensions=frozenset(),
    settings=ServerSettings([]),
)


def setting(name: str, value: str, **other: Any) -> Row:
    """A row of pg_settings."""
    return {**_ROW, "name": name, "setting": value, **other}


def facts(*settings: Row, **other: Any) -> Facts:
    """Facts of a server with these settings."""
    return replace(FACTS, settings=ServerSettings(list(settings)), **other)


def seen_with(
    check: Check,
    first: Mapping[str, list[Row]],
    second: Mapping[str, list[Row]] | None = None,
    *,
    window_s: float = 10.0,
    waits: Waits | None = None,
    limits: Mapping[str, Threshold] | None = None,
    **other: Any,
) -> Seen:
    """What the check sees when its queries gave these rows."""
    return Seen(
        facts=other.pop("facts", FACTS),
        limits={**check.thresholds, **(limits or {})},
        first=first,
        second=first if second is None else second,
        window_s=window_s,
        waits=waits or Waits(),
        **other,
    )
