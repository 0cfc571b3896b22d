"""Profiles: every file is whole, none is softer than what Queen promises, mistakes are named."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from queen.bench import knobs, profiles, slo
from queen.bench.workload import Workload
from queen.errors import SettingsError

ROOT = Path(__file__).resolve().parents[2]
NAMES = [
    "baseline-10k",
    "burst-50k",
    "deep-backlog",
    "fanout",
    "hot-key",
    "large-payload",
    "latency",
    "many-partitions",
    "single-10k",
    "smoke",
    "thin-pop",
]


def test_the_profiles_are_those_that_are_promised() -> None:
    assert profiles.names() == NAMES
    assert [profile["name"] for profile in profiles.listing()] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_states_all_it_is(name: str) -> None:
    workload = profiles.load(name)
    assert workload.name == name
    assert workload.version >= 1
    assert workload.about.endswith(".")
    assert re.search(r"\b(because|must|promise)\b", workload.about), "the reason is missing"
    assert workload.slos
    assert any(slo.startswith("errors<") for slo in workload.slos)
    assert knobs.conflicts(workload) == []


@pytest.mark.parametrize("name", NAMES)
def test_the_objectives_of_a_profile_can_be_judged(name: str) -> None:
    workload = profiles.load(name)
    assert [slo.parse(text, workload.rate) for text in workload.slos]


@pytest.mark.spec("R32", "R34", "R35")
def test_the_baseline_is_as_promised() -> None:
    for name, push_batch in (("baseline-10k", 10), ("single-10k", 1)):
        workload = profiles.load(name)
        shape = (workload.rate, workload.payload_bytes, workload.partitions, workload.consumers, workload.pop_batch)
        assert shape == (10_000, 250, 100, 4, 100)
        assert workload.push_batch == push_batch
        assert (workload.arrivals, workload.measure_s, workload.consume) == ("poisson", 30, "meanwhile")
        assert set(workload.slos) == {
            "rate(delivered)>=0.99*target",
            "p50(insert)<1ms",
            "p99(insert)<10ms",
            "p99(e2e)<50ms",
            "errors<0.1%",
        }
    assert profiles.DEFAULT == "baseline-10k"


@pytest.mark.spec("R33")
def test_the_burst_is_as_promised() -> None:
    workload = profiles.load("burst-50k")
    assert (workload.rate, workload.push_batch, workload.measure_s, workload.consume) == (50_000, 100, 30, "later")
    assert workload.slos == ("rate(sent)>=0.99*target", "errors<0.1%")


def test_every_profile_is_in_the_docs() -> None:
    text = (ROOT / "docs" / "bench-profiles.md").read_text(encoding="utf-8")
    for name in NAMES:
        assert f"| `{name}` | {profiles.load(name).version} |" in text


def test_an_installed_package_brings_the_files_along() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        wheel = tomllib.load(file)["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"] == {"config/workloads": str(profiles._INSTALLED.relative_to(ROOT))}


def test_the_listing_names_every_profile_with_its_objectives() -> None:
    text = profiles.text()
    for name in NAMES:
        assert f"{name}  v1" in text
    assert "p50(insert)<1ms" in text


@pytest.mark.parametrize("name", NAMES)
def test_every_knob_of_a_file_has_its_comment(name: str) -> None:
    for line in (ROOT / "config" / "workloads" / f"{name}.yaml").read_text("utf-8").splitlines():
        if (key := re.match(r"([a-z_]+): ", line)) and key[1] not in {"name", "version", "about"}:
            assert re.search(r" # \w", line), line


def test_a_typo_names_the_nearest_profile() -> None:
    with pytest.raises(SettingsError, match="did you mean baseline-10k"):
        profiles.load("basline-10k")


def test_a_file_of_the_user_is_above_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("rate: 2k\npayload_bytes: 1KiB\nhandler_ms: 5ms..20ms\nserve: --pool-size 50\n", "utf-8")
    workload = profiles.load(str(path))
    assert (workload.name, workload.rate, workload.payload_bytes) == ("mine", 2000, 1024)
    assert (workload.handler_ms, workload.serve) == ((5, 20), ("--pool-size", "50"))
    assert workload.partitions == Workload().partitions


def test_everything_that_is_wrong_in_a_file_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("rate: fast\npayload: 1KiB\npartitons: 5\nack: [batch]\nserve: [--pol-size 5]\nrate: 5\n", "utf-8")
    with pytest.raises(SettingsError) as caught:
        profiles.read(path, shown="bad.yaml")
    told = caught.value.message
    assert "bad.yaml:6): is given twice" in told
    path.write_text("rate: fast\npayload: 1KiB\npartitons: 5\nack: [batch]\nserve: [--pol-size 5]\n", "utf-8")
    with pytest.raises(SettingsError) as caught:
        profiles.read(path, shown="bad.yaml")
    told = caught.value.message
    assert "rate = 'fast' (bad.yaml:1): must be a rate" in told
    assert "partitons (bad.yaml:3): unknown knob of a workload; did you mean partitions?" in told
    assert "ack = 'batch' (bad.yaml:4): must be one of batch, message, auto" in told
    assert "did you mean --pool-size?" in told
    assert len(told.splitlines()) == 5


def test_a_profile_that_states_nothing_of_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bare.yaml"
    path.write_text("rate: 5k\n", "utf-8")
    with pytest.raises(SettingsError, match="does not state its about"):
        profiles.read(path, whole=True)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("rate", "40k", 40_000),
        ("payload_bytes", "100KiB", 102_400),
        ("random_share", "60%", 0.6),
        ("start_depth", "1M", 1_000_000),
        ("keys", "zipf(1.1)", "zipf(1.1)"),
        ("linger_ms", "0.5ms", 0.5),
        ("pop_wait_ms", "1s", 1000),
        ("measure_s", "6h", 21_600),
        ("lease_s", "2m", 120),
        ("handler_ms", "5", (5, 5)),
        ("ack", "Message", "message"),
    ],
)
def test_a_knob_is_read_with_its_unit(name: str, text: str, value: object) -> None:
    assert knobs.parse(name, text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rate", "0"),
        ("payload_bytes", "10B"),
        ("random_share", "1.5"),
        ("random_share", "nan"),
        ("partitions", "0"),
        ("keys", "zipf(0)"),
        ("lease_s", "1.5s"),
        ("handler_ms", "fast"),
        ("consume", "never mind"),
        ("measure_s", "0.5s"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match="must be"):
        knobs.parse(name, text)


@pytest.mark.parametrize(
    "given",
    [
        {"handler_ms": "20ms..5ms"},
        {"nack_share": "0.6", "poison_share": "0.6"},
        {"ack": "auto", "nack_share": "1%"},
        {"push_batch": "1000", "payload_bytes": "1MiB"},
    ],
)
def test_knobs_that_do_not_fit_together_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        knobs.override(Workload(), dict(given))


def test_the_bench_keeps_its_own_options_of_serve() -> None:
    assert knobs.unserved(["--pool-size", "50", "--no-high-perf"]) == []
    assert knobs.unserved(["--port", "1"]) == ["serve: --port is the bench's own to set"]


def test_every_knob_of_a_workload_can_be_given_as_text() -> None:
    assert set(knobs._KNOBS) == set(Workload.__struct_fields__)


def test_settings_of_the_private_postgresql_are_read_and_durability_is_none_of_them() -> None:
    assert knobs.parse("postgres", ["defaults", "shared_buffers = 1GB"]) == ("defaults", "shared_buffers = 1GB")
    with pytest.raises(SettingsError, match="durability"):
        knobs.parse("postgres", ["fsync = off"])
    with pytest.raises(SettingsError, match="no setting"):
        knobs.parse("postgres", ["fast please"])


def test_settings_of_the_engine_and_of_tables_are_read_and_judged() -> None:
    assert knobs.parse("settings", ["engine.pop_gather_ms=10"]) == ("engine.pop_gather_ms = 10",)
    assert knobs.parse("tables", ["cursors.fillfactor=50"]) == ("cursors.fillfactor = 50",)
    for name, line, words in (
        ("settings", "engine.pop_gathr_ms = 10", "did you mean engine.pop_gather_ms"),
        ("settings", "engine.pop_gather_ms = soon", "must be a duration"),
        ("settings", "server.port = 1", "no setting of the engine"),
        ("settings", "engine.encryption_key = 00", "no setting of the engine"),
        ("tables", "cursors set (fillfactor = 50)", "no storage parameter"),
    ):
        with pytest.raises(SettingsError, match=words):
            knobs.parse(name, [line])
