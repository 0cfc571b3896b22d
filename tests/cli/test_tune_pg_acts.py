"""`queen tune-pg` on a running server, as a user calls it: what is printed, exit codes, JSON."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

import queen.doctor.run as doctor
from queen.bench import smoke as bench_smoke
from queen.bench.smoke import Judged
from queen.cli import console
from queen.cli.main import run
from queen.cli.tune_pg import smoke, verify
from queen.doctor.finding import Finding
from queen.doctor.run import Ask
from queen.embedded import conf
from queen.embedded.cluster import Cluster
from queen.settings import EmbeddedSettings
from queen.store.migrate import migrate
from tests.support.fix_server import open_folder
from tests.tune.flow.support import one, run_sql

pytestmark = pytest.mark.pg

MACHINE = ("--memory", "3GiB", "--cpus", "2", "--storage", "ssd")
Tune = Callable[..., tuple[str, str]]


@pytest.fixture(scope="module")
def data_dir(server_template: Path) -> Iterator[Path]:
    """A private cluster that is not running, migrated, with the baseline."""
    folder = open_folder()
    subprocess.run(["cp", "-a", str(server_template), str(folder / "d")], check=True)
    next((folder / "d").glob("pg/*/data/queen.conf")).write_text(conf.baseline(), "utf-8")
    with Cluster.open(EmbeddedSettings(data_dir=str(folder / "d")), holder="tests") as cluster:
        asyncio.run(migrate(cluster.dsn, "queen"))
    yield folder / "d"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def cluster(data_dir: Path) -> Iterator[Cluster]:
    """The same, running."""
    with Cluster.open(EmbeddedSettings(data_dir=str(data_dir)), holder="tests") as made:
        yield made


@pytest.fixture
def tune(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], data_dir: Path) -> Tune:
    """Runs the command on the private cluster; (standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUEEN_EMBEDDED__DATA_DIR", str(data_dir))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))

    def call(*words: str, code: int = console.DONE) -> tuple[str, str]:
        ended = run(["tune-pg", *words])
        out, err = capsys.readouterr()
        assert ended == code, out + err
        return out, err

    return call


def _document(output: tuple[str, str]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(output[0])
    assert document["schema_version"] == 1
    return document


@pytest.mark.spec("R36")
def test_from_a_diff_over_an_apply_and_drift_back_to_the_start(cluster: Cluster, tune: Tune) -> None:
    own = cluster.data_dir / "queen.conf"
    before = own.read_bytes()
    out, _ = tune("--diff", *MACHINE)
    assert "autovacuum_naptime" in out
    assert "at stake: not known" in out
    assert "at stake: no rate (safety, or sight)" in " ".join(out.split())
    assert all(len(line) <= 80 for line in out.splitlines())
    assert own.read_bytes() == before

    out, _ = tune("--apply", "--no-bench", *MACHINE)
    assert f"by {own}" in out
    assert "at the next restart of PostgreSQL: " in out
    assert one(cluster.dsn, "show checkpoint_timeout") == "15min"
    assert one(cluster.dsn, "show lock_timeout") == "2s"
    assert "as they were applied" in tune("--check")[0]
    assert "0 of " in tune("--diff", *MACHINE)[0]
    assert "nothing to do" in tune("--apply", "--no-bench", *MACHINE)[0]

    own.write_bytes(own.read_bytes().replace(b"checkpoint_timeout = 15min", b"checkpoint_timeout = 14min"))
    one(cluster.dsn, "select pg_reload_conf()")
    out, _ = tune("--check", code=console.FOUND)
    assert "checkpoint_timeout" in out
    assert "14min" in out
    document = _document(tune("--check", "--json", code=console.FOUND))
    [drifted] = [row for row in document["settings"] if row["state"] == "differs"]
    assert (drifted["name"], drifted["wanted"], drifted["now"]) == ("checkpoint_timeout", "15min", "14min")
    assert drifted["file"] == str(own)

    own.write_bytes(own.read_bytes().replace(b"checkpoint_timeout = 14min", b"checkpoint_timeout = 15min"))
    assert "put back: the" in tune("--rollback")[0]
    assert own.read_bytes() == before
    _, err = tune("--rollback", code=console.USAGE)
    assert "nothing was applied" in err


def test_verify_asks_the_doctor_the_log_and_a_load(
    cluster: Cluster, tune: Tune, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    warnings: list[Finding] = []
    judged: list[Judged] = []

    def look(ask: Ask) -> SimpleNamespace:
        asked.extend(check.id for check in ask.checks)
        return SimpleNamespace(results=[SimpleNamespace(id="V1", findings=tuple(warnings))])

    monkeypatch.setattr(verify, "TOUCHED", {"V1": (), "V2": ("shared_buffers",)})
    monkeypatch.setattr(doctor, "run", look)
    monkeypatch.setattr(smoke, "before", lambda _url: b"{}")
    monkeypatch.setattr(smoke, "after", lambda _url, kept: judged[-1] if kept == b"{}" else None)
    tune("--apply", *MACHINE, "--only", "server,role")
    judged.append(Judged("not worse", ("2 ms",)))
    verified = _document(tune("--verify", "--json"))
    assert (verified["clean"], verified["doctor"], verified["log"]) == (True, [], {"errors": [], "whole": True})
    assert (verified["bench"]["word"], verified["bench"]["reasons"]) == ("not worse", ["2 ms"])
    assert asked == ["V1"], "what waits for a restart is not asked about"
    assert _document(tune("--verify", "--json", "--no-bench"))["bench"] is None

    judged.append(Judged("worse", ("twice as long",)))
    assert "WORSE than before the change" in tune("--verify", code=console.FOUND)[0]
    judged.append(Judged("no answer", ("no run from before",)))
    assert "no answer" in tune("--verify")[0]
    warnings.append(SimpleNamespace(status="warn", summary="dead rows"))  # type: ignore[arg-type]
    assert "doctor V1: dead rows" in tune("--verify", code=console.FOUND)[0]
    warnings.clear()
    with pytest.raises(psycopg.Error):
        run_sql(cluster.dsn, "select no_such_function()")
    for _ in range(2):
        out, _ = tune("--verify", "--no-bench", code=console.FOUND)
        assert "log: 1 new kinds of errors since the change" in out
        assert "no_such_function" in out
    tune("--rollback")


def test_a_load_before_a_change_is_kept_beside_its_journal_and_leaves_nothing(
    cluster: Cluster, tune: Tune, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real one, as short as it can be: too short for an interval, so that nothing can be judged by it."""
    monkeypatch.setattr(bench_smoke, "WARMUP_S", 1)
    monkeypatch.setattr(bench_smoke, "MEASURE_S", 1)
    monkeypatch.setattr(bench_smoke, "RATE", 100)
    monkeypatch.setattr(bench_smoke, "SLOS", ("errors<0.1%",))
    made = _document(tune("--apply", *MACHINE, "--only", "role", "--json"))
    run = smoke._read((Path(made["journal"]) / "bench.json").read_bytes())
    assert run is not None
    assert run.ledger.delivered == run.ledger.accepted > 0
    assert run.ledger.lost == 0
    assert bench_smoke.judge(run, run).word == "no answer"
    assert one(cluster.dsn, f"select to_regnamespace('{bench_smoke.SCHEMA}') is null")
    assert one(cluster.dsn, "select count(*) from queen.queues") == 0
    assert _document(tune("--verify", "--json", "--no-bench"))["log"]["errors"] == []
    tune("--rollback")


def test_a_load_that_cannot_be_made_hinders_no_apply(cluster: Cluster, tune: Tune) -> None:
    run_sql(cluster.dsn, f"create schema {bench_smoke.SCHEMA}")
    try:
        _, err = tune("--apply", *MACHINE, "--only", "role")
        assert "no smoke bench before the change" in err
        assert "no answer" in tune("--verify")[0]
    finally:
        run_sql(cluster.dsn, f"drop schema {bench_smoke.SCHEMA}")
    tune("--rollback")


def test_only_table_and_role(cluster: Cluster, tune: Tune) -> None:
    before = (cluster.data_dir / "queen.conf").read_bytes()
    run_sql(cluster.dsn, "alter table queen.cursors reset (fillfactor)")
    done = _document(tune("--apply", "--no-bench", *MACHINE, "--only", "table,role", "--json"))
    assert {change["kind"] for change in done["changes"]} == {"table", "role"}
    assert (cluster.data_dir / "queen.conf").read_bytes() == before
    [undone] = _document(tune("--rollback", "--json"))["undone"]
    assert undone["state"] == "undone"
    assert "fillfactor" not in str(one(cluster.dsn, "select reloptions from pg_class where relname = 'cursors'"))
    run_sql(cluster.dsn, "alter table queen.cursors set (fillfactor = 50)")


def test_a_time_to_confirm(cluster: Cluster, tune: Tune) -> None:
    out, _ = tune("--apply", "--no-bench", *MACHINE, "--only", "role", "--confirm-within", "5m")
    assert "unless you run: queen tune-pg --confirm" in out
    _, err = tune("--apply", "--no-bench", *MACHINE, code=console.REFUSED)
    assert "waits for its confirmation" in err
    assert "stay" in tune("--confirm")[0]
    tune("--rollback")


@pytest.mark.parametrize(
    "words",
    [
        ("--apply", "--check"),
        ("--check", "--no-bench"),
        ("--confirm-within", "5m"),
        ("--apply", "--confirm-within", "0s"),
        ("--check", "--only", "role"),
        ("--diff", "--only", "disk"),
        ("--diff", "--pg-version", "17"),
    ],
)
def test_options_that_do_not_fit_together(cluster: Cluster, tune: Tune, words: tuple[str, ...]) -> None:
    major = int(cluster.version.split(".")[0])
    if "17" in words and major == 17:
        pytest.skip("the server is of that version")
    tune(*words, *MACHINE, code=console.USAGE)


def test_another_server_has_its_journals_in_the_user_s_folder(cluster: Cluster, tune: Tune, tmp_path: Path) -> None:
    tune("--apply", "--no-bench", *MACHINE, "--only", "role", "--database-url", cluster.url)
    [shelf] = (tmp_path / "share" / "queen" / "tune").iterdir()
    assert shelf.name == one(cluster.dsn, "select system_identifier::text from pg_control_system()")
    tune("--check", "--database-url", cluster.url)
    tune("--rollback", "--database-url", cluster.url)


def test_one_that_was_never_started_is_not_made(tune: Tune, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("QUEEN_EMBEDDED__DATA_DIR", str(tmp_path / "new"))
    for words in (("--diff", *MACHINE), ("--check",)):
        assert "started here yet" in tune(*words, code=console.UNREACHABLE)[1]
    assert not (tmp_path / "new").exists()


def test_an_unreachable_server(tune: Tune) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/nothing"
    _, err = tune("--diff", *MACHINE, "--database-url", nowhere, code=console.USAGE)
    assert "refused" in err
    tune("--check", "--database-url", nowhere, code=console.UNREACHABLE)
    _, err = tune("--rollback", "--database-url", nowhere, code=console.USAGE)
    assert "does not answer" in err


class TestNotRunning:
    """The last tests of this file: they start and stop the server of the module."""

    def test_it_is_started_for_an_apply_and_has_all_at_its_next_start(
        self, cluster: Cluster, tune: Tune, data_dir: Path
    ) -> None:
        cluster.close()
        own = next(data_dir.glob("pg/*/data/queen.conf"))
        before, owner = own.read_bytes(), own.stat().st_uid
        _, err = tune("--apply", "--no-bench", *MACHINE, "--confirm-within", "5m", code=console.USAGE)
        assert "would stop with this command" in err
        tune("--apply", "--no-bench", *MACHINE, "--only", "server")
        with Cluster.open(EmbeddedSettings(data_dir=str(data_dir)), holder="tests") as again:
            # The template was used by one process only: nothing else holds it.
            assert int(one(again.dsn, "select setting from pg_settings where name = 'shared_buffers'")) > 65_536
        tune("--rollback")
        assert (own.read_bytes(), own.stat().st_uid) == (before, owner)

    def test_a_server_that_does_not_start_with_its_files_gets_them_back(
        self, cluster: Cluster, tune: Tune, data_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cluster.close()
        own = next(data_dir.glob("pg/*/data/queen.conf"))
        before = own.read_bytes()
        tune("--apply", "--no-bench", *MACHINE, "--only", "server,role")
        monkeypatch.setenv("QUEEN_EMBEDDED__BIN_DIR", str(_broken_programs(cluster.bin_dir, data_dir)))
        _, err = tune("--rollback")
        assert "only its files are put back" in err
        assert own.read_bytes() == before
        monkeypatch.delenv("QUEEN_EMBEDDED__BIN_DIR")
        out, _ = tune("--rollback")
        assert "put back: the" in out
        with Cluster.open(EmbeddedSettings(data_dir=str(data_dir)), holder="tests") as again:
            assert one(again.dsn, "select count(*) from pg_db_role_setting") == 0


def _broken_programs(real: Path, data_dir: Path) -> Path:
    """Programs that tell their version and then do not start a server, as with settings that cannot be."""
    folder = data_dir.parent / "broken"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    script = (
        f'#!/bin/sh\n[ "$1" = --version ] && exec {real}/postgres --version\necho "FATAL:  no memory" >&2\nexit 1\n'
    )
    for name in ("postgres", "initdb"):
        (folder / name).write_text(script, "utf-8")
        os.chmod(folder / name, 0o755)
    return folder
