"""kill -9 at every step of an apply: the next run puts back what was half done, and then does its own work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tune.flow.killed import POINTS
from tests.tune.flow.support import Ground

ROOT = Path(__file__).resolve().parent.parent.parent.parent
CASES = [("file", point) for point in POINTS] + [("alter-system", "reload"), ("alter-system", "set_objects_done")]

pytestmark = pytest.mark.pg


_OPTIONS = """
    select array_agg(c.oid::regclass || ' ' || o order by 1) from pg_class c, unnest(c.reloptions) o where relkind = 'r'
"""


def _objects(ground: Ground) -> list[object]:
    return [
        sorted(ground.value(_OPTIONS)),
        ground.value("select setconfig from pg_db_role_setting"),
        ground.value("show random_page_cost"),
    ]


@pytest.mark.parametrize(("way", "point"), CASES, ids=[f"{way}-{point}" for way, point in CASES])
def test_the_next_run_recovers(ground: Ground, way: str, point: str) -> None:
    files, objects = ground.files, _objects(ground)
    command = [sys.executable, "-m", "tests.tune.flow.killed", ground.dsn, str(ground.shelf.folder), point, way]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert [journal.state for journal in ground.shelf.all()] == ["acting"]
    again = ground.apply(kinds=["server"], way=way)
    assert [journal.state for journal in again.undone] == ["undone"]
    assert {change.wanted.kind for change in again.journal.changes} == {"server"}
    assert _objects(ground) == [*objects[:2], "1.25"]
    ground.rollback()
    assert ground.files == files
    assert not list(ground.cluster.data_dir.glob("**/.*.tune-pg"))
    assert _objects(ground) == objects
