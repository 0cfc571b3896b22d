"""What the client offers and the server does not have yet: feature → the route.

Take a line out when its route is there. A test of a feature named here must fail, and for no other reason than
the route.
"""

from __future__ import annotations

_CHANGED = "route POST /api/v1/partitions/changed"
_FETCH = "route POST /api/v1/fetch"
_MESSAGES = "route /api/v1/messages"
_SIZE = "the option maxSize is stored only"
_TRACES = "route /api/v1/traces"

MISSING = {
    "trace: trace with a name": _TRACES,
    "trace: trace with several names, and none": _TRACES,
    "trace: trace from a consumer group": _TRACES,
    "admin: list_messages": _MESSAGES,
    "admin: get_message": _MESSAGES,
    "admin: get_message of an unknown one raises": _MESSAGES,
    "admin: delete_message": _MESSAGES,
    "admin: retry_message": _MESSAGES,
    "admin: get_traces_by_name": _TRACES,
    "admin: get_trace_names": _TRACES,
    "admin: get_traces_for_message": _TRACES,
    "admin: get_status": "route GET /api/v1/status",
    "admin: get_analytics": "route GET /api/v1/status/analytics",
    "admin: get_system_metrics": "route GET /api/v1/analytics/system-metrics",
    "admin: get_worker_metrics": "route GET /api/v1/analytics/worker-metrics",
    "admin: get_postgres_stats": "route GET /api/v1/analytics/postgres-stats",
    "admin: get_maintenance_mode": "route GET /api/v1/system/maintenance",
    "admin: get_pop_maintenance_mode": "route GET /api/v1/system/maintenance/pop",
    "reads: fetch a partition": _FETCH,
    "reads: fetch several partitions, in the order they are named": _FETCH,
    "reads: fetch only what is new": _FETCH,
    "reads: fetch more than fits one answer": _FETCH,
    "reads: fetch from an unknown queue": _FETCH,
    "reads: fetch moves no cursor": _FETCH,
    "reads: changed_since lists every partition": _CHANGED,
    "reads: changed_since a time, and since its safeTime": _CHANGED,
    "reads: changed_since of an unknown queue": _CHANGED,
    "pressure: 429 above maxSize: push raises after its tries": _SIZE,
    "pressure: 429 above maxSize: a waiting push goes through when there is room": _SIZE,
    "readme: the block on reads by offset": _FETCH,
}
