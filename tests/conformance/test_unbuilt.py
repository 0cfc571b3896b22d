"""What the public client says about features that this server does not have."""

from __future__ import annotations

import pytest

from tests.conformance.runs import Outcome
from tests.conformance.suite import checks

pytestmark = pytest.mark.pg


@checks("unbuilt")
def test_unbuilt(outcome: Outcome) -> None:
    outcome.check()
