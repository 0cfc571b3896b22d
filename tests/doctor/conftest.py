"""What pure tests of these checks stand on."""

from __future__ import annotations

import pytest

from queen.doctor.check import Seen
from queen.doctor.facts import gather
from queen.doctor.probes.waits import Waits
from queen.store.inspect import Inspector


@pytest.fixture(scope="module")
def plain_seen(module_dsn: str) -> Seen:
    """A real database's facts and nothing else seen; tests replace what they are about."""
    with Inspector(module_dsn) as inspector:
        return Seen(gather(inspector), {}, {}, {}, window_s=1.0, waits=Waits())
