"""Dead letters, as the public client finds them."""

from __future__ import annotations

import pytest

from tests.conformance.runs import Outcome
from tests.conformance.suite import checks

pytestmark = pytest.mark.pg


@checks("dlq")
def test_dlq(outcome: Outcome) -> None:
    outcome.check()
