"""TEST_POSTGRES names the major version of PostgreSQL that all tests of a run use, such as 14.

Its programs, from tests/support/versions.py, are put in front of the search path, where Queen looks first: so the
fixtures of a run take them, and so does every `queen serve` that a test starts. Without it the system's are used.
"""

from __future__ import annotations

import os

import pytest

from tests.support.versions import MAJORS, NotHere, bin_dir

VARIABLE = "TEST_POSTGRES"


def pytest_configure() -> None:
    """Before any test looks for programs; the workers of pytest-xdist do it again, which changes nothing."""
    major = os.environ.get(VARIABLE)
    if not major:
        return
    if major not in map(str, MAJORS):
        raise pytest.UsageError(f"{VARIABLE} is {major!r}; it takes one of {', '.join(map(str, MAJORS))}")
    try:
        programs = str(bin_dir(int(major)))
    except NotHere as reason:
        raise pytest.UsageError(f"{VARIABLE}: {reason}") from None
    os.environ["PATH"] = os.pathsep.join([programs, os.environ.get("PATH", os.defpath)])


def pytest_report_header() -> str | None:
    """Which version it is, when it was chosen."""
    major = os.environ.get(VARIABLE)
    return f"PostgreSQL {major}, chosen by {VARIABLE}" if major else None
