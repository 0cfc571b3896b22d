"""What the acts of `queen tune-pg` print: a line or two for each setting, 80 columns, or one JSON object."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from queen.cli import console
from queen.tune.flow.server_log import Told, Unread
from queen.tune.flow.wanted import CLASSES

if TYPE_CHECKING:
    from queen.cli.tune_pg.stakes import AtStake
    from queen.cli.tune_pg.verify import Verified
    from queen.tune.flow.apply import Done
    from queen.tune.flow.drift import Drift
    from queen.tune.flow.journal import Change, Journal
    from queen.tune.flow.live import Found, Live
    from queen.tune.flow.wanted import Wanted

_VERSION: Final = 1
_WORDS: Final = "A at once, B with a reload, C with a restart"


def diff(found: Sequence[Found], stakes: Sequence[AtStake], live: Live, as_json: bool) -> None:
    """Plan against server. `stakes`: one for each of `found`."""
    from queen.tune.flow.drift import as_dict

    differs = [(entry, stake) for entry, stake in zip(found, stakes, strict=True) if entry.state == "differs"]
    if as_json:
        rows = [
            {**as_dict(entry), "class": CLASSES[entry.wanted.needs], "at_stake": stake.as_dict()}
            for entry, stake in zip(found, stakes, strict=True)
        ]
        _json("diff", settings=rows, pending=live.pending)
        return
    version = live.facts["version"]
    total = f"{len(differs)} of {len(found)} values differ from the plan"
    console.put(f"PostgreSQL {version // 10_000}.{version % 10_000}: {total}")
    if differs:
        console.put(f"class: {_WORDS}; at stake: of today's rate")
    _table([(entry.wanted, entry.value, f"{entry.wanted.reason}; at stake: {stake.words}") for entry, stake in differs])
    for entry in found:
        if entry.state == "pending":
            console.put(f"  {entry.wanted.place} = {entry.wanted.value} waits for a restart")
    if differs:
        console.put("to change them: queen tune-pg --apply, with the same options")


def applied(done: Done, as_json: bool) -> None:
    """What an apply did."""
    journal = done.journal
    if as_json:
        _json("apply", **_journal(journal), pending=done.pending, recovered=[str(one.folder) for one in done.undone])
        return
    for undone in done.undone:
        console.put(f"an earlier run was interrupted or not confirmed ({undone.began_at}): put back first")
    _table([(change.wanted, change.shown, "") for change in journal.changes])
    if not journal.changes:
        console.put("nothing to do: the server is as the plan wants it")
        return
    how = {"file": f" by {journal.files[0].path}" if journal.files else "", "alter-system": " by ALTER SYSTEM"}
    console.put(f"applied {len(journal.changes)} changes{how.get(journal.way, '')}; every value was read back")
    if done.pending:
        console.put(f"at the next restart of PostgreSQL: {', '.join(done.pending)}")
    if journal.confirm_by is not None:
        until = datetime.fromtimestamp(journal.confirm_by).astimezone()
        console.put(f"undone at {until:%H:%M:%S} unless you run: queen tune-pg --confirm")
    console.put("to look at what became of it: queen tune-pg --verify; to undo it: queen tune-pg --rollback")


def drift(seen: Drift, verified: Verified | None, as_json: bool) -> None:
    """Server against the saved plan; `verified`: what else --verify found."""
    from queen.tune.flow.drift import as_dict

    if as_json:
        settings = [as_dict(entry) for entry in seen.found]
        began, extra = seen.journal.began_at, {} if verified is None else _verified_dict(verified)
        clean = seen.clean and (verified is None or verified.clean)
        _json("check", clean=clean, applied_at=began, settings=settings, errors=list(seen.errors), **extra)
        return
    total = len(seen.found)
    if seen.clean:
        console.put(f"{total} values are as they were applied at {seen.journal.began_at}")
    else:
        console.put(f"{len(seen.drifted)} of {total} values are not as they were applied at {seen.journal.began_at}")
    _table([(entry.wanted, entry.value, f"now from: {_origin(entry)}") for entry in seen.drifted])
    for error in seen.errors:
        console.put(f"  error in a file: {error}")
    if seen.pending:
        console.put(f"waits for a restart of PostgreSQL: {', '.join(entry.wanted.name for entry in seen.pending)}")
    if verified is not None:
        _verified(verified)


def _verified(verified: Verified) -> None:
    _log(verified.log)
    if not verified.findings:
        console.put("doctor: nothing to say about what was applied")
    for name, summary in verified.findings:
        console.put(f"doctor {name}: {summary}")
    if verified.bench is None:
        console.put("load: not tried (--no-bench)")
        return
    words = {"worse": "WORSE than before the change", "not worse": "not worse than before", "no answer": "no answer"}
    console.put(f"load: {words[verified.bench.word]}")
    for reason in verified.bench.reasons:
        console.put(_wrapped(reason))


def _log(log: Told | Unread) -> None:
    if isinstance(log, Unread):
        console.put(_wrapped(f"log: skipped, {log.reason}", ""))
        if log.enable:
            console.put(_wrapped(f"to enable it: {log.enable}"))
        return
    part = "" if log.whole else " in the part that was read"
    console.put(f"log: {len(log.errors) or 'no'} new kinds of errors since the change{part}")
    for line in log.errors:
        console.put(_wrapped(line))


def _verified_dict(verified: Verified) -> dict[str, Any]:
    log, bench = verified.log, verified.bench
    return {
        "doctor": [{"id": name, "summary": text} for name, text in verified.findings],
        "log": {"skipped": log.reason, "enable": log.enable or None}
        if isinstance(log, Unread)
        else {"errors": list(log.errors), "whole": log.whole},
        "bench": None
        if bench is None
        else {"word": bench.word, "reasons": list(bench.reasons), "comparison": bench.comparison},
    }


def confirmed(journal: Journal, as_json: bool) -> None:
    """An apply that stays."""
    if as_json:
        _json("confirm", **_journal(journal))
    else:
        console.put(f"confirmed: the {len(journal.changes)} changes of {journal.began_at} stay")


def rolled_back(journals: Sequence[Journal], as_json: bool) -> None:
    """What was undone."""
    if as_json:
        _json("rollback", undone=[_journal(journal) for journal in journals])
        return
    for journal in journals:
        if journal.state == "undone":
            console.put(f"put back: the {len(journal.changes)} changes of {journal.began_at}")
        else:
            console.put(
                f"put back: the files of {journal.began_at}; run it again when the server answers, for the rest"
            )
        for note in journal.notes:
            console.put(f"  {note}")


def _table(rows: Sequence[tuple[Wanted, str | None, str]]) -> None:
    """Wish, what is there now, and a remark: settings of one table or role stand below its name."""
    above = None
    for wish, now, remark in rows:
        if wish.kind != "server" and wish.object != above:
            console.put(f"  {wish.kind} {wish.object}")
        above = wish.object
        console.put(f"  {CLASSES[wish.needs]}  {wish.name:<36} {now if now is not None else '-':>10} → {wish.value}")
        if remark:
            console.put(_wrapped(remark))


def _wrapped(text: str, indent: str = "       ") -> str:
    return "\n".join(textwrap.wrap(text, 79, initial_indent=indent, subsequent_indent="       "))


def _origin(found: Found) -> str:
    return f"{found.source} {found.file}" if found.file else found.source


def _journal(journal: Journal) -> dict[str, Any]:
    return {
        "state": journal.state,
        "way": journal.way,
        "journal": str(journal.folder),
        "began_at": journal.began_at,
        "confirm_by": journal.confirm_by,
        "changes": [_change_dict(change) for change in journal.changes],
        "notes": list(journal.notes),
    }


def _change_dict(change: Change) -> dict[str, Any]:
    wish = change.wanted
    return {**wish.as_dict(), "before": change.shown, "source": change.source, "file": change.sourcefile}


def _json(act: str, **parts: Any) -> None:
    console.put_json({"schema_version": _VERSION, "kind": f"tune-pg-{act}", **parts})
