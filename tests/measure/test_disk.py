"""Safe writes are timed also where the file alone takes longer than the whole time."""

from __future__ import annotations

from pathlib import Path

from queen.measure.disk import fdatasync_times


def test_a_write_is_timed_however_short_the_time_is(tmp_path: Path) -> None:
    found = fdatasync_times(tmp_path, seconds=0.0)
    assert found["fdatasyncs"] == 1
    assert found["fdatasync_p50_ms"] is not None
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_gives_nothing(tmp_path: Path) -> None:
    assert fdatasync_times(tmp_path / "none")["fdatasync_p50_ms"] is None
