"""A server that is no longer as it was made, seen with its source; and what is only on its way."""

from __future__ import annotations

import pytest

from queen.errors import TuneInputError
from queen.store.inspect import Inspector
from queen.tune.flow.drift import Drift, as_dict, check
from queen.tune.lines import RoleLine
from tests.tune.flow.support import SCHEMA, Ground, plan_of

pytestmark = pytest.mark.pg


def _check(ground: Ground) -> Drift:
    with Inspector(ground.dsn, SCHEMA) as inspector:
        return check(inspector, ground.shelf)


def test_without_an_apply_there_is_nothing_to_compare_with(ground: Ground) -> None:
    with pytest.raises(TuneInputError, match="no plan was applied"):
        _check(ground)


def test_each_change_by_hand_is_seen(ground: Ground) -> None:
    ground.apply()
    assert _check(ground).clean
    ground.run(
        "alter system set random_page_cost = 2",
        "select pg_reload_conf()",
        "alter table queen.cursors reset (fillfactor)",
        "alter role queen set jit = on",
    )
    try:
        drift = _check(ground)
        assert not drift.clean
        rows = {entry.wanted.place: (entry.wanted.value, entry.value, entry.source) for entry in drift.drifted}
        assert rows == {
            "random_page_cost": ("1.25", "2", "configuration file"),
            "table cursors fillfactor": ("60", None, "default"),
            "role queen jit": ("off", "on", "role"),
        }
        auto = next(entry for entry in drift.drifted if entry.wanted.kind == "server")
        assert str(as_dict(auto)["file"]).endswith("postgresql.auto.conf")
        assert [entry.wanted.name for entry in drift.pending] == ["shared_buffers"]
    finally:
        ground.run("alter system reset all", "select pg_reload_conf()")
        ground.rollback()
        ground.run("alter role queen reset all", "alter table queen.cursors set (fillfactor = 50)")


def test_an_error_in_a_file_is_drift(ground: Ground) -> None:
    ground.apply(kinds=["server"])
    own = ground.cluster.data_dir / "queen.conf"
    text = own.read_text("utf-8")
    own.write_text(text + "checkpoint_timeout = 'never'\n", "utf-8")
    [error] = _check(ground).errors
    assert "queen.conf" in error
    assert "checkpoint_timeout" in error
    own.write_text(text, "utf-8")
    ground.rollback()


def test_a_setting_that_the_role_has_of_its_own_is_judged_by_the_files(ground: Ground) -> None:
    plan = plan_of(("work_mem", "6MB", "reload"), roles=[RoleLine("work_mem", "12MB", "its own")])
    ground.apply(plan)
    assert ground.value("show work_mem") == "12MB"
    assert _check(ground).clean
    own = ground.cluster.data_dir / "queen.conf"
    text = own.read_text("utf-8")
    own.write_text(text.replace("work_mem = 6MB", "work_mem = 5MB", 1), "utf-8")
    ground.run("select pg_reload_conf()")
    assert [(entry.wanted.place, entry.value) for entry in _check(ground).drifted] == [("work_mem", "5MB")]
    own.write_text(text, "utf-8")
    ground.rollback()
    assert ground.value("show work_mem") == "8MB"
