"""Queen: a message queue on PostgreSQL. Importing the package does no work."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "sql_push", "sql_push_many"]


def __getattr__(name: str) -> Any:
    """What programs use of the package itself, loaded when it is first asked for."""
    if name in ("sql_push", "sql_push_many"):
        from queen import enqueue

        return getattr(enqueue, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
