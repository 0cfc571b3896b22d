"""Traces: notes that handlers make about a message."""

from __future__ import annotations

from harness import Missing, check, main


async def consume(c, *configs, group=None):
    """Consume one message, and trace these from its handler; the answers and the message."""
    answers = []

    async def handler(message):
        answers.append(message)
        for config in configs:
            answer = await message["trace"](config)
            if "Not Found" in str(answer.get("error")):
                answer = Missing("POST /api/v1/traces")
            answers.append(answer)

    await c.push({"n": 1})
    builder = c.queue.batch(1).limit(1)
    await (builder.group(group) if group else builder).consume(handler)
    for answer in answers:
        if isinstance(answer, Missing):
            raise answer
    return answers


@check("trace with a name")
async def named(c):
    message, answer = await consume(c, {"traceName": c.name, "eventType": "processing", "data": {"text": "begun"}})
    assert answer["success"] is True
    found = await c.queen.admin.get_traces_by_name(c.name)
    [trace] = found["traces"]
    assert (trace["event_type"], trace["data"]) == ("processing", {"text": "begun"})
    assert trace["transaction_id"] == message["transactionId"]


@check("trace with several names, and none")
async def names(c):
    one, two = c.name + ".one", c.name + ".two"
    message, *answers = await consume(c, {"traceName": [one, two], "data": {"n": 1}}, {"data": {"n": 2}})
    assert [answer["success"] for answer in answers] == [True, True]
    for name in (one, two):
        assert len((await c.queen.admin.get_traces_by_name(name))["traces"]) == 1
    found = await c.queen.admin.get_traces_for_message(message["partitionId"], message["transactionId"])
    assert [trace["data"] for trace in found["traces"]] == [{"n": 1}, {"n": 2}]


@check("trace from a consumer group")
async def group(c):
    message, answer = await consume(c, {"data": {"n": 1}}, group="g")
    assert answer["success"] is True
    found = await c.queen.admin.get_traces_for_message(message["partitionId"], message["transactionId"])
    assert [trace["consumer_group"] for trace in found["traces"]] == ["g"]


@check("a trace that cannot be stored never harms the consumer")
async def harmless(c):
    answers = []

    async def handler(message):
        answers.append(await message["trace"]({"nothing": 1}))
        answers.append(await message["trace"]("no dict"))

    await c.push(1)
    await c.queue.batch(1).limit(1).consume(handler)
    assert [answer["success"] for answer in answers] == [False, False]
    assert await c.pending() == 0


main()
