"""A real Chromium for the tests: the system's own, driven by playwright, which downloads nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless browser for the tests of one file. Skips where there is none; in CI that is a failure."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        if "CI" in os.environ:
            pytest.fail("CI needs the Debian package chromium")
        pytest.skip("needs the Debian package chromium")
    # Pages of the tests may have any name below .test; all are on this machine.
    arguments = ["--host-resolver-rules=MAP *.test 127.0.0.1"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium refuses its sandbox to root.
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=str(Path(found)), args=arguments)
        yield running
        running.close()
