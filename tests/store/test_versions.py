"""Queen's schema and its store work on every major version of PostgreSQL that Queen supports.

One short way through the queue on each; the whole contract on each belongs to the slow tests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial

import psycopg
import pytest

from queen.store.base import AckRow
from tests.store.bench import GROUP, LEASE, LIMIT_S, OpenBench, ids_of
from tests.store.contract import StoreContract
from tests.store.postgres_bench import open_bench as open_on
from tests.support.fix_versions import VersionServer


@pytest.fixture(scope="module")
def version_dsn(postgres_versions: VersionServer) -> Iterator[str]:
    """A migrated database on the server of a version."""
    url = postgres_versions.create()
    yield url
    postgres_versions.drop(url)


def test_a_message_goes_through_the_queue(postgres_versions: VersionServer, version_dsn: str, schema: str) -> None:
    async def whole() -> None:
        async with asyncio.timeout(LIMIT_S), open_on(version_dsn, schema) as bench:
            number = await bench.filled("a", "b", "c")
            assert ids_of(await bench.pop(number, batch=2)) == ["a", "b"]
            acked = await bench.ack(AckRow(number, GROUP, LEASE, completed=1))
            assert acked is not None
            assert ids_of(await bench.pop(number)) == ["c"]
            assert (await bench.standing(number)).head == 3

    asyncio.run(whole())


def test_the_server_is_of_its_version_and_counts_statements(postgres_versions: VersionServer) -> None:
    with psycopg.connect(postgres_versions.url()) as connection:
        assert connection.info.server_version // 10_000 == postgres_versions.major
        connection.execute("create extension if not exists pg_stat_statements")
        assert connection.execute("select count(*) > 0 from pg_stat_statements").fetchone() == (True,)
        connection.rollback()


@pytest.mark.slow
class TestContractOnEachVersion(StoreContract):
    @pytest.fixture
    def open_bench(self, version_dsn: str, schema: str) -> OpenBench:
        return partial(open_on, version_dsn, schema)
