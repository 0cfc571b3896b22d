"""Do the examples of docs/client.md work? Each is run as a program against a server, and what it prints is compared."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import ROOT, EmbeddedServer, clean_environment

PAGE = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
PRINTED_URL = "http://127.0.0.1:6632"
EXAMPLES = re.findall(r"^## (.+?)$.*?^```python\n(.+?)^```\n\n^```\n(.+?)^```", PAGE, re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.pg


def test_every_example_prints_something_that_is_compared() -> None:
    assert len(EXAMPLES) == PAGE.count("```python") == 7


@pytest.mark.parametrize(("code", "printed"), [example[1:] for example in EXAMPLES], ids=[one[0] for one in EXAMPLES])
def test_an_example_prints_what_the_page_says(server: EmbeddedServer, tmp_path: Path, code: str, printed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code.replace(PRINTED_URL, server.url)],
        capture_output=True,
        text=True,
        env=clean_environment(tmp_path),
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == printed
