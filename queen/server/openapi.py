"""Documents the hot routes, which FastAPI does not see, in the application's OpenAPI page."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from queen.server import examples

Schema = dict[str, Any]
Shown = tuple[Schema, Any]
"""A schema and an example of it."""

_ERROR: Schema = {
    "type": "object",
    "required": ["error", "code"],
    "properties": {"error": {"type": "string"}, "code": {"type": "string"}, "hint": {"type": "string"}},
}


def describe_hot_routes(app: FastAPI) -> None:
    """Make `app.openapi()` include push, pop and ack."""
    plain = app.openapi

    def with_hot_routes() -> Schema:
        if app.openapi_schema is None:
            schema = plain()
            _refuse_as_we_do(schema["paths"])
            schema["paths"].update(_paths())
            _describe_parameters(schema["paths"])
            schemas = schema.setdefault("components", {}).setdefault("schemas", {})
            schemas["Error"] = _ERROR
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = with_hot_routes  # type: ignore[method-assign]


def _refuse_as_we_do(paths: Schema) -> None:
    """FastAPI documents refused parameters as 422; here they are 400. Whatever asks the database may meet its absence,
    and whatever reads a body one that is too large."""
    for path, methods in paths.items():
        for operation in methods.values():
            responses = operation["responses"]
            statuses = ["400"] if responses.pop("422", None) is not None else []
            if path.startswith("/api/"):
                statuses.append("503")
            if "requestBody" in operation:
                statuses += ["400", "413"]
            for status, refusal in _refusals(*statuses).items():
                responses.setdefault(status, refusal)


def _describe_parameters(paths: Schema) -> None:
    for methods in paths.values():
        for operation in methods.values():
            for parameter in operation.get("parameters", ()):
                description, example = examples.PARAMETERS.get(parameter["name"], (None, None))
                if description is not None:
                    parameter.setdefault("description", description)
                    parameter.setdefault("example", example)


def _paths() -> Schema:
    return {
        "/api/v1/push": {"post": _push()},
        "/api/v1/ack": {
            "post": _post(
                "Settle one message", (_ACK, examples.ACK), "200", (_ACKED, examples.ACKED), "An array of one."
            )
        },
        "/api/v1/ack/batch": {
            "post": _post(
                "Settle messages",
                (_ACK_BATCH, examples.ACK_BATCH),
                "200",
                (_ACKED, examples.ACKED),
                "One object per item, in order.",
            )
        },
        "/api/v1/pop": {"get": _pop("Lease messages of any queue of a namespace or task", ("namespace", "task"), ())},
        "/api/v1/pop/queue/{queue}": {"get": _pop("Lease messages of a queue", (), ("queue",))},
        "/api/v1/pop/queue/{queue}/partition/{partition}": {
            "get": _pop("Lease messages of one partition", (), ("queue", "partition"))
        },
    }


def _post(summary: str, body: Shown, status: str, answer: Shown, description: str) -> Schema:
    return {
        "tags": ["messages"],
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": {"schema": body[0], "example": body[1]}}},
        "responses": {status: _json(description, *answer), **_refusals("400", "413", "503")},
    }


def _push() -> Schema:
    found = _post(
        "Store messages",
        (_PUSH, examples.PUSH),
        "201",
        (_PUSHED, examples.PUSHED),
        "One object per item, in order.",
    )
    found["responses"] |= _refusals("429")
    lines = "application/x-ndjson"
    found["requestBody"]["content"][lines] = {"schema": {**_PUSH_ITEM, "description": "One item a line, any number."}}
    found["responses"]["201"]["content"][lines] = {"schema": {"oneOf": [_PUSHED["items"], _DONE]}}
    found["parameters"] = [
        {
            "name": name,
            "in": "query",
            "description": f"The {name} of lines that name none.",
            "schema": {"type": "string"},
        }
        for name in ("queue", "partition")
    ]
    return found


def _pop(summary: str, filters: tuple[str, ...], names: tuple[str, ...]) -> Schema:
    parameters = [{"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in names]
    parameters += [{"name": n, "in": "query", "schema": {"type": "string"}} for n in filters]
    parameters += [
        {"name": name, "in": "query", "description": text, "schema": {"type": kind}}
        for name, kind, text in _POP_PARAMETERS
    ]
    return {
        "tags": ["messages"],
        "summary": summary,
        "parameters": parameters,
        "responses": {
            "200": _json("Messages, in order within each partition.", _POPPED, examples.POPPED),
            "204": {"description": "Nothing to deliver."},
            **_refusals("400", "503"),
        },
    }


def _json(description: str, schema: Schema, example: Any) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema, "example": example}}}


def _refusals(*statuses: str) -> Schema:
    words = {
        "400": "The request can never work.",
        "413": "Body or payload too large.",
        "429": "A queue has no room below its maxSize; nothing was stored. See Retry-After.",
        "503": "Overloaded, or the database is away; see Retry-After.",
    }
    return {status: _json(words[status], {"$ref": "#/components/schemas/Error"}, examples.ERROR) for status in statuses}


def _object(required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    found: Schema = {"type": "object", "properties": properties}
    if required:
        found["required"] = list(required)
    return found


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_TEXT: Schema = {"type": "string"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_ID: Schema = {"type": "string", "format": "uuid"}
_WHOLE: Schema = {"type": "integer"}
_YES_NO: Schema = {"type": "boolean"}
_ANY: Schema = {"description": "Any JSON value."}

_PUSH_ITEM = _object(
    ("queue", "payload"),
    queue=_TEXT,
    partition=_TEXT_OR_NULL,
    payload=_ANY,
    transactionId=_TEXT_OR_NULL,
    traceId=_TEXT_OR_NULL,
)
_PUSH = _object(("items",), items=_array(_PUSH_ITEM))
_DONE = _object(
    ("done",),
    done=_YES_NO,
    received=_WHOLE,
    queued=_WHOLE,
    duplicate=_WHOLE,
    failed=_WHOLE,
)
_PUSHED = _array(
    _object(
        ("index", "message_id", "transaction_id", "queueName", "partition_id", "status"),
        index=_WHOLE,
        message_id=_ID,
        transaction_id=_TEXT,
        queueName=_TEXT,
        partition_id=_ID,
        status={"type": "string", "enum": ["queued", "duplicate", "buffered", "failed"]},
        error=_TEXT,
    )
)
_ONE_ACK: dict[str, Schema] = {
    "transactionId": _TEXT_OR_NULL,
    "partitionId": _TEXT_OR_NULL,
    "status": _TEXT_OR_NULL,
    "leaseId": _TEXT_OR_NULL,
    "error": _TEXT_OR_NULL,
}
_ACK = _object((), **_ONE_ACK, consumerGroup=_TEXT_OR_NULL)
_ACK_BATCH = _object(("acknowledgments",), consumerGroup=_TEXT_OR_NULL, acknowledgments=_array(_object((), **_ONE_ACK)))
_ACKED = _array(
    _object(
        index=_WHOLE,
        transactionId=_TEXT,
        success=_YES_NO,
        error=_TEXT_OR_NULL,
        leaseReleased=_YES_NO,
        dlq=_YES_NO,
        noop=_YES_NO,
        queueName=_TEXT_OR_NULL,
        partitionName=_TEXT_OR_NULL,
    )
)
_POPPED = _object(
    success=_YES_NO,
    queue=_TEXT,
    partition=_TEXT,
    partitionId=_ID,
    leaseId=_TEXT,
    consumerGroup=_TEXT,
    partitionsClaimed=_WHOLE,
    messages=_array(
        _object(
            id=_ID,
            transactionId=_TEXT,
            traceId=_TEXT_OR_NULL,
            data=_ANY,
            producerSub=_TEXT_OR_NULL,
            createdAt={"type": "string", "format": "date-time"},
            queue=_TEXT,
            partition=_TEXT,
            partitionId=_ID,
            leaseId=_TEXT,
            consumerGroup=_TEXT,
            deliveryAttempt=_WHOLE,
        )
    ),
)
_POP_PARAMETERS = (
    ("batch", "integer", "Most messages of the answer; default 200."),
    ("partitions", "integer", "Most partitions of the answer; default 1, 0 for no cap."),
    ("wait", "boolean", "Wait for messages when there are none."),
    ("timeout", "integer", "Longest wait in ms; default 30000."),
    ("autoAck", "boolean", "Settle at delivery: no lease, at most once."),
    ("leaseSeconds", "integer", "Length of the lease; default: the queue's leaseTime."),
    ("consumerGroup", "string", "Whose progress counts; default: the queue's own."),
    ("subscriptionMode", "string", "Where a new group starts: all, or new."),
    ("subscriptionFrom", "string", "Where a new group starts: now, or a time."),
)
