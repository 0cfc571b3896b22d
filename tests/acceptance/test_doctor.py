"""`queen doctor` beside a running `queen serve` with its private PostgreSQL: it finds both by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from queen.doctor import needs
from queen.doctor.catalogue import catalogue
from tests.support.command import Done, queen_command
from tests.support.server import EmbeddedServer

pytestmark = pytest.mark.pg


def doctor(server: EmbeddedServer, home: Path, *args: str) -> Done:
    port = str(urlsplit(server.url).port)
    return queen_command(
        home, "doctor", "--data-dir", str(server.data_dir), "--window", "0.3", "--json", *args, PORT=port
    )


@pytest.fixture(scope="module")
def seen(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report of a look at both."""
    done = doctor(server, tmp_path_factory.mktemp("home"))
    assert done.code in (0, 1), done.err
    return dict(done.json())


def test_it_finds_the_private_postgres_and_the_server(server: EmbeddedServer, seen: dict[str, Any]) -> None:
    assert seen["about"]["server"] == server.url
    assert seen["about"]["schema"] == "queen"
    assert seen["about"]["local"] is True
    assert seen["verdict"] != "unknown"


def test_a_fresh_server_has_nothing_wrong_and_no_check_fails(seen: dict[str, Any]) -> None:
    assert [one for one in seen["checks"] if one["status"] == "error"] == []
    loud = [(one["id"], one["summary"]) for one in seen["findings"] if one["status"] != "info"]
    assert loud == []


def test_what_asks_the_server_is_not_skipped_for_the_lack_of_one(seen: dict[str, Any]) -> None:
    asking = {check.id for check in catalogue() if needs.server in check.needs}
    assert asking
    reasons = {one["id"]: one["reason"] for one in seen["checks"] if one["id"] in asking}
    assert "no Queen server answered" not in reasons.values()


def test_a_server_that_is_named_is_asked(server: EmbeddedServer, tmp_path: Path) -> None:
    done = doctor(server, tmp_path, "C1", "--url", server.url)
    assert done.json()["about"]["server"] == server.url
