"""`queen doctor` as a user runs it: options, forms of the result, exit codes, and what it says when it cannot."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import psycopg
import pytest

from queen.cli import main as cli
from queen.cli.doctor.catalogue import explain
from queen.cli.doctor.light import NICE
from queen.cli.doctor.screen import Color, screen
from queen.doctor.catalogue import catalogue, find
from queen.doctor.check import Query, Seen
from queen.doctor.finding import Finding, Fix
from queen.doctor.repair.shape import schema as repair_schema
from queen.doctor.shape import schema
from tests.doctor.support import execute, session
from tests.support.command import queen_command, start_queen, wait_until

ILL = "alter table queen.leases set (autovacuum_enabled = off)"
"""V3 finds it: critical, and --fix repairs it."""
REPAIR = "ALTER TABLE queen.leases RESET (autovacuum_enabled)"
WARN = ("C1", "--threshold", "C1=0,101")
"""A warning at any time."""

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _clean_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings but those of the test, in an empty folder; no server at the configured port."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("DATABASE_URL", "PG_HOST", "PG_PASSWORD", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PORT", str(one.getsockname()[1]))


def doctor(dsn: str, *args: str) -> int:
    return cli.run(["doctor", "--database-url", dsn, "--window", "0.2", *args])


def test_it_lets_others_of_its_machine_go_first(database_dsn: str, tmp_path: Path) -> None:
    process = start_queen(tmp_path, "doctor", "V1", "--window", "30s", "--database-url", database_dsn)
    try:
        wait_until(lambda: os.sched_getscheduler(process.pid) == os.SCHED_BATCH, "the doctor to step back")
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == NICE
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def ill_dsn(module_dsn: str) -> str:
    """One database for the tests that change nothing in it."""
    execute(module_dsn, ILL)
    return module_dsn


def test_a_finding_ends_in_1_and_shows_all_that_a_reader_needs(ill_dsn: str, capsys: Capture) -> None:
    assert doctor(ill_dsn, "--only", "V3") == 1
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "1 critical finding in 1 check."
    for text in (
        "V3",
        "queen.leases: autovacuum is switched off",
        "why",
        "at stake",
        REPAIR,
        "or: queen doctor --fix V3",
    ):
        assert text in out
    assert all(len(line) <= 80 and line == line.rstrip() for line in out.splitlines())


def test_nothing_found_ends_in_0(ill_dsn: str, capsys: Capture) -> None:
    assert doctor(ill_dsn, "--only", "I1") == 0
    assert capsys.readouterr().out.startswith("Healthy: nothing found in 1 check.\n")


def test_thresholds_of_the_user_count_and_are_named(ill_dsn: str, capsys: Capture) -> None:
    assert doctor(ill_dsn, *WARN) == 1
    assert "warn 0, crit 101 % of the slots (--threshold)" in capsys.readouterr().out
    assert doctor(ill_dsn, *WARN, "--fail-on", "crit") == 0
    assert doctor(ill_dsn, "C1", "--threshold", "C1=0,0", "--fail-on", "crit") == 1
    assert doctor(ill_dsn, "C1", "--threshold", "C1=none,none") == 0


def test_json_keeps_the_published_schema(ill_dsn: str, capsys: Capture) -> None:
    assert doctor(ill_dsn, "--json", "--skip", "locks") == 1
    data = json.loads(capsys.readouterr().out)
    jsonschema.validate(data, schema())
    assert {one["id"] for one in data["checks"]} == {one.id for one in catalogue() if one.group != "locks"}
    assert data["findings"][0]["id"] in {one["id"] for one in data["checks"]}


@pytest.mark.parametrize(
    ("args", "code", "word"),
    [
        (["V3"], 2, "CRITICAL - V3: queen.leases: autovacuum is switched off"),
        ([*WARN], 1, "WARNING - C1: "),
        (["I1"], 0, "OK - 1 check found nothing"),
    ],
)
def test_nagios(ill_dsn: str, capsys: Capture, args: list[str], code: int, word: str) -> None:
    assert doctor(ill_dsn, "--nagios", *args) == code
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"QUEEN {word}")
    assert " | crit=" in line


@pytest.mark.parametrize(
    "args",
    [
        ["--color", "sometimes"],
        ["--bogus"],
        ["--window", "soon"],
        ["--fail-on", "never"],
        ["--fail-on", "crit"],
        ["--list"],
        ["--explain", "V4"],
    ],
)
def test_wrong_usage_is_unknown_to_monitoring_and_not_critical(args: list[str], capsys: Capture) -> None:
    assert cli.run(["doctor", "--nagios", *args]) == 3
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("QUEEN UNKNOWN - ")


def test_nagios_counts_notes(database_dsn: str, capsys: Capture) -> None:
    execute(database_dsn, "create index looked_for on queen.queues (namespace)")
    assert doctor(database_dsn, "--nagios", "I5") == 0
    assert capsys.readouterr().out.startswith("QUEEN OK - 1 check found 1 note and nothing worse | ")


def test_a_baseline_hides_what_is_known(ill_dsn: str, tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "known.json"
    assert doctor(ill_dsn, "V3", "--save-baseline", str(file)) == 1
    capsys.readouterr()
    assert doctor(ill_dsn, "V3", "--baseline", str(file)) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert words.startswith("Healthy: nothing new found in 1 check. 1 known finding of the baseline not shown.")
    assert doctor(ill_dsn, "V3", "--baseline", str(tmp_path / "none")) == 2


def test_quiet_says_nothing_and_ends_the_same(ill_dsn: str, capsys: Capture) -> None:
    assert doctor(ill_dsn, "V3", "-q") == 1
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_verbose_names_every_check_and_its_wolf(ill_dsn: str, capsys: Capture) -> None:
    assert doctor(ill_dsn, "V3", "I1", "-v") == 1
    out = capsys.readouterr().out
    assert f"I1   {find('I1').title}" in out
    assert f"unless   {find('V3').false_positive[:30]}" in out


def test_colour_is_asked_for_or_not(ill_dsn: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    for args, variables, coloured in (
        (["--color", "always"], {}, True),
        (["--color", "always"], {"NO_COLOR": "1"}, True),
        (["--color", "never"], {}, False),
        ([], {}, False),
    ):
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            doctor(ill_dsn, "V3", *args)
        assert ("\x1b[" in capsys.readouterr().out) is coloured, args


def test_a_check_that_fails_ends_in_70_and_keeps_its_trace(
    ill_dsn: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def evaluate(_: Seen) -> list[Finding]:
        raise ZeroDivisionError("of our own")

    broken = replace(find("I1"), evaluate=evaluate)
    monkeypatch.setattr("queen.cli.doctor.aim.choose", lambda *_: (broken,))
    assert doctor(ill_dsn) == 70
    captured = capsys.readouterr()
    assert "a bug of Queen: ZeroDivisionError: of our own" in " ".join(captured.out.split())
    path = Path(captured.err.strip().rpartition(" ")[2])
    assert "ZeroDivisionError: of our own" in path.read_text(encoding="utf-8")
    path.unlink()
    monkeypatch.setattr("queen.cli.doctor.aim.choose", lambda *_: (find("V3"), broken))
    assert doctor(ill_dsn) == 1, "a finding is the stronger word"
    Path(capsys.readouterr().err.strip().rpartition(" ")[2]).unlink()
    monkeypatch.setattr("queen.cli.doctor.aim.choose", lambda *_: (broken,))
    assert doctor(ill_dsn, "--nagios") == 3
    Path(capsys.readouterr().err.strip().rpartition(" ")[2]).unlink()


def test_nothing_checked_is_unknown_and_ends_in_3(empty_database_dsn: str, capsys: Capture) -> None:
    assert doctor(empty_database_dsn, "V3") == 3
    out = capsys.readouterr().out
    assert out.startswith("Unknown: nothing could be checked.")
    assert "enable queen db migrate" in out
    assert doctor(empty_database_dsn, "V3", "--nagios") == 3


@pytest.mark.parametrize(
    "args",
    [
        ["--only", "Z9"],
        ["--skip", "nothing"],
        ["--window", "soon"],
        ["--window", "0"],
        ["--window", "5s", "--timeout", "2s"],
        ["--threshold", "V1"],
        ["--threshold", "V1.nothing=3"],
        ["--fail-on", "never"],
        ["--quiet", "--json"],
        ["--watch", "--fix"],
        ["--yes"],
        ["--allow", "reload"],
        ["--explain", "Z9"],
        ["--undo", "nothing.undo"],
        ["V1", "--skip", "V1"],
        ["--only", ""],
        ["--only", ","],
        ["--fix", ""],
        ["--threshold", "V4=nan"],
        ["--color", "sometimes"],
    ],
)
def test_wrong_usage_ends_in_2(ill_dsn: str, capsys: Capture, args: list[str]) -> None:
    assert doctor(ill_dsn, *args) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("queen: ")


def _closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_a_database_that_is_not_there_ends_in_3_with_what_to_try(capsys: Capture) -> None:
    url = f"postgresql://queen:secret@127.0.0.1:{_closed_port()}/queen"
    assert doctor(url) == 3
    captured = capsys.readouterr()
    assert captured.err.startswith("queen: the database is away")
    assert "hint: is PostgreSQL running and reachable" in captured.err
    assert "Traceback" not in captured.err
    assert "secret" not in captured.err
    assert doctor(url, "--nagios") == 3
    assert capsys.readouterr().out.startswith("QUEEN UNKNOWN - the database is away")


def test_a_role_that_is_refused_ends_in_3_with_what_to_check(ill_dsn: str, capsys: Capture) -> None:
    assert doctor(f"{ill_dsn}&user=stranger&password=not-this") == 3
    err = capsys.readouterr().err
    assert "stranger" in err
    assert "hint: check user, password and rights of database.url" in err
    assert "not-this" not in err
    assert "Traceback" not in err


def test_a_database_that_never_answers_ends_in_3(capsys: Capture) -> None:
    """A host that takes the connection and says nothing more."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(5)
        assert doctor(f"postgresql://queen@127.0.0.1:{silent.getsockname()[1]}/queen", "--timeout", "1s") == 3
    assert "hint: " in capsys.readouterr().err


def test_without_a_database_the_private_one_is_looked_for(capsys: Capture, tmp_path: Path) -> None:
    assert cli.run(["doctor", "--data-dir", str(tmp_path / "d")]) == 3
    err = capsys.readouterr().err
    assert err.startswith("queen: the private PostgreSQL is not running (exit 3)")
    assert "queen serve" in err


def test_a_server_that_was_named_and_does_not_answer_ends_in_3(ill_dsn: str, capsys: Capture) -> None:
    url = f"http://127.0.0.1:{_closed_port()}"
    assert doctor(ill_dsn, "--url", url) == 3
    err = capsys.readouterr().err
    assert f"no Queen server answers at {url}" in err
    assert "hint: start it with: queen serve" in err


def test_list_and_explain_need_no_database(capsys: Capture) -> None:
    assert cli.run(["doctor", "--list"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {check.id:5}{check.title}" in out for check in catalogue())
    assert cli.run(["doctor", "--list", "--json"]) == 0
    assert [one["id"] for one in json.loads(capsys.readouterr().out)["checks"]] == [check.id for check in catalogue()]


def test_every_check_explains_itself(capsys: Capture) -> None:
    for known in catalogue():
        out = io.StringIO()
        explain(screen(Color.never, file=out, width=80), known.id.lower(), as_json=False)
        text = out.getvalue()
        assert text.startswith(f"{known.id}  {known.title}")
        for name, query in known.queries.items():
            for version in (query.min_version, *query.since):
                assert f"-- {name}, PostgreSQL {version // 10_000} and later" in text
        assert all(f"Threshold {known.id}.{name}: " in text for name in known.thresholds)
        assert "{schema" not in text
    assert cli.run(["doctor", "--explain", "v4"]) == 0
    assert capsys.readouterr().out.startswith(f"V4  {find('V4').title}")
    assert cli.run(["doctor", "--explain", "V4", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["queries"]) == set(find("V4").queries)


def test_watch_goes_on_until_it_is_interrupted(ill_dsn: str, tmp_path: Path) -> None:
    options = ("--database-url", ill_dsn, "--window", "0.2", "--watch", "1s", "--json")
    process = start_queen(tmp_path, "doctor", "V3", *options, PORT=os.environ["PORT"])
    assert process.stdout is not None
    try:
        rounds = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert [one["verdict"] for one in rounds] == ["crit", "crit"]
    assert process.returncode == 130
    assert b"Traceback" not in err


def test_the_countdown_is_drawn_on_a_terminal_only(ill_dsn: str, tmp_path: Path, capsys: Capture) -> None:
    import pty

    doctor(ill_dsn, "C1")
    assert capsys.readouterr().err == ""
    ours, theirs = pty.openpty()
    seen: list[bytes] = []

    def read() -> None:
        while True:
            try:
                seen.append(os.read(ours, 4096))
            except OSError:  # the other end is closed
                return

    reader = threading.Thread(target=read)
    reader.start()
    subprocess.run(
        [sys.executable, "-m", "queen", "doctor", "vacuum", "--database-url", ill_dsn, "--window", "0.7"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        timeout=60,
        check=False,
    )
    os.close(theirs)
    reader.join(20)
    os.close(ours)
    text = b"".join(seen)
    assert b"queen doctor: facts" in text
    assert b"queen doctor: window, 1 s left" in text
    assert text.endswith(b"\r\x1b[K"), "nothing is left behind"


def test_without_utf8_only_ascii_is_written(ill_dsn: str, tmp_path: Path) -> None:
    options = ("--database-url", ill_dsn, "--window", "0.2")
    done = queen_command(tmp_path, "doctor", *WARN, *options, PYTHONIOENCODING="ascii", PORT=os.environ["PORT"])
    assert done.code == 1, done.err
    assert done.out.decode("ascii").startswith("1 warning in 1 check.\n")
    assert b"warn  connections and poolers: 1 check, 1 finding" in done.out


def fix(dsn: str, folder: Path, *args: str) -> int:
    return doctor(dsn, "--data-dir", str(folder), "--fix", *args)


def test_a_repair_is_shown_done_looked_at_again_and_taken_back(
    database_dsn: str, tmp_path: Path, capsys: Capture
) -> None:
    execute(database_dsn, ILL)
    assert fix(database_dsn, tmp_path, "V3", "--dry-run") == 1
    out = capsys.readouterr().out
    assert "Plan: 1 repair." in out
    assert not (tmp_path / "undo").exists()
    assert fix(database_dsn, tmp_path, "V3") == 0
    captured = capsys.readouterr()
    (file,) = (tmp_path / "undo").iterdir()
    assert f"undo file: {file}\n" in captured.err
    words = " ".join(captured.out.split())
    assert "done: V3 queen.leases" in words
    assert "before: queen.leases: autovacuum is switched off" in words
    assert "after: gone" in words
    assert doctor(database_dsn, "--undo", str(file), "--dry-run") == 0
    assert f"would take back: {REPAIR}" in capsys.readouterr().out
    assert doctor(database_dsn, "V3", "-q") == 0
    assert doctor(database_dsn, "--undo", str(file)) == 0
    assert f"taken back: {REPAIR}" in capsys.readouterr().out
    assert doctor(database_dsn, "V3", "-q") == 1, "as ill as before"
    assert doctor(database_dsn, "--undo", str(file)) == 0
    assert "taken back before" in capsys.readouterr().out


def test_a_repair_as_json(database_dsn: str, tmp_path: Path, capsys: Capture) -> None:
    execute(database_dsn, ILL)
    assert fix(database_dsn, tmp_path, "V3", "--json") == 0
    data: dict[str, Any] = json.loads(capsys.readouterr().out)
    jsonschema.validate(data, repair_schema())
    assert data["verdict"] == "healthy"
    assert [one["apply"] for one in data["done"]] == [[REPAIR]]
    assert data["changes"][0]["before"]["evidence"]["autovacuum_enabled"] == "off"
    assert data["changes"][0]["after"] is None
    assert Path(data["undo_file"]).is_file()
    for args, planned, undone in ((["--dry-run"], 1, 0), ([], 1, 1), ([], 0, 0)):
        assert doctor(database_dsn, "--undo", data["undo_file"], "--json", *args) == 0
        answer = json.loads(capsys.readouterr().out)
        jsonschema.validate(answer, repair_schema())
        assert (len(answer["plan"]), [one["ok"] for one in answer["undone"]]) == (planned, [True] * undone)


def test_a_repair_is_judged_without_what_the_baseline_knows(database_dsn: str, tmp_path: Path, capsys: Capture) -> None:
    """V3 is known of one table; that of another is repaired, and the second look does not bring the known one back."""
    execute(database_dsn, ILL)
    file = str(tmp_path / "known.json")
    assert doctor(database_dsn, "V3", "--save-baseline", file, "-q") == 1
    execute(database_dsn, ILL.replace("leases", "cursors"))
    assert fix(database_dsn, tmp_path, "V3", "--baseline", file, "--json") == 0
    captured = capsys.readouterr()
    data = json.loads(captured.out)
    assert [one["object"] for one in data["done"]] == ["queen.cursors"]
    assert data["verdict"] == "healthy"


def test_ending_a_session_needs_consent(
    database_dsn: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def evaluate(seen: Seen) -> list[Finding]:
        return [
            Finding("crit", "it is there", {}, "End it.", fix=Fix("D", (f"SELECT pg_terminate_backend({row['pid']})",)))
            for row in seen.rows("those")
        ]

    those = Query("SELECT pid FROM pg_stat_activity WHERE application_name = 'forgetful'")
    check = replace(find("I1"), queries={"those": those}, needs=(), evaluate=evaluate)
    monkeypatch.setattr("queen.cli.doctor.aim.choose", lambda *_: (check,))
    with session(database_dsn, application_name="forgetful") as holder:
        for args in (("I1",), ("I", "--yes"), ("--yes",)):
            assert fix(database_dsn, tmp_path, *args) == 1
            words = " ".join(capsys.readouterr().out.split())
            assert "needs your consent: queen doctor --fix I1 --yes" in words
            holder.execute("select 1")
        assert fix(database_dsn, tmp_path, "I1", "--yes") == 0
        with pytest.raises(psycopg.OperationalError):
            holder.execute("select 1")


def test_another_doctor_at_work_is_refused(database_dsn: str, tmp_path: Path, capsys: Capture) -> None:
    from queen.doctor.repair.guard import LOCK
    from queen.store.operate import Operator

    execute(database_dsn, ILL)
    with Operator(database_dsn) as other:
        assert other.claim(LOCK)
        assert fix(database_dsn, tmp_path, "V3") == 4
    assert "another doctor is changing this database (exit 4)" in capsys.readouterr().err
