"""Traces of the public client."""

from __future__ import annotations

import pytest

from tests.conformance.runs import Outcome
from tests.conformance.suite import checks

pytestmark = pytest.mark.pg


@checks("trace")
def test_trace(outcome: Outcome) -> None:
    outcome.check()
