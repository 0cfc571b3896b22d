"""The store on PostgreSQL keeps the contract of a store."""

from __future__ import annotations

from functools import partial

import pytest

from tests.store import postgres_bench
from tests.store.bench import OpenBench
from tests.store.contract import StoreContract


class TestPostgresStore(StoreContract):
    @pytest.fixture
    def open_bench(self, module_dsn: str, schema: str) -> OpenBench:
        return partial(postgres_bench.open_bench, module_dsn, schema)
