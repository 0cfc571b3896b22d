"""What `queen doctor` loads: nothing that a run does not use. Loading is most of what its own process costs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from queen.cli import main

ROOT = Path(__file__).resolve().parents[2]
UNUSED = {
    *("fastapi", "httpx", "hypothesis", "jinja2", "numpy", "pydantic", "rich", "starlette", "tenacity"),
    *("uvicorn", "uvloop", "yaml", "psycopg_pool"),
    *(
        "queen.server",
        "queen.engine",
        "queen.runtime",
        "queen.bench",
        "queen.client",
        "queen.embedded",
        "queen.dashboard",
    ),
    *("queen.tune.plan", "queen.doctor.repair.act", "queen.cli.serve", "queen.cli.bench", "queen.cli.doctor.repair"),
}
_RUN = """
import json, sys
from queen.cli.main import run
code = run(["doctor", *sys.argv[1:]])
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""


def loaded(home: Path, *args: str) -> set[str]:
    """The modules of a process that ran the doctor."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *args],
        cwd=home,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(home), "COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code in (0, 1), done.stderr
    return set(modules)


def test_a_run_loads_only_what_it_uses(module_dsn: str, tmp_path: Path) -> None:
    given = ["--database-url", module_dsn, "--window", "0.1s"]
    as_json = loaded(tmp_path, *given, "--json")
    assert sorted(UNUSED & as_json) == []
    assert "queen.doctor.checks.queues.q1_lag" in as_json, "it did run"
    assert len(as_json) <= 540, "what is new, and does a run need it?"
    assert sorted(UNUSED & loaded(tmp_path, *given)) == ["rich"], "text is drawn with it"


@pytest.mark.parametrize(
    ("args", "light"),
    [(["doctor", "-q"], True), (["--debug", "doctor"], True), (["produce", "doctor"], False), ([], False)],
)
def test_only_the_doctor_steps_back(args: list[str], light: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []

    def leave(code: int) -> None:
        raise SystemExit(code)

    monkeypatch.setattr(sys, "argv", ["queen", *args])
    monkeypatch.setattr(main, "run", lambda _: 7)
    monkeypatch.setattr("queen.cli.doctor.light.step_back", lambda: steps.append("back"))
    monkeypatch.setattr("queen.cli.doctor.light.leave", leave)
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 7
    assert steps == (["back"] if light else [])
