"""Apply, verify and roll back on a real server: by a file, by ALTER SYSTEM, and nothing half done in between."""

from __future__ import annotations

import pytest

from queen.errors import CannotChange, TuneInputError, TuneRefused
from queen.store.inspect import Inspector
from queen.tune.flow.drift import check
from tests.tune.flow.support import PLAN, SCHEMA, Ground, edited, plan_of

pytestmark = pytest.mark.pg

AUTO = "postgresql.auto.conf"


def _role(ground: Ground) -> object:
    return ground.value("select setconfig from pg_db_role_setting where setdatabase = 0")


def _table(ground: Ground, name: str) -> list[str]:
    return sorted(ground.value(f"select reloptions from pg_class where oid = 'queen.{name}'::regclass"))


def test_apply_verify_and_roll_back_leave_every_file_as_it_was(ground: Ground) -> None:
    before, cursors, leader = ground.files, _table(ground, "cursors"), _table(ground, "leader")
    done = ground.apply()
    assert done.pending == ["shared_buffers"]
    assert ground.value("show checkpoint_timeout") == "11min"
    assert ground.value("show random_page_cost") == "1.25"
    assert ground.value("select pending_restart from pg_settings where name = 'shared_buffers'") is True
    assert "fillfactor=60" in _table(ground, "cursors")
    assert "autovacuum_vacuum_threshold=1234" in _table(ground, "leader")
    assert _role(ground) == ["lock_timeout=3s", "jit=off"]
    with Inspector(ground.dsn, SCHEMA) as inspector:
        drift = check(inspector, ground.shelf)
    assert drift.clean
    assert [entry.wanted.name for entry in drift.pending] == ["shared_buffers"]
    assert set(ground.files) == set(before)
    assert ground.files["queen.conf"] != before["queen.conf"]
    [undone] = ground.rollback()
    assert undone.notes == ()
    assert ground.files == before
    assert ground.value("show checkpoint_timeout") == "5min"
    assert (_table(ground, "cursors"), _table(ground, "leader")) == (cursors, leader)
    assert _role(ground) is None
    with pytest.raises(TuneInputError, match="nothing was applied"):
        ground.rollback()
    assert list(ground.shelf.folder.iterdir()) == [undone.folder]
    assert undone.folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("reads", ["no folder", "conf.d"])
def test_a_server_of_somebody_s_own_gets_a_file_beside_its_own(ground: Ground, reads: str) -> None:
    main = ground.cluster.data_dir / "postgresql.conf"
    text = main.read_text("utf-8")
    own = (ground.cluster.data_dir / "queen.conf").read_text("utf-8")
    folder = main.parent / "conf.d"
    if reads == "conf.d":
        folder.mkdir()  # of this user: PostgreSQL must be able to read what will be put there
        folder.chmod(0o755)
        own += "include_dir = 'conf.d'\n"
    with edited(main, text[: text.index("# Queen's baseline")] + own):
        before = ground.files
        done = ground.apply(kinds=["server"])
        assert "conf.d/queen.conf" in ground.files
        assert ground.files["conf.d/queen.conf"][1:] == before["postgresql.conf"][1:], "mode and owner"
        assert (ground.files["postgresql.conf"] == before["postgresql.conf"]) is (reads == "conf.d")
        assert len(done.journal.files) == (1 if reads == "conf.d" else 2)
        assert ground.value("show random_page_cost") == "1.25"
        ground.rollback()
        assert ground.files == before
    if reads == "conf.d":
        folder.rmdir()


def test_alter_system_is_taken_back_line_by_line_and_in_the_same_order(ground: Ground) -> None:
    ground.run("alter system set random_page_cost = 3", "alter system set log_min_messages = 'info'")
    try:
        before = ground.files
        ground.apply(way="alter-system", kinds=["server"])
        assert ground.value("show random_page_cost") == "1.25"
        assert b"shared_buffers" in ground.files[AUTO][0]
        assert ground.files[AUTO][0].index(b"log_min_messages") < ground.files[AUTO][0].index(b"random_page_cost")
        ground.rollback()
        assert ground.files == before
        assert ground.value("show random_page_cost") == "3"
    finally:
        ground.run("alter system reset all", "select pg_reload_conf()")


@pytest.mark.parametrize("way", ["file", "alter-system"])
def test_nothing_is_left_of_a_value_that_the_server_does_not_take(ground: Ground, way: str) -> None:
    before = ground.files
    bad = plan_of(("random_page_cost", "1.5", "reload"), ("log_min_messages", "loud", "reload"))
    with pytest.raises(CannotChange, match=r"log_min_messages.*everything was put back"):
        ground.apply(bad, way=way)
    assert ground.files == before
    assert ground.value("show random_page_cost") == "1.1"
    assert [journal.state for journal in ground.shelf.all()] == ["undone"]


def test_only_tables_and_role_need_no_administrator(ground: Ground) -> None:
    ground.run("create role plain login", "grant plain to queen", "create schema plain authorization plain")
    try:
        done = ground.apply(kinds=["role"], role="plain")
        assert {change.wanted.kind for change in done.journal.changes} == {"role"}
        assert done.journal.way == "none"
        assert _role(ground) == ["lock_timeout=3s", "jit=off"]
        ground.rollback()
        assert _role(ground) is None
    finally:
        ground.run("drop schema plain", "drop role plain")


def test_what_is_so_already_is_saved_and_not_changed(ground: Ground) -> None:
    ground.apply(kinds=["server"])
    before = ground.files
    again = ground.apply(kinds=["server"])
    assert again.journal.changes == ()
    assert len(again.journal.wanted) == len(PLAN.lines)
    assert ground.files == before
    [undone] = ground.rollback()
    assert len(undone.changes) == len(PLAN.lines)
    assert ground.shelf.latest() is None


def test_what_somebody_changed_since_is_left(ground: Ground) -> None:
    ground.apply(kinds=["table", "role"])
    ground.run("alter role queen set lock_timeout = '7s'")
    [undone] = ground.rollback()
    assert undone.notes == ("role queen lock_timeout: changed since by somebody else, left as it is",)
    assert _role(ground) == ["lock_timeout=7s"]
    ground.run("alter role queen reset lock_timeout")


def test_a_role_with_the_rights_on_each_parameter_needs_no_superuser(ground: Ground) -> None:
    if ground.value("show server_version_num") < "150000":
        pytest.skip("rights on parameters came with PostgreSQL 15")
    ground.run(
        "create role tuner login",
        "grant alter system on parameter random_page_cost, checkpoint_timeout to tuner",
        "grant select on pg_file_settings to tuner",
        "grant execute on function pg_show_all_file_settings(), pg_reload_conf() to tuner",
    )
    plain = f"{ground.dsn} options='-c role=tuner'"
    before = ground.files
    try:
        with pytest.raises(TuneRefused, match="may not ALTER SYSTEM SET shared_buffers"):
            ground.apply(dsn=plain, kinds=["server"])
        plan = plan_of(("random_page_cost", "1.25", "reload"), ("checkpoint_timeout", "11min", "reload"))
        done = ground.apply(plan, dsn=plain)
        assert done.journal.way == "alter-system"
        assert ground.value("show random_page_cost") == "1.25"
        ground.rollback()
        assert ground.value("show random_page_cost") == "1.1"
        assert ground.files == before
    finally:
        ground.run("drop owned by tuner", "drop role tuner")
