"""From classes to the JSON Schema that is published of them, in one form for all that the doctor prints."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from typing import Any, Final

import msgspec

SCHEMA_VERSION: Final = 1

_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"


def schema_of(title: str, shapes: Sequence[type[msgspec.Struct]]) -> dict[str, Any]:
    """JSON Schema 2020-12 of one of these, or of either."""
    tops, parts = msgspec.json.schema_components(shapes, ref_template="#/$defs/{name}")
    for part in parts.values():
        # Not every version of msgspec takes the indentation out of a text.
        if "description" in part:
            part["description"] = inspect.cleandoc(part["description"])
    top = tops[0] if len(tops) == 1 else {"oneOf": list(tops)}
    return {
        "$schema": _DRAFT,
        "title": f"{title}, schema {SCHEMA_VERSION}",
        **top,
        "$defs": dict(sorted(parts.items())),
    }


def text_of(schema: dict[str, Any]) -> str:
    """The file as it is published."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
