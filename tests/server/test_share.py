"""A worker's share of the settings: the shares add up, nothing gets less than one, the rest stays as it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from queen import errors
from queen.server.run import check_workers
from queen.server.share import share
from queen.settings import Settings


@pytest.mark.parametrize("workers", [2, 3, 7])
def test_shares_add_up(workers: int) -> None:
    whole = Settings()
    parts = [share(whole, index, workers) for index in range(workers)]
    for section, name in (
        ("database", "pool_size"),
        ("server", "connections_max"),
        ("engine", "pending_bytes_max"),
        ("engine", "parked_polls_max"),
    ):
        numbers = [getattr(getattr(part, section), name) for part in parts]
        assert sum(numbers) == getattr(getattr(whole, section), name), name
        assert max(numbers) - min(numbers) <= 1
    assert {part.engine.payload_bytes_max for part in parts} == {whole.engine.payload_bytes_max}
    assert {part.log for part in parts} == {whole.log}


def test_more_workers_than_connections_are_refused() -> None:
    whole = Settings()
    many = replace(whole, server=replace(whole.server, workers=17))
    with pytest.raises(errors.SettingsError) as refusal:
        check_workers(many)
    assert "database.pool_size of at least 17" in refusal.value.message
    check_workers(replace(many, server=replace(whole.server, workers=16)))
