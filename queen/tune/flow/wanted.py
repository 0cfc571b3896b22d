"""A plan as a flat list of single wishes, each for the server, one table or one role; data and conversion only.

This is what is compared, applied, written to the journal and compared again later. It holds no reading of a server.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, get_args

from queen.errors import TuneInputError
from queen.tune.lines import Plan

Kind = Literal["server", "table", "role"]
KINDS: Final[tuple[str, ...]] = get_args(Kind)

CLASSES: Final = {"online": "A", "reload": "B", "restart": "C"}
"""The repair classes of the doctor by what a change needs."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One value that something should have. `object` is the table or the role; empty for the server."""

    kind: Kind
    object: str
    name: str
    value: str
    needs: Literal["online", "reload", "restart"]
    reason: str = ""

    @property
    def place(self) -> str:
        """As a person names it: work_mem, table cursors fillfactor, role queen jit."""
        return self.name if self.kind == "server" else f"{self.kind} {self.object} {self.name}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def parse_kinds(text: str | None) -> frozenset[str]:
    """The kinds of `--only role,table`; all without it. Raises TuneInputError for another word."""
    words = [word.strip() for word in text.split(",") if word.strip()] if text else list(KINDS)
    wrong = [word for word in words if word not in KINDS]
    if wrong or not words:
        raise TuneInputError(f"--only takes {', '.join(KINDS)}, not {', '.join(wrong) or 'nothing'}")
    return frozenset(words)


def wishes(plan: Plan, role: str, children: Mapping[str, Iterable[str]], kinds: frozenset[str]) -> list[Wanted]:
    """Everything that a plan wants. `children`: for a table its children, which carry its parameters."""
    found: list[Wanted] = []
    if "server" in kinds:
        found += [Wanted("server", "", line.name, line.value, line.needs, line.reason) for line in plan.lines]
    if "table" in kinds:
        for entry in plan.tables:
            for table in children.get(entry.table, (entry.table,)):
                found.append(Wanted("table", table, entry.parameter, entry.value, "online", entry.reason))
    if "role" in kinds:
        found += [Wanted("role", role, entry.setting, entry.value, "online", entry.reason) for entry in plan.roles]
    return found
