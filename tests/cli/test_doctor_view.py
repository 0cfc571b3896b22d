"""The doctor's report as text, from invented reports: width, what is at stake, what is skipped, what was not seen."""

from __future__ import annotations

import io
import unicodedata

import pytest

from queen.cli.doctor import nagios
from queen.cli.doctor.options import FailOn
from queen.cli.doctor.outcome import code_of
from queen.cli.doctor.progress import Progress
from queen.cli.doctor.screen import Color, plain, screen
from queen.cli.doctor.view import View
from queen.doctor.finding import Fix, Stake
from queen.doctor.report import Report
from tests.doctor.invented import FIRST, SECOND, finding, report, result

STAKE = Stake("modelled", 8.0, 17.0, "WAL ceiling", time_share=0.1)
FIX = Fix(
    "A",
    ("ALTER TABLE queen.partitions SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)",),
    note="New pages only.",
)


class _Utf8(io.StringIO):
    encoding = "utf-8"


class _Ascii(io.StringIO):
    encoding = "ascii"


def text(seen: Report, width: int = 80, *, full: bool = False, file: io.StringIO | None = None) -> str:
    """The report as it is printed, without colour."""
    out = file if file is not None else _Utf8()
    View(screen(Color.never, file=out, width=width), full=full).report(seen)
    return out.getvalue()


def words(*args: object, **more: object) -> str:
    return " ".join(text(*args, **more).split())  # type: ignore[arg-type]


def cells(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in line)


def everything() -> Report:
    """A report with all there can be."""
    long = "x" * 90
    return report(
        result(FIRST, finding("crit", stake=STAKE, fix=FIX, name="日本語" * 20, what=long), finding("warn", long)),
        result(SECOND, status="skipped", reason=f"no {long}", enable=f"GRANT {long} TO queen;"),
    )


@pytest.mark.parametrize("width", [80, 40])
@pytest.mark.parametrize("full", [False, True])
def test_it_fits_the_width_and_no_line_ends_in_blanks(width: int, full: bool) -> None:
    for seen in (everything(), report(result(SECOND, status="error", reason="KeyError: " + "y" * 99)), report()):
        for line in text(seen, width, full=full).splitlines():
            assert cells(line) <= width, line
            assert line == line.rstrip()


def test_the_verdict_comes_first() -> None:
    assert text(everything()).splitlines()[0] == "1 critical finding, 1 warning in 1 check."
    assert text(report(result(FIRST))).splitlines()[0] == "Healthy: nothing found in 1 check."


def test_without_utf8_all_is_ascii_and_says_the_same() -> None:
    seen = text(everything(), file=_Ascii())
    assert seen.isascii()
    assert "CRIT  vacuum and MVCC" in seen
    assert "8-17 %" in seen


def test_colour_is_never_the_only_signal() -> None:
    """What is printed without colour has a word for each status."""
    seen = text(everything())
    assert "\x1b" not in seen
    assert "CRIT" in seen
    assert "skip" in seen


def test_what_is_at_stake_has_its_kind_and_method() -> None:
    seen = report(result(FIRST, finding(stake=STAKE)))
    assert "8–17 % of today's rate (modelled, WAL ceiling)" in words(seen)
    assert "together at most 11.1 % of today's rate" in words(seen)


def test_where_nothing_is_saturated_it_is_headroom_and_not_rate() -> None:
    seen = words(report(result(FIRST, finding(stake=STAKE)), busy=False))
    assert "8–17 % more headroom, not rate: nothing is saturated now" in seen
    assert "Together at most 11.1 %, as headroom, not rate" in seen


def test_findings_of_one_check_share_a_panel() -> None:
    many = [finding("warn", f"table {number} is ill", object_=f"t{number:02}", fix=FIX) for number in range(9)]
    seen = text(report(result(FIRST, *many)))
    assert seen.count("Dead rows past the autovacuum trigger") == 1
    assert "9 findings" in seen
    assert "table 5 is ill" in seen
    assert "table 6 is ill" not in seen
    assert "… and 3 more (-v shows them)" in seen
    assert seen.count("New pages only.") == 1
    assert "table 8 is ill" in text(report(result(FIRST, *many)), full=True)


def test_what_was_skipped_is_grouped_by_reason_with_the_line_that_enables_it() -> None:
    gone = {"status": "skipped", "reason": "it is not loaded", "enable": "CREATE EXTENSION it;"}
    seen = text(report(result(FIRST, **gone), result(SECOND, **gone)))
    assert seen.startswith("Unknown: nothing could be checked.")
    assert f"it is not loaded ({FIRST}, {SECOND})" in seen
    assert seen.count("enable CREATE EXTENSION it;") == 1


def test_names_cannot_write_to_the_terminal() -> None:
    seen = text(report(result(FIRST, finding("warn", "queue \x1b[2J\x07 is late", name="a\x1b]0;b\x07"))))
    assert "\x1b" not in seen
    assert "\x07" not in seen
    assert plain("a\tb\nc", unicode=True) == "a?b\nc"


def test_how_to_repair_depends_on_the_class() -> None:
    for kind, word in (
        ("A", "or: queen doctor --fix V1"),
        ("B", "or: queen doctor --fix V1 --allow reload"),
        ("C", "or: queen doctor --fix V1 --allow restart"),
        ("D", "or, with your consent: queen doctor --fix V1 --yes"),
    ):
        assert word in words(report(result(FIRST, finding(fix=Fix(kind, ("SELECT 1",))))))  # type: ignore[arg-type]
    outside = words(report(result(FIRST, finding(fix=Fix("E", ("sysctl -w vm.nr_hugepages=9",))))))
    assert "fix E sysctl -w vm.nr_hugepages=9" in outside
    assert "or:" not in outside


def test_a_check_that_failed_is_shown_and_never_passes_for_well() -> None:
    seen = report(result(FIRST), result(SECOND, status="error", reason="KeyError: 'x'"))
    assert "1 check failed: a bug of Queen." in words(seen)
    assert "KeyError: 'x'" in words(seen)
    assert code_of(seen, FailOn.warn) == 70
    assert nagios.code_of(seen) == 3
    assert "check V4 failed" in nagios.line_of(seen)


def test_codes() -> None:
    note, warning = report(result(FIRST, finding("info"))), report(result(FIRST, finding("warn")))
    critical, unknown = report(result(FIRST, finding("crit"))), report(result(FIRST, status="skipped", reason="no"))
    assert [code_of(note, level) for level in FailOn] == [1, 0, 0]
    assert [code_of(warning, level) for level in FailOn] == [1, 1, 0]
    assert [code_of(critical, level) for level in FailOn] == [1, 1, 1]
    assert [code_of(unknown, level) for level in FailOn] == [3, 3, 3]
    assert [nagios.code_of(seen) for seen in (report(result(FIRST)), note, warning, critical, unknown)] == [
        0,
        0,
        1,
        2,
        3,
    ]


def test_the_line_for_monitoring_is_one_line_with_one_bar() -> None:
    odd = [finding("crit", f"queue a|b\n{number} " + "z" * 200, object_=str(number)) for number in range(5)]
    line = nagios.line_of(report(result(FIRST, *odd)))
    assert "\n" not in line
    assert line.count("|") == 1
    assert line.startswith("QUEEN CRITICAL - V1: queue a/b 0")
    assert "crit=5;;1 warn=0;1 info=0 checks=1 skipped=0 failed=0 time=10.100s" in line


def test_progress_draws_one_line_and_leaves_nothing() -> None:
    stream = io.StringIO()
    with Progress(shown=True, stream=stream) as progress:
        progress.stage("first sample", 0.0)
        progress.stage("window", 10.0)
    drawn = stream.getvalue()
    assert "queen doctor: first sample" in drawn
    assert "queen doctor: window, 10 s left" in drawn
    assert "\n" not in drawn
    assert drawn.endswith("\r\x1b[K")
    silent = io.StringIO()
    with Progress(shown=False, stream=silent) as progress:
        progress.stage("window", 10.0)
    assert silent.getvalue() == ""
