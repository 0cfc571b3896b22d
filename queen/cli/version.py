"""`queen version`: which Queen, on which Python."""

from __future__ import annotations

import platform
import sys

from queen import __version__
from queen.cli import console
from queen.cli.options import JsonOption


def version(as_json: JsonOption = False) -> None:
    """Print the version of Queen and of Python.

    Examples: queen version; queen version --json
    """
    system = f"{sys.platform} {platform.machine()}"
    if as_json:
        console.put_json(
            {"schema_version": 1, "queen": __version__, "python": platform.python_version(), "platform": system}
        )
    else:
        console.put(f"queen {__version__} (Python {platform.python_version()}, {system})")
