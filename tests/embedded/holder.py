"""A program for the tests: opens a cluster, says so in one JSON line, and obeys `ensure` and `close` from its input."""

from __future__ import annotations

import json
import sys

from queen.embedded.cluster import Cluster
from queen.embedded.state import read_note
from queen.errors import EmbeddedError
from queen.settings import EmbeddedSettings


def main(data_dir: str) -> None:
    try:
        cluster = Cluster.open(EmbeddedSettings(data_dir=data_dir, wal_reserve_bytes=0), holder="test")
    except EmbeddedError as error:
        tell({"error": error.message})
        return
    tell(describe(cluster))
    for line in sys.stdin:
        word = line.strip()
        if word == "close":
            cluster.close()
            tell({"closed": True})
        elif word == "ensure":
            obey_ensure(cluster)
    cluster.close()


def obey_ensure(cluster: Cluster) -> None:
    try:
        changed = cluster.ensure()
        tell({**describe(cluster), "changed": changed})
    except EmbeddedError as error:
        tell({"error": error.message})


def describe(cluster: Cluster) -> dict[str, object]:
    note = read_note(cluster.home)
    assert note is not None
    return {
        "owned": cluster.owned,
        "dsn": cluster.dsn,
        "socket_dir": str(cluster.socket_dir),
        "owner": note.owner_pid,
        "postmaster": note.postmaster_pid,
    }


def tell(values: dict[str, object]) -> None:
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
