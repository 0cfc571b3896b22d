"""Plugins of the test suite. Fixtures live in tests/support, one subject a file; markers are in pyproject.toml."""

from __future__ import annotations

import signal

pytest_plugins = [
    "tests.support.chosen_version",
    "tests.support.fix_browser",
    "tests.support.fix_postgres",
    "tests.support.fix_server",
    "tests.support.fix_public_client",
    "tests.support.fix_versions",
    "tests.support.fix_own_cluster",
    "tests.support.fix_pgbouncer",
    "tests.support.fix_control_group",
    "tests.support.fix_preload",
    "tests.support.fix_disk",
    "tests.support.fix_swap",
    "tests.support.tiers",
]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in its background so, and commands that a test starts would not hear Ctrl-C either.
    signal.signal(signal.SIGINT, signal.default_int_handler)
