"""Queues and their options, as the public client's builder makes them."""

from __future__ import annotations

import pytest

from tests.conformance.runs import Outcome
from tests.conformance.suite import checks

pytestmark = pytest.mark.pg


@checks("queue")
def test_queue(outcome: Outcome) -> None:
    outcome.check()
