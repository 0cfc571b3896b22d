"""Pops by namespace and task of the public client."""

from __future__ import annotations

import pytest

from tests.conformance.runs import Outcome
from tests.conformance.suite import checks

pytestmark = pytest.mark.pg


@checks("discovery")
def test_discovery(outcome: Outcome) -> None:
    outcome.check()
