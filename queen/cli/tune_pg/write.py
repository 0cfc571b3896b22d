"""Writes a file so that it is whole or not there: a draft beside it, then a rename."""

from __future__ import annotations

import os
from pathlib import Path

from queen.errors import TuneInputError


def write_whole(file: Path, text: str) -> None:
    """Replaces the file. Raises TuneInputError when it cannot be written; what was there stays then."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, file)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise TuneInputError(f"cannot write {file}: {error.strerror or error}", hint="name another --output") from error
