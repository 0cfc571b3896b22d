"""The admin API of the public client."""

from __future__ import annotations

import pytest

from tests.conformance.runs import Outcome
from tests.conformance.suite import checks

pytestmark = pytest.mark.pg


@checks("admin")
def test_admin(outcome: Outcome) -> None:
    outcome.check()
