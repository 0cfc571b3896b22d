"""Small helpers of the verbs: names in paths, and answers that must read as Queen's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import msgspec

from queen.errors import ServerUnreachable


@contextmanager
def queens_answer(url: str) -> Iterator[None]:
    """Turns a 2xx answer that does not read as Queen's into an error that says so."""
    try:
        yield
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = "Check the URL: another program may be listening there."
        raise ServerUnreachable(f"{url} answers, but not as a Queen server: {error}", hint=hint) from error


def segment(name: str) -> str:
    """A name as one path segment. Dots of `.` and `..` are escaped too, or the path would be shortened."""
    return name.replace(".", "%2E") if name in (".", "..") else quote(name, safe="")


def params(**values: str | int | bool | None) -> dict[str, str]:
    """Query parameters; None is left out."""
    return {
        name.rstrip("_"): str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in values.items()
        if value is not None
    }
