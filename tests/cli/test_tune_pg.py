"""`queen tune-pg` as a user calls it: options, forms, origins, and a real server that is held against the plan."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import psycopg
import pytest

from queen.cli import console
from queen.cli.main import run
from tests.tune.test_forms import read_conf

MACHINE = ("--memory", "8GiB", "--cpus", "4", "--storage", "ssd", "--pg-version", "17")
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


@pytest.fixture(autouse=True)
def no_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of the user, and a private PostgreSQL that was never started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUEEN_EMBEDDED__DATA_DIR", str(tmp_path / "data"))


ROOT = Path(__file__).resolve().parent.parent.parent


def document_of(text: str) -> dict[str, Any]:
    """What was printed, held against the published schema."""
    document: dict[str, Any] = json.loads(text)
    schema = json.loads((ROOT / "config" / "tune-pg.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, schema)
    return document


def tune(capsys: pytest.CaptureFixture[str], *words: str, code: int = console.DONE) -> str:
    """What the command prints; its messages when it fails."""
    assert run(["tune-pg", *words]) == code
    out, err = capsys.readouterr()
    return out if code == console.DONE else err


@pytest.mark.spec("R36")
def test_a_machine_and_a_load_give_a_file_with_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    text = tune(capsys, *MACHINE, "--target", "10k", "--payload", "4KiB", "--groups", "3")
    values = read_conf(text)
    assert values["shared_buffers"] == "2GB"
    assert values["random_page_cost"] == "1.1"
    assert "10000 messages/s  flag" in text
    assert "4096 B            flag" in text
    smaller = read_conf(tune(capsys, *MACHINE, "--target", "100"))
    assert smaller["max_wal_size"] == "1GB" != values["max_wal_size"]


def test_this_machine_is_measured_for_the_private_postgresql(capsys: pytest.CaptureFixture[str]) -> None:
    document = document_of(tune(capsys, "--json"))
    memory = document["inputs"]["memory_bytes"]
    assert memory["origin"].startswith("measured here")
    assert memory["value"] > 256 << 20
    assert document["inputs"]["cpus"]["value"] >= 1
    assert document["inputs"]["workers_here"]["value"] == 1
    assert document["inputs"]["pool_size"]["origin"] == "default"


def test_a_server_elsewhere_needs_memory_and_processors(capsys: pytest.CaptureFixture[str]) -> None:
    text = tune(capsys, "--database-url", NOWHERE, code=console.USAGE)
    assert "not proven" in text
    assert "--memory --cpus" in text
    text = tune(capsys, "--database-url", NOWHERE, "--memory", "8GiB", code=console.USAGE)
    assert "has: --cpus," in text


def test_a_server_that_does_not_answer_is_told_and_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    text = tune(capsys, "--database-url", NOWHERE, *MACHINE[:6])
    assert "the server was not asked" in text
    assert "every version from 14 on takes" in text
    assert read_conf(text)["effective_io_concurrency"] == "200"


@pytest.mark.spec("R20")
@pytest.mark.parametrize("words", [(), ("--database-url", NOWHERE), ("--memory", "1GB", "--target", "100k")])
def test_the_baseline_is_the_example_whatever_else_is_said(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    text = tune(capsys, "--profile", "baseline", *words)
    assert text == (ROOT / "postgresql.conf.example").read_text(encoding="utf-8")
    pooler = tune(capsys, "--profile", "baseline", "--pgbouncer", *words)
    assert pooler == (ROOT / "pgbouncer.ini.example").read_text(encoding="utf-8")


def test_the_baseline_in_other_forms(capsys: pytest.CaptureFixture[str]) -> None:
    assert "ALTER SYSTEM SET shared_buffers = '512MB';" in tune(
        capsys, "--profile", "baseline", "--format", "alter-system"
    )
    document = document_of(tune(capsys, "--profile", "baseline", "--json"))
    assert len(document["settings"]) == 12
    assert "512MB" in tune(capsys, "--profile", "baseline", "--explain", "shared_buffers")


def test_a_pooler_takes_the_place_of_the_pools(capsys: pytest.CaptureFixture[str]) -> None:
    words = (*MACHINE, "--pool-size", "100", "--instances", "10")
    text = tune(capsys, *words, "--pgbouncer")
    assert "pool_mode = transaction" in text
    assert "default_pool_size = 16" in text
    assert "max_client_conn = 1230" in text
    (most,) = re.findall(r"max_connections = (\d+)", text)
    assert 16 + 20 + 20 + 3 < int(most) < 100
    assert "1000 sessions" in tune(capsys, *words, code=console.REFUSED)
    assert read_conf(tune(capsys, *words, "--pooler-size", "16"))["max_connections"] == most
    larger = tune(capsys, *words, "--pgbouncer", "--pooler-size", "40", "--database-url", "postgresql://127.0.0.1:1/q")
    assert "default_pool_size = 40" in larger
    assert "q = host=127.0.0.1 port=1 dbname=q" in larger


def test_forms(capsys: pytest.CaptureFixture[str]) -> None:
    assert "SELECT pg_reload_conf();" in tune(capsys, *MACHINE, "--format", "alter-system")
    group = json.loads(tune(capsys, *MACHINE, "--format", "parameter-group"))
    assert {"ParameterName": "jit", "ParameterValue": "off", "ApplyMethod": "immediate"} in group
    long, short = (document_of(tune(capsys, *MACHINE, *words)) for words in (("--format", "json"), ("--json",)))
    assert [entry["name"] for entry in long["settings"]] == [entry["name"] for entry in short["settings"]]
    assert long.keys() == short.keys()


def test_one_setting_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    text = tune(capsys, *MACHINE, "--explain", "max_wal_size")
    assert "max_wal_size = " in text
    assert "900 s" in text
    assert "reload" in text
    assert "on cursors" in tune(capsys, *MACHINE, "--explain", "fillfactor")
    assert "30s for the role" in tune(capsys, *MACHINE, "--explain", "statement_timeout")
    assert "lz4" in tune(capsys, *MACHINE, "--explain", "default_toast_compression")
    assert "left as it is" in tune(capsys, *MACHINE, "--explain", "io_workers")
    assert "did you mean shared_buffers" in tune(capsys, *MACHINE, "--explain", "shared_buffer", code=console.USAGE)


def test_a_file_is_whole_or_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    place = tmp_path / "queen.conf"
    assert tune(capsys, *MACHINE, "--output", str(place)) == ""
    assert read_conf(place.read_text(encoding="utf-8"))["shared_buffers"] == "2GB"
    assert [path.name for path in tmp_path.iterdir()] == ["queen.conf"]
    text = tune(capsys, *MACHINE, "--output", str(tmp_path / "no" / "queen.conf"), code=console.USAGE)
    assert "cannot write" in text


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--memory", "much"), console.USAGE),
        (("--memory", "10MB", "--cpus", "1"), console.USAGE),
        (("--pg-version", "13"), console.USAGE),
        (("--storage", "tape"), console.USAGE),
        (("--memory", "1GiB", "--cpus", "1", "--pool-size", "500"), console.REFUSED),
    ],
)
def test_what_cannot_be_or_does_not_fit(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int) -> None:
    assert tune(capsys, *words, code=code)


def test_a_running_server_is_asked(capsys: pytest.CaptureFixture[str], module_dsn: str) -> None:
    document = document_of(tune(capsys, "--database-url", module_dsn, "--json"))
    inputs = document["inputs"]
    assert inputs["pg_version"]["origin"] == "server"
    assert inputs["memory_bytes"]["origin"].startswith("measured here"), (
        "its socket and its process are of this machine"
    )
    so = {entry["name"] for entry in document["settings"] if entry["is_so"]}
    assert {"checkpoint_completion_target", "jit"} <= so
    assert "autovacuum_naptime" not in so
    parameters = {(entry["table"], entry["parameter"]) for entry in document["tables"]}
    assert ("cursors", "vacuum_truncate") in parameters


def test_the_load_that_queen_saw_counts_unless_the_user_says_more(
    capsys: pytest.CaptureFixture[str], database_dsn: str
) -> None:
    """One busy minute, and two servers with a pool of 30 each."""
    columns = "push_requests, pop_requests, pop_messages, pop_empty, ack_requests, ack_success, ack_failed"
    columns += ", ack_rejected, transactions, dead_letters, lag_count, parked, messages_hidden, epochs_dropped"
    zeros = ", ".join("0" for _ in columns.split(","))
    with psycopg.connect(database_dsn, autocommit=True) as connection:
        connection.execute(
            "insert into queen.activity (bucket, instance_id, lag_ms_sum, lag_ms_max, queue_id, push_messages,"
            f" {columns})"
            f" select now() - interval '2 hours', gen_random_uuid(), 0, 0, queue, 150000, {zeros}"
            " from generate_series(1, 2) queue".encode()
        )
        connection.execute(
            "insert into queen.instances (instance_id, seen_at, pool_size, version)"
            " select gen_random_uuid(), now() - age, 30, '1' from (values (interval '1 s'), ('2 s'), ('1 h')) v (age)"
        )
    inputs = document_of(tune(capsys, "--database-url", database_dsn, "--json"))["inputs"]
    assert inputs["target_rate"] == {"value": 5000, "origin": "server, busiest minute of a day"}
    assert (inputs["instances"]["value"], inputs["pool_size"]["value"]) == (2, 30)
    words = ("--target", "100", "--pool-size", "7")
    inputs = document_of(tune(capsys, "--database-url", database_dsn, "--json", *words))["inputs"]
    assert (inputs["target_rate"]["value"], inputs["pool_size"]["value"]) == (100, 7)


def test_a_server_that_may_be_elsewhere_needs_memory_and_processors(
    capsys: pytest.CaptureFixture[str], module_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers, but none of its processes is one of this machine."""
    monkeypatch.setattr("queen.tune.server.postmaster_here", lambda *_: None)
    text = tune(capsys, "--database-url", module_dsn, code=console.USAGE)
    assert "this machine's memory says nothing" in text
    words = ("--database-url", module_dsn, "--memory", "8GiB", "--cpus", "4", "--json")
    inputs = document_of(tune(capsys, *words))["inputs"]
    assert inputs["storage"]["origin"] == "default"
    assert inputs["wal_space_bytes"]["value"] is None
    assert inputs["workers_here"]["value"] == 0


def test_another_version_than_the_servers_is_planned_without_its_words(
    capsys: pytest.CaptureFixture[str], module_dsn: str
) -> None:
    own = document_of(tune(capsys, "--database-url", module_dsn, "--json"))["inputs"]["pg_version"]["value"]
    for version in sorted({"18", "14"} - {str(own)}):
        words = ("--database-url", module_dsn, "--pg-version", version, "--json")
        document = document_of(tune(capsys, *words))
        names = {entry["name"] for entry in document["settings"]}
        assert "default_toast_compression" not in names
        assert ("io_workers" in names) is (version == "18")


def test_what_the_server_has_now_is_part_of_the_explanation(
    capsys: pytest.CaptureFixture[str], module_dsn: str
) -> None:
    with psycopg.connect(module_dsn) as connection:
        now = connection.execute("show shared_buffers").fetchone()
    assert now is not None
    text = tune(capsys, "--database-url", module_dsn, "--explain", "shared_buffers")
    assert f"now      {now[0]} (" in text


def test_tables_and_role_that_are_as_planned_are_left_out(
    capsys: pytest.CaptureFixture[str], database_dsn: str
) -> None:
    def owner() -> list[str]:
        text = tune(capsys, "--database-url", database_dsn, "--format", "alter-system")
        return [line for line in text.splitlines() if line.startswith("ALTER TABLE")]

    with psycopg.connect(database_dsn, autocommit=True) as connection:
        connection.execute("alter table queen.cursors reset (autovacuum_vacuum_threshold)")
        proposed = owner()
        of_cursors = next(line for line in proposed if ".cursors " in line)
        assert "autovacuum_vacuum_threshold" in of_cursors
        assert "fillfactor" not in of_cursors, "the schema has it"
        for line in proposed:
            connection.execute(line.encode())
    assert owner() == []


def test_a_private_postgresql_that_does_not_run_gives_its_version(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    data = tmp_path / "data" / "pg" / "16" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("16\n")
    document = document_of(tune(capsys, "--json"))
    assert document["inputs"]["pg_version"] == {"value": 16, "origin": "programs on this machine"}
    assert "is not running: it was not asked" in tune(capsys)


def test_the_disk_is_timed_when_that_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("queen.cli.tune_pg.gather.DISK_S", 0.1)
    document = document_of(tune(capsys, "--json", "--measure-disk"))
    assert document["inputs"]["commit_ms"]["value"] > 0
    assert document["inputs"]["commit_ms"]["origin"].startswith("measured here")
    assert any(note["name"] == "commits" for note in document["notes"])
    assert list(tmp_path.iterdir()) == [], "the file is gone, and nothing was made"
    text = tune(capsys, *MACHINE, "--database-url", NOWHERE, "--measure-disk", code=console.USAGE)
    assert "data directory" in text
