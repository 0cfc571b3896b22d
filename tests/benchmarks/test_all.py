"""The list of all commands names those that exist, with options they know."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from benchmarks import all as every

FOLDER = Path(every.__file__).parent


def test_it_runs_every_command_there_is() -> None:
    names = {path.stem for path in FOLDER.glob("[a-z]*.py")} - {"all"}
    assert set(every.COMMANDS) == names


@pytest.mark.parametrize("name", every.COMMANDS)
def test_its_options_are_known(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing listens on port 1, so a command that understands its options ends with 3; some start their own server."""
    command = importlib.import_module(f"benchmarks.{name}")
    if name == "retained":
        assert command.parse(every.COMMANDS[name]).repeat == 3
    elif name == "lists":  # fills the tables of a server that it starts
        assert command.parse(every.COMMANDS[name]).calls == 200
    elif name == "generator":  # needs no server
        assert command.parse(every.COMMANDS[name]).seconds == 5
    elif name in ("doctor_story", "tuned"):  # make servers of their own ill, or compare them
        assert command.parse(every.COMMANDS[name]).save
    else:
        arguments = [argument for argument in every.COMMANDS[name] if not argument.startswith("--server-arg=")]
        assert command.main([*arguments, "--url", "http://127.0.0.1:1", "--no-save"]) == 3


def test_an_unknown_name_is_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        every.main(["nothing"])
    assert leaving.value.code == 2
    assert "no command 'nothing'" in capsys.readouterr().err
