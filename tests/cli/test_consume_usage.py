"""Which command lines of `queen consume` are refused, and what its help page shows. Nothing is sent here."""

from __future__ import annotations

import pytest

from queen.cli.main import run

NOWHERE = "http://127.0.0.1:9"
"""A command line that is let through ends with exit code 3."""


def consume(*args: str) -> int:
    return run(["consume", "--queue", "q", "--url", NOWHERE, "--retry-for", "0s", *args])


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--exec", "x", "--exec-batch", "y"], "--exec and --exec-batch exclude each other"),
        (["--exec", " "], "the command is empty"),
        (["--exec-batch", ""], "the command is empty"),
        (["--exec", "x", "--ack", "none"], "its exit code decides"),
        (["--exec", "x", "--no-ack"], "its exit code decides"),
        (["--exec-batch", "x", "--ack", "auto"], "its exit code decides"),
        (["--exec-batch", "x", "--ack", "message"], "--ack message goes with --exec"),
        (["--exec", "x", "--handler", "5ms"], "without a command"),
        (["--exec", "x", "--fail-share", "0.1"], "without a command"),
        (["--exec-timeout", "5s"], "go with --exec"),
        (["--exec-fail-as", "failed"], "go with --exec"),
        (["--exec", "x", "--exec-timeout", "0s"], "above zero"),
        (["--no-ack", "--ack", "batch"], "--no-ack means --ack none"),
        (["--ack", "auto", "--lease", "5s"], "--lease has no meaning"),
        (["--handler", "5ms", "--handler-ms", "5"], "exclude each other"),
        (["--handler", "20ms..5ms"], "must not be above the second"),
        (["--handler", "5ms.."], "not a duration"),
        (["--fail-as", "failed"], "--fail-as goes with --fail-share"),
        (["--fail-share", "0.1", "--ack", "none"], "--fail-share needs acks"),
        (["--fail-share", "0.1", "--ack", "auto"], "--fail-share needs acks"),
        (["--fail-share", "1"], "for ever"),
        (["--fail-share", "1.5"], "--fail-share"),
        (["--seed", "1"], "--seed goes with"),
        (["--seed", "1", "--handler", "5ms"], "--seed goes with"),
        (["--ack", "sometimes"], "--ack"),
        (["--ack", "--until-empty"], "--ack"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_makes_no_sense_is_refused(args: list[str], told: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert consume(*args) == 2
    assert told in capfd.readouterr().err


@pytest.mark.parametrize(
    "args",
    [
        ["--no-ack"],
        ["--no-ack", "--ack", "none"],
        ["--ack", "auto", "--until-empty", "--count", "5", "--group", "g"],
        ["--handler", "5ms..20ms", "--seed", "1", "--fail-share", "0.5", "--ack", "message"],
        ["--fail-share", "1", "--fail-as", "failed"],
        ["--exec", "true", "--ack", "batch", "--exec-timeout", "1h", "--lease", "5s", "--until-empty"],
        ["--exec-batch", "true", "--exec-fail-as", "failed", "--envelope", "--count", "7"],
    ],
    ids=" ".join,
)
def test_what_makes_sense_is_let_through(args: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert consume(*args) == 3
    assert "cannot reach" in capfd.readouterr().err


def test_the_help_page_has_heads_and_examples(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["consume", "--help"]) == 0
    lines = capfd.readouterr().out.splitlines()
    heads = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert heads == [
        "Which messages:",
        "When it ends:",
        "A command for the messages:",
        "Batches:",
        "Acks and made-up work:",
        "Server:",
        "Output:",
        "Options:",
    ]
    below = {head: lines[lines.index(head) + 1].split()[0] for head in heads}
    assert below["Which messages:"] == "--queue"
    assert below["A command for the messages:"] == "--exec"
    assert below["Options:"] == "--help"
    assert sum("queen consume --queue" in line for line in lines) == 2
