"""What the client offers and the server does not have yet: feature → the route.

Take a line out when its route is there. A test of a feature named here must fail, and for no other reason than
the route.
"""

from __future__ import annotations

_SIZE = "the option maxSize is stored only"

MISSING = {
    "admin: get_status": "route GET /api/v1/status",
    "admin: get_analytics": "route GET /api/v1/status/analytics",
    "admin: get_system_metrics": "route GET /api/v1/analytics/system-metrics",
    "admin: get_worker_metrics": "route GET /api/v1/analytics/worker-metrics",
    "admin: get_postgres_stats": "route GET /api/v1/analytics/postgres-stats",
    "admin: get_maintenance_mode": "route GET /api/v1/system/maintenance",
    "admin: get_pop_maintenance_mode": "route GET /api/v1/system/maintenance/pop",
    "pressure: 429 above maxSize: push raises after its tries": _SIZE,
    "pressure: 429 above maxSize: a waiting push goes through when there is room": _SIZE,
}
