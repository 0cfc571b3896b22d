"""The OpenAPI page is true: whatever is sent to the routes that it lists, the answer is one that it describes."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.server import EmbeddedServer

pytestmark = pytest.mark.pg

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
bounded = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def hold_to_the_page(operation: APIOperation, mode: GenerationMode, examples: int) -> None:
    """Raises what is not as the page says."""

    @settings(bounded, max_examples=examples)
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Case) -> None:
        # A poll that waits says nothing more, only later.
        if isinstance(case.query, dict):
            case.query.pop("wait", None)
        case.call_and_validate(checks=CHECKS)

    check()


def test_every_field_of_every_answer_is_declared(server: EmbeddedServer) -> None:
    """A route that answers "some object" hides what is in it, and then the test below proves nothing of it."""
    page = httpx.get(f"{server.url}/openapi.json").json()
    vague = [
        f"{method} {path} {status}"
        for path, methods in page["paths"].items()
        for method, operation in methods.items()
        for status, answer in operation["responses"].items()
        for content in answer.get("content", {}).values()
        if not _is_declared(content.get("schema") or {})
    ]
    assert not vague


def test_every_parameter_is_described_and_every_body_has_an_example(server: EmbeddedServer) -> None:
    page = httpx.get(f"{server.url}/openapi.json").json()
    wordless: list[str] = []
    for path, methods in page["paths"].items():
        for method, operation in methods.items():
            for parameter in operation.get("parameters", ()):
                if not parameter.get("description"):
                    wordless.append(f"{method} {path} {parameter['name']}")
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if body is not None and "example" not in str(body):
                wordless.append(f"{method} {path} body")
    assert not wordless


def _is_declared(schema: dict[str, Any]) -> bool:
    if "$ref" in schema or schema.get("type") == "string":
        return True
    if "oneOf" in schema:
        return all(_is_declared(one) for one in schema["oneOf"])
    if isinstance(more := schema.get("additionalProperties"), dict):
        return _is_declared(more)
    return bool(schema.get("properties")) or (schema.get("type") == "array" and _is_declared(schema["items"]))


@pytest.mark.parametrize("examples", [4, pytest.param(25, marks=pytest.mark.slow)])
def test_every_answer_is_documented(server: EmbeddedServer, examples: int) -> None:
    """So many requests to each route, good ones and as many bad ones."""
    page = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    wrong: list[str] = []
    count = 0
    for found in page.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        count += 1
        for mode in GenerationMode:
            try:
                hold_to_the_page(operation, mode, examples)
            except Unsatisfiable:
                continue  # nothing wrong can be sent to a route that takes nothing
            except BaseExceptionGroup as group:
                wrong += [f"{operation.label} ({mode.value}): {one}" for one in group.exceptions]
            except Exception as error:
                wrong.append(f"{operation.label} ({mode.value}): {error!r}")
    assert count > 15
    assert not wrong, "\n\n".join(wrong)
