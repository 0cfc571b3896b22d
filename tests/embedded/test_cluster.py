"""One process and a real private PostgreSQL: made, started, used, stopped, started again, and who is kept out."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from queen.embedded.cluster import Cluster
from queen.embedded.folders import home_of
from queen.errors import EmbeddedError, StoreUnavailable
from queen.settings import EmbeddedSettings
from queen.store.connect import admin, facts, ping
from tests.embedded.support import Holder, until_gone

pytestmark = pytest.mark.pg
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as another user")
needs_user = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")


def show(cluster: Cluster, name: str) -> str:
    with admin(cluster.dsn) as connection:
        row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
    assert row is not None
    return str(row[0])


def test_first_start_makes_a_database_that_answers_and_close_leaves_nothing_running(
    programs: None, place: Path
) -> None:
    cluster = Cluster.open(EmbeddedSettings(data_dir=str(place / "new"), wal_reserve_bytes=0))
    server, socket_dir = cluster.owner_pid, cluster.socket_dir
    with admin(cluster.dsn) as connection:
        row = connection.execute("SELECT current_user, current_database()").fetchone()
        backend = connection.info.backend_pid
    assert row == ("queen", "queen")
    assert cluster.owned
    assert server == os.getpid()
    assert cluster.data_dir.is_relative_to(place / "new")
    assert cluster.description.startswith("PostgreSQL ")
    assert str(cluster.data_dir) in cluster.announcement
    assert "--database-url" in cluster.announcement
    cluster.close()
    until_gone(backend)
    assert not socket_dir.exists()
    assert not cluster.home.state.exists()
    assert not (cluster.data_dir / "postmaster.pid").exists()
    assert not list(cluster.home.path.glob("data.new-*"))


def test_data_survive_a_restart_at_the_same_address(settings: EmbeddedSettings) -> None:
    with Cluster.open(settings) as cluster:
        dsn = cluster.dsn
        with admin(dsn) as connection:
            connection.execute("CREATE TABLE kept (value int)")
            connection.execute("INSERT INTO kept VALUES (7)")
    assert ping(dsn, 2.0) is not None
    with Cluster.open(settings) as cluster:
        assert cluster.dsn == dsn
        with admin(dsn) as connection:
            assert connection.execute("SELECT value FROM kept").fetchall() == [(7,)]


def test_close_twice_is_harmless_and_ensure_after_it_is_refused(settings: EmbeddedSettings) -> None:
    cluster = Cluster.open(settings)
    cluster.close()
    cluster.close()
    with pytest.raises(EmbeddedError, match="closed"):
        cluster.ensure()


def test_durability_is_on_whatever_the_files_say(settings: EmbeddedSettings) -> None:
    with Cluster.open(settings) as cluster:
        baseline = cluster.data_dir / "queen.conf"
    baseline.write_text("fsync = off\nfull_page_writes = off\nlisten_addresses = '*'\nwork_mem = 5MB\n")
    with Cluster.open(settings) as cluster:
        seen = {name: show(cluster, name) for name in ("fsync", "full_page_writes", "synchronous_commit")}
        assert seen == {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
        assert show(cluster, "data_checksums") == "on"
        assert show(cluster, "listen_addresses") == ""
        assert show(cluster, "work_mem") == "5MB", "the tunable part must stay tunable"


@pytest.mark.spec("R20")
def test_baseline_configuration_is_in_force(place: Path) -> None:
    expected = {
        "max_connections": "200",
        "superuser_reserved_connections": "3",
        "shared_buffers": "512MB",
        "effective_cache_size": "2GB",
        "work_mem": "8MB",
        "maintenance_work_mem": "128MB",
        "wal_buffers": "16MB",
        "checkpoint_completion_target": "0.9",
        "max_wal_size": "2GB",
        "min_wal_size": "1GB",
        "random_page_cost": "1.1",
        "effective_io_concurrency": "200",
    }
    wanted = EmbeddedSettings(data_dir=str(place / "new"), wal_reserve_bytes=0, tune="baseline")
    with Cluster.open(wanted) as cluster:
        assert {name: show(cluster, name) for name in expected} == expected
        assert show(cluster, "cluster_name") == "queen-embedded"
        assert show(cluster, "log_parameter_max_length") == "0", "payloads must not reach the log"


def test_statistics_extension_is_loaded_where_the_programs_have_it(settings: EmbeddedSettings) -> None:
    with Cluster.open(settings) as cluster, admin(cluster.dsn) as connection:
        row = connection.execute("SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_stat_statements'")
        available = row.fetchone() == (1,)
        assert ("pg_stat_statements" in show(cluster, "shared_preload_libraries")) == available


def test_no_tcp_listener(settings: EmbeddedSettings) -> None:
    with Cluster.open(settings) as cluster, admin(cluster.dsn) as connection:
        row = connection.execute("SELECT inet_server_addr(), inet_server_port()").fetchone()
        assert row == (None, None)
        listening = _tcp_listeners(_postmaster(cluster))
    assert listening == []


def test_environment_of_libpq_does_not_lead_astray(settings: EmbeddedSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PGHOSTADDR": "192.0.2.1", "PGPORT": "1", "PGUSER": "x", "PGDATABASE": "y"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PGDATA", "/nowhere")
    with Cluster.open(settings) as cluster:
        assert facts(cluster.dsn).connections_max == 200


@needs_root
def test_another_user_is_refused_by_the_folder_and_by_the_server(settings: EmbeddedSettings) -> None:
    with Cluster.open(settings) as cluster:
        closed = _psql_as_nobody(cluster)
        assert closed.returncode != 0
        assert "Permission denied" in closed.stderr
        # Even with the folder and the socket open to all, the kernel's word for who it is decides.
        cluster.socket_dir.chmod(0o755)
        (cluster.socket_dir / ".s.PGSQL.5432").chmod(0o777)
        refused = _psql_as_nobody(cluster)
        assert refused.returncode != 0
        assert "Peer authentication failed" in refused.stderr
        cluster.socket_dir.chmod(0o700)


@needs_root
def test_as_root_the_server_runs_as_somebody_else(settings: EmbeddedSettings) -> None:
    with Cluster.open(settings) as cluster:
        pid = _postmaster(cluster)
        assert Path(f"/proc/{pid}").stat().st_uid == cluster.data_dir.stat().st_uid != 0
        assert cluster.home.path.stat().st_mode & 0o077 == 0


@needs_root
def test_a_parent_that_the_server_cannot_enter_is_named_and_left_alone(programs: None, place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(EmbeddedError, match="cannot enter") as caught:
        Cluster.open(EmbeddedSettings(data_dir=str(closed / "deep" / "data"), wal_reserve_bytes=0))
    assert str(closed) in caught.value.message
    assert "--data-dir" in (caught.value.hint or "")
    assert closed.stat().st_mode & 0o777 == 0o700
    assert list(closed.iterdir()) == []


@needs_user
def test_a_folder_without_permission_is_named(programs: None, place: Path) -> None:
    place.chmod(0o500)
    try:
        with pytest.raises(EmbeddedError, match="no permission"):
            Cluster.open(EmbeddedSettings(data_dir=str(place / "d"), wal_reserve_bytes=0))
    finally:
        place.chmod(0o755)


def test_a_file_in_the_place_of_the_folder_is_named(programs: None, place: Path) -> None:
    (place / "d").write_text("")
    with pytest.raises(EmbeddedError, match="Not a directory"):
        Cluster.open(EmbeddedSettings(data_dir=str(place / "d"), wal_reserve_bytes=0))


def test_a_path_longer_than_a_socket_allows_is_fine(template: Path, place: Path) -> None:
    deep = place / ("x" * 100) / ("y" * 100)
    deep.mkdir(parents=True)
    subprocess.run(["cp", "-a", str(template), str(deep / "d")], check=True)
    with Cluster.open(EmbeddedSettings(data_dir=str(deep / "d"), wal_reserve_bytes=0)) as cluster:
        assert facts(cluster.dsn).version
        assert len(str(cluster.socket_dir)) < 90


def test_unrelated_files_in_the_place_of_the_data_are_kept(settings: EmbeddedSettings) -> None:
    with Cluster.open(settings) as cluster:
        home = cluster.home
    (home.data / "PG_VERSION").unlink()
    (home.data / "mine").write_text("precious")
    with pytest.raises(EmbeddedError, match="not empty"):
        Cluster.open(settings)
    assert (home.data / "mine").read_text() == "precious"


def test_data_of_another_version_is_refused(settings: EmbeddedSettings) -> None:
    with Cluster.open(settings) as cluster:
        home = cluster.home
    home.path.rename(home.path.with_name("99"))
    with pytest.raises(EmbeddedError, match="made by PostgreSQL 99") as caught:
        Cluster.open(settings)
    assert "pg_upgrade" in (caught.value.hint or "")


def test_an_interrupted_initdb_is_swept_away(programs: None, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = _left_by_killed_initdb(place, monkeypatch)
    with Cluster.open(EmbeddedSettings(data_dir=str(place / "d"), wal_reserve_bytes=0)) as cluster:
        assert facts(cluster.dsn).connections == 0
        assert not left.exists()


def test_a_failing_initdb_is_told_and_leaves_nothing(programs: None, place: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"initdb failed: .*no such luck"):
        Cluster.open(EmbeddedSettings(data_dir=str(place / "d"), bin_dir=str(_programs_that_fail(place))))
    home = home_of(place / "d", 17)
    assert not home.data.exists()
    assert not list(home.path.glob("data.new-*"))


def test_a_server_that_cannot_start_tells_its_reason(settings: EmbeddedSettings) -> None:
    with Cluster.open(settings) as cluster:
        home = cluster.home
    shutil.rmtree(home.data / "global")
    with pytest.raises(EmbeddedError, match=r"stopped while starting: .*global") as caught:
        Cluster.open(settings)
    assert str(home.log) in (caught.value.hint or "")
    assert not home.state.exists(), "a failed start leaves no note behind"


def test_a_second_opener_in_the_same_process_joins(settings: EmbeddedSettings) -> None:
    with Cluster.open(settings) as first, Cluster.open(settings) as second:
        assert (first.owned, second.owned) == (True, False)
        assert second.dsn == first.dsn
        assert second.description == first.description
        second.close()
        assert first.ensure() is False
        with pytest.raises(StoreUnavailable), admin(first.dsn.replace("dbname=queen", "dbname=absent")):
            pass


def test_one_who_joined_takes_over_when_the_owner_closes(
    settings: EmbeddedSettings, data_dir: str, hold: Callable[..., Holder]
) -> None:
    owner = hold(data_dir)
    with Cluster.open(settings) as joined:
        dsn = joined.dsn
        assert not joined.owned
        owner.tell("close")
        assert joined.ensure() is True
        assert joined.owned
        assert joined.dsn == dsn
        assert facts(dsn).version


def _postmaster(cluster: Cluster) -> int:
    return int((cluster.data_dir / "postmaster.pid").read_text().split()[0])


def _tcp_listeners(pid: int) -> list[str]:
    """The inodes of listening TCP sockets among a process's open files."""
    listening = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if Path(table).exists():
            rows = [line.split() for line in Path(table).read_text().splitlines()[1:]]
            listening |= {row[9] for row in rows if row[3] == "0A"}
    opened = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    assert any(name.startswith("socket:") for name in opened), "the Unix socket at least must be seen"
    return [name for name in opened if name.removeprefix("socket:[").removesuffix("]") in listening]


def _psql_as_nobody(cluster: Cluster) -> subprocess.CompletedProcess[str]:
    psql = shutil.which("psql") or str(cluster.bin_dir / "psql")
    return subprocess.run(
        [psql, cluster.url, "-c", "SELECT 1"], user="nobody", group=65534, extra_groups=[], cwd="/",
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def _left_by_killed_initdb(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a process that was killed in the middle of initdb leaves behind."""
    from queen.embedded import initialise

    class Killed(BaseException):
        pass

    def interrupted(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(initialise, "_write_configuration", interrupted)
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(Killed):
            Cluster.open(EmbeddedSettings(data_dir=str(place / "d"), wal_reserve_bytes=0))
    (left,) = place.glob("d/pg/*/data.new-*")
    assert (left / "PG_VERSION").exists()
    return left


def _programs_that_fail(place: Path) -> Path:
    folder = place / "bin"
    folder.mkdir()
    (folder / "postgres").write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 17.1'\n")
    (folder / "initdb").write_text("#!/bin/sh\necho 'initdb: error: no such luck' >&2\nexit 1\n")
    for program in folder.iterdir():
        program.chmod(0o755)
    return folder
