"""`python -m queen`: the same as the `queen` command."""

from __future__ import annotations

from queen.cli.main import main

if __name__ == "__main__":
    main()
