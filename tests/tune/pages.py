"""Files that are made of the tuner's code: the examples, and the table in docs/tune-pg.md. Run it to write them anew.

python -m tests.tune.pages
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from queen.cli.tune_pg.show import baseline_text
from queen.tune.inputs import GIB, Inputs
from queen.tune.known import GROUPS
from queen.tune.pgbouncer import BASELINE, pgbouncer_ini
from queen.tune.plan import Plan, make_plan

ROOT: Final = Path(__file__).resolve().parent.parent.parent
PAGE: Final = ROOT / "docs" / "tune-pg.md"
BEGIN, END = "<!-- settings -->", "<!-- /settings -->"

EXAMPLE: Final = Inputs(
    memory_bytes=8 * GIB,
    cpus=4,
    storage="ssd",
    target_rate=5000,
    wal_space_bytes=200 * GIB,
    enumvals={
        "wal_compression": ("pglz", "lz4", "zstd", "on", "off"),
        "default_toast_compression": ("pglz", "lz4"),
    },
    fpi_share=0.4,
    libraries=("pg_stat_statements",),
    preloaded=(),
)
"""The machine of the table; a server that offers everything."""


def files() -> dict[Path, str]:
    """Every file that is made here, with its text."""
    return {
        ROOT / "postgresql.conf.example": baseline_text(),
        ROOT / "pgbouncer.ini.example": pgbouncer_ini(BASELINE),
        PAGE: with_table(PAGE.read_text(encoding="utf-8")),
    }


def with_table(page: str) -> str:
    """The page with a fresh table between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table()}\n{END}{after}"


def table() -> str:
    """Settings of the server, storage parameters, role settings."""
    seventeen, eighteen = (make_plan(EXAMPLE.replace("x", pg_version=version)) for version in (17, 18))
    rows = _server_rows(seventeen, eighteen)
    rows += ["", "| parameter | tables | why |", "|---|---|---|"]
    for text, reason in dict.fromkeys((f"{line.parameter} = {line.value}", line.reason) for line in seventeen.tables):
        names = [f"`{line.table}`" for line in seventeen.tables if f"{line.parameter} = {line.value}" == text]
        rows.append(f"| `{text}` | {', '.join(names)} | {reason} |")
    rows += ["", "| setting of the role | value | why |", "|---|---|---|"]
    rows += [f"| `{line.setting}` | {line.value} | {line.reason} |" for line in eighteen.roles]
    return "\n".join(rows) + "\n"


def _server_rows(seventeen: Plan, eighteen: Plan) -> list[str]:
    rows = ["| setting | value | takes effect | why | how |", "|---|---|---|---|---|"]
    lines = {line.name: line for line in (*seventeen.lines, *eighteen.lines)}
    lines |= {line.name: line for line in seventeen.lines}
    for line in sorted(lines.values(), key=lambda line: GROUPS.index(line.group)):
        only = ""
        if seventeen.value(line.name) is None:
            only = " (18)"
        elif eighteen.value(line.name) is None:
            only = " (14 to 17)"
        rows.append(f"| `{line.name}`{only} | {line.value} | {line.needs} | {line.reason} | {line.formula} |")
    return rows


def main() -> None:
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
