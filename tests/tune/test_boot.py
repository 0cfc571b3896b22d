"""A plan is what a server really starts with: what needs a restart cannot be proven by parsing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from queen.embedded.cluster import Cluster
from queen.settings import EmbeddedSettings
from queen.tune import conf
from queen.tune.inputs import GIB, Inputs
from queen.tune.plan import make_plan
from queen.tune.served import is_so
from queen.tune.server import look
from tests.support.versions import MAJORS, NotHere, bin_dir

OURS = 15


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that the user PostgreSQL runs as can reach."""
    made = Path(tempfile.mkdtemp(prefix="queen-boot-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.mark.components
@pytest.mark.parametrize(
    "major", [major if major == OURS else pytest.param(major, marks=pytest.mark.slow) for major in MAJORS]
)
def test_a_server_starts_with_a_plan_and_has_every_value(folder: Path, major: int) -> None:
    try:
        programs = bin_dir(major)
    except NotHere as reason:
        pytest.skip(str(reason))
    settings = EmbeddedSettings(data_dir=str(folder / "d"), bin_dir=str(programs), wal_reserve_bytes=0)
    with Cluster.open(settings, holder="tests") as cluster:
        before = look(cluster.dsn, "queen")
        file = cluster.data_dir / "queen.conf"
    inputs = Inputs(memory_bytes=2 * GIB, cpus=2, fpi_share=0.5, pg_version=major, enumvals=before.enumvals)
    plan = make_plan(inputs)
    file.write_text(conf.conf(plan, ["a plan"]), encoding="utf-8")
    with Cluster.open(settings, holder="tests") as cluster:
        now = look(cluster.dsn, "queen").settings
    assert [line.name for line in plan.lines if not is_so(line.name, line.value, now)] == []
    assert now["shared_buffers"].value == str(512 * 128), "the file was read"
