"""Made messages: templates, sizes in a range, key distributions. Everything random repeats with its seed."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queen.cli.traffic.generated import payloads
from queen.cli.traffic.spread import Keys, SizeRange, zipf
from queen.cli.traffic.template import Template
from queen.errors import SettingsError
from tests.support.command import Done, warm_command
from tests.support.fake_queen import FakeQueen, fake_queen

EVERYTHING = """{"id": {{seq}}, "from": {{seq 5}}, "key": "{{uuid}}", "n": {{int -3 3}}, "x": {{float 0 1}},
 "name": "{{word}} {{word}}", "kind": "{{choice a b c}}", "at": "{{now}}", "raw": "{{hex 7}}", "user": {{zipf 1000}},
 "few": {{zipf 10 2.5}}, "ü": "} {"}"""


@pytest.fixture
def queen() -> Iterator[FakeQueen]:
    with fake_queen() as server:
        yield server


def produce(queen: FakeQueen, home: Path, *args: str) -> Done:
    return warm_command(home, "produce", "--queue", "q", "--url", queen.url, *args)


def test_every_generator_makes_what_it_says() -> None:
    template = Template(EVERYTHING, seed=1)
    made = [json.loads(template.payload()) for _ in range(300)]
    assert [one["id"] for one in made] == list(range(300))
    assert [one["from"] for one in made] == list(range(5, 305))
    assert len({one["key"] for one in made}) == 300
    assert all(
        re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", o["key"]) for o in made
    )
    assert {one["n"] for one in made} == set(range(-3, 4))
    assert all(0 <= one["x"] <= 1 for one in made)
    assert {one["kind"] for one in made} == {"a", "b", "c"}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", one["at"]) for one in made)
    assert all(re.fullmatch("[0-9a-f]{7}", one["raw"]) for one in made)
    assert all(1 <= one["user"] <= 1000 and 1 <= one["few"] <= 10 for one in made)
    assert all(len(one["name"].split()) == 2 and one["ü"] == "} {" for one in made)


def test_a_seed_repeats_a_template_and_another_does_not() -> None:
    text = EVERYTHING.replace("{{now}}", "")

    def first(seed: int) -> list[bytes]:
        template = Template(text, seed)
        return [template.payload() for _ in range(20)]

    assert first(3) == first(3)
    assert first(3) != first(4)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"id": {{sqe}}}', "line 1, column 8: unknown generator 'sqe', did you mean seq?"),
        ('{"a": 1,\n "b": {{int 5 1}}}', "line 2, column 7: write {{int A B}}"),
        ('{"a": {{}}}', "line 1, column 7: name a generator: seq, "),
        ('{"a": {{uuid 4}}}', "line 1, column 7: write {{uuid}}"),
        ('{"a": {{hex 0}}}', "line 1, column 7: write {{hex N}}"),
        ('{"a": {{zipf 1e9}}}', "line 1, column 7: write {{zipf N}}"),
        ('{"a": {{float 0 inf}}}', "line 1, column 7: write {{float A B}}"),
        ('{"a": "{{choice x \'\\"\'}}"}', "line 1, column 8: write {{choice a b c}}"),
        ('{"a": {{word}}}', "line 1, column 7: not JSON: expecting value"),
        ('{"a": {{hex 2}}}', "line 1, column 7: not JSON"),
        ('{"a": {{seq}} "b"}', "line 1, column 15: not JSON: expecting ',' delimiter"),
        ('{"a": {{seq}}', "line 1, column 14: not JSON"),
        ('{"a": {{seq}', "line 1, column 7: {{ without }}"),
        ("", "line 1, column 1: not JSON: expecting value"),
        ("NaN", "NaN is no JSON value"),
        ("[" * 100_000, "not JSON"),
    ],
    ids=range(16),
)
def test_a_wrong_template_is_told_with_its_place(text: str, told: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(told)):
        Template(text, seed=1)


@given(st.text(max_size=40))
def test_any_text_is_a_template_or_a_settings_error(text: str) -> None:
    try:
        template = Template(text, seed=1)
    except SettingsError:
        return
    json.loads(template.payload())


@given(st.integers(1, 60), st.floats(0, 5), st.integers())
def test_zipf_gives_numbers_of_its_range(numbers: int, exponent: float, seed: int) -> None:
    draw = zipf(random.Random(seed), numbers, exponent)
    assert {draw() for _ in range(100)} <= set(range(1, numbers + 1))


def test_zipf_prefers_small_numbers_as_much_as_it_should() -> None:
    draw = zipf(random.Random(1), 100, 1.0)
    seen = Counter(draw() for _ in range(50_000))
    # The law's shares: 1/k over the 100th harmonic number, 5.187; four standard errors are about 4 %.
    assert seen[1] / 50_000 == pytest.approx(1 / 5.187, rel=0.05)
    assert seen[1] / seen[2] == pytest.approx(2, rel=0.1)


def test_sizes_of_a_range_are_used_evenly() -> None:
    make = payloads(SizeRange.parse("100..1KiB"), seed=2)
    sizes = [len(make(number)) for number in range(4000)]
    assert (min(sizes) < 110, max(sizes) > 1014, len(set(sizes)) > 850) == (True, True, True)
    assert 100 <= min(sizes) <= max(sizes) <= 1024
    assert sum(sizes) / 4000 == pytest.approx(562, rel=0.04)


@pytest.mark.parametrize("text", ["0", "2KiB..1KiB", "1..17MiB", "..5", "5..", "x"])
def test_a_wrong_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="size"):
        SizeRange.parse(text)


@pytest.mark.parametrize("text", ["zipf(", "zipf()", "zipf(11)", "even", "zipf(1.1.1)", ""])
def test_a_wrong_key_distribution_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write uniform, zipf"):
        Keys.parse(text)


def test_keys_choose_the_partitions_and_a_run_repeats(queen: FakeQueen, tmp_path: Path) -> None:
    args = ["--count", "600", "--partitions", "4", "--keys", "zipf(1.5)", "--size", "50..90", "--seed", "9"]
    assert produce(queen, tmp_path, *args).code == 0
    first = {key: queen.payloads(*key) for key in queen.logs}
    counts = [len(first["q", f"p{index}"]) for index in range(4)]
    assert counts[0] > counts[1] > counts[3] > 0
    queen.logs.clear()
    assert produce(queen, tmp_path, *args).code == 0
    assert {key: queen.payloads(*key) for key in queen.logs} == first


def test_a_template_from_a_file_is_spread_by_its_field(queen: FakeQueen, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('{"n": {{seq}},\n "shop": {"id": "{{choice a b}}"}}\n')
    done = produce(queen, tmp_path, "--template-file", "t.json", "--partition-by", "shop.id", "--count", "60")
    assert done.code == 0, done.err
    assert {partition for _, partition in queen.logs} == {"a", "b"}
    assert all(one["shop"]["id"] == "a" for one in queen.payloads("q", "a"))
    assert sorted(one["n"] for one in queen.all_payloads("q")) == list(range(60))


def test_a_template_without_the_field_or_with_a_mistake_sends_nothing(queen: FakeQueen, tmp_path: Path) -> None:
    done = produce(queen, tmp_path, "--template", '{"a": {{seq}}}', "--partition-by", "b", "--count", "5")
    assert (done.code, "generated message 0: no text or number in the field 'b'" in done.err) == (1, True)
    done = produce(queen, tmp_path, "--template", '{"a": {{sequence}}}', "--count", "5")
    assert (done.code, "did you mean seq?" in done.err) == (2, True)
    assert queen.seen == []
