"""What a running Queen server says of itself: /api/v1/status and /metrics, as they are."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from queen.doctor.facts import Facts
from queen.errors import CannotLook
from queen.store.inspect import Inspector

_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_BYTES_MAX: Final = 4_000_000
_TIMEOUT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class ServerSample:
    """Two answers of a server, taken at `at` (monotonic seconds)."""

    url: str
    at: float
    status: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)

    @property
    def history(self) -> Mapping[str, Any]:
        """What the server keeps for the doctor; empty for one that keeps nothing."""
        found = self.status.get("history")
        return found if isinstance(found, Mapping) else {}

    @property
    def pool_share(self) -> float | None:
        """Connections in use by those that the pool may have, 0 to 1; None when the server does not say."""
        pool = self.metrics.get("database")
        if not isinstance(pool, Mapping):
            return None
        size, open_, idle = (pool.get(name) for name in ("poolSize", "openConnections", "idleConnections"))
        if not (isinstance(size, int) and isinstance(open_, int) and isinstance(idle, int)) or size <= 0:
            return None
        return (open_ - idle) / size


def look(url: str) -> ServerSample | None:
    """The server at a base URL such as http://127.0.0.1:6632; None when none answers as one. Takes seconds at most."""
    status = _get(url, "/api/v1/status")
    metrics = _get(url, "/metrics")
    if status is None and metrics is None:
        return None
    return ServerSample(url, time.monotonic(), status or {}, metrics or {})


def is_of_another(sample: ServerSample, inspector: Inspector, facts: Facts) -> bool:
    """Whether the server serves another database, or another schema: the process that answered is registered there and
    not here. False where that cannot be told. Raises StoreUnavailable."""
    workers = sample.status.get("workers")
    ids = [one.get("instanceId") for one in workers or () if isinstance(one, Mapping) and one.get("answering")]
    if not ids:
        return False
    if not facts.schema_complete or not facts.schema_readable:
        return facts.schema_owner is None  # it has a schema, and here is none
    try:
        return not inspector.rows(_REGISTERED, [ids[0]])
    except CannotLook:
        return False


_REGISTERED: Final = "SELECT 1 AS found FROM {schema}.instances WHERE instance_id::text = %s"


def _get(url: str, path: str) -> Mapping[str, Any] | None:
    request = urllib.request.Request(url.rstrip("/") + path, headers={"Accept": "application/json"})
    try:
        with _OPENER.open(request, timeout=_TIMEOUT_S) as answer:
            found = json.loads(answer.read(_BYTES_MAX))
    except Exception:  # whatever answers there is no server of ours: that is the finding, not an error
        return None
    return found if isinstance(found, dict) else None
