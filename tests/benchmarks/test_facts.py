"""The facts about machine and software beside the figures."""

from __future__ import annotations

import socket

from benchmarks.lib import facts


def test_facts_name_the_machine_without_naming_it() -> None:
    assert facts.cpu_model("processor\t: 0\nmodel name\t: Fast One\nmodel name\t: x\n") == "Fast One"
    assert facts.cpu_model("Hardware: thing\n") == "unknown"
    known = facts.collect()
    assert known["machine"]["cores"] >= 1
    assert known["machine"]["memory_bytes"] > 1 << 20
    assert known["python"]["packages"]["msgspec"]
    assert set(known["git"]) == {"sha", "dirty"}
    assert socket.gethostname() not in str({**known, "git": None}) or len(socket.gethostname()) < 4
