"""The public Python client from PyPI, unchanged, in an environment of its own: its module is also called `queen`.

The environment is made once a session. Where the package index cannot be reached, tests that need it are skipped with
that reason; in CI that is a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

VERSION = "2.6.0"
_TIMEOUT_S = 300


@dataclass(frozen=True)
class PublicClient:
    """Runs scripts with the client installed."""

    python: Path

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a script to its end. The client writes its log to both outputs."""
        return subprocess.run(
            [self.python, "-I", "-c", script, *arguments],
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"], "QUEEN_CLIENT_LOG": "true"},
            timeout=_TIMEOUT_S,
            check=False,
        )


@pytest.fixture(scope="session")
def public_client() -> Iterator[PublicClient]:
    """The newest client, installed."""
    folder = Path(tempfile.mkdtemp(prefix="queen-client-"))
    try:
        python = folder / "bin" / "python"
        made = subprocess.run([sys.executable, "-m", "venv", str(folder)], capture_output=True, text=True, check=False)
        if made.returncode == 0:
            made = subprocess.run(
                [python, "-m", "pip", "install", "--quiet", f"queen-mq=={VERSION}"],
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
        if made.returncode != 0:
            reason = f"queen-mq {VERSION} cannot be installed: {made.stderr[-500:]}"
            if "CI" in os.environ:
                pytest.fail(reason)
            pytest.skip(reason)
        yield PublicClient(python)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
