"""The published JSON schema of result files, made from the classes of `result`.

`python -m queen.bench.schema` prints what config/bench-result.schema.json holds.
"""

from __future__ import annotations

import inspect
import json
import sys
from typing import Any

import msgspec

from queen.bench.result import SCHEMA_VERSION, Campaign, Result


def schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of a result file: one run, or a campaign of several."""
    # Not every version of msgspec takes the indentation out of a text.
    (run, campaign), parts = msgspec.json.schema_components([Result, Campaign], ref_template="#/$defs/{name}")
    for part in (run, campaign, *parts.values()):
        if "description" in part:
            part["description"] = inspect.cleandoc(part["description"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Result of queen bench, schema {SCHEMA_VERSION}",
        "anyOf": [run, campaign],
        "$defs": dict(sorted(parts.items())),
    }


def text() -> str:
    """The file as it is published."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
