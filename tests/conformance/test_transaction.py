"""Transactions of the public client."""

from __future__ import annotations

import pytest

from tests.conformance.runs import Outcome
from tests.conformance.suite import checks

pytestmark = pytest.mark.pg


@checks("transaction")
def test_transaction(outcome: Outcome) -> None:
    outcome.check()
