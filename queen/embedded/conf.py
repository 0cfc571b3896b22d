"""The texts that configure a private PostgreSQL: baseline, who may connect, and what no file may change.

`queen.conf` in the data directory holds the tunable part. It is written once (tuned.py puts in what fits the machine)
and then left alone, so that it can be edited, or changed by `queen tune-pg --apply`. What Queen's promises rest on
(durability, no TCP port) goes on the command line, which outranks every file. Pure functions, no I/O.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from queen.embedded.find import Binaries
from queen.embedded.folders import Home

BASELINE_NAME = "queen.conf"
CLUSTER_NAME = "queen-embedded"
DATABASE = "queen"
ROLE = "queen"

INCLUDE_LINE = f"\n# Queen's baseline. Settings below this line win over it.\ninclude_if_exists = '{BASELINE_NAME}'\n"
"""Goes to the end of `postgresql.conf`."""

_BASELINE = """\
# Baseline of Queen's private PostgreSQL: made once, yours to change. A change needs a restart of queen.

# Connections
max_connections = 200                  # several instances with their pools, and psql beside them
superuser_reserved_connections = 3     # a way in for the operator when all the others are taken

# Memory
shared_buffers = 512MB                 # recent messages are read back from memory
effective_cache_size = 2GB             # what the planner may expect of the system's cache
work_mem = 8MB                         # a sort or hash of one batch without a temporary file
maintenance_work_mem = 128MB           # vacuum and index builds in one pass
wal_buffers = 16MB                     # large batches are written to the log in one go

# Write-ahead log and checkpoints
checkpoint_completion_target = 0.9     # spread a checkpoint's writes, so that latency has no peaks
max_wal_size = 2GB                     # checkpoints by the clock and not by volume
min_wal_size = 1GB                     # reuse log files instead of making new ones

# Disk
random_page_cost = 1.1                 # solid-state disk: an index look-up is hardly dearer than a scan
effective_io_concurrency = 200         # solid-state disk: many reads at once

# Planner
jit = off                              # compiling costs more than these short statements take

# Transactions
idle_in_transaction_session_timeout = 60s   # one that is forgotten keeps dead rows in every table

# Time and language of the server: the same everywhere
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'

# Log: one file a weekday, overwritten a week later
logging_collector = on
log_filename = 'postgresql-%a.log'
log_truncate_on_rotation = on
log_rotation_age = 1d
log_rotation_size = 0
log_line_prefix = '%m [%p] %q%u@%d %a '
log_checkpoints = on
log_lock_waits = on
log_autovacuum_min_duration = 10s
log_min_duration_statement = 1s
log_parameter_max_length = 0           # parameters are payloads, which do not belong in a log
log_parameter_max_length_on_error = 0
"""

_ACCESS = """\
# Written by queen at each start. The Unix socket only, and only the operating system users of pg_ident.conf.
# TYPE  DATABASE     USER  METHOD
local   all          all   peer map=queen
local   replication  all   peer map=queen
"""


def baseline() -> str:
    """The text of `queen.conf`."""
    return _BASELINE


def access_rules() -> str:
    """The text of `pg_hba.conf`: nobody is trusted without the kernel's word for who they are."""
    return _ACCESS


def ident_map(users: Iterable[str]) -> str:
    """The text of `pg_ident.conf`: these operating system users may connect as Queen's role."""
    lines = [f"queen  {_quoted(user)}  {ROLE}" for user in dict.fromkeys(users)]
    return "# Written by queen at each start.\n" + "\n".join(lines) + "\n"


def server_command(binaries: Binaries, home: Home, socket_dir: Path) -> list[str]:
    """The server's command line, with the settings that no file may weaken."""
    fixed = {
        "listen_addresses": "",
        "unix_socket_directories": _list_item(str(socket_dir)),
        "unix_socket_permissions": "0700",
        "port": "5432",
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "cluster_name": CLUSTER_NAME,
        "log_directory": str(home.log),
        "hba_file": str(home.data / "pg_hba.conf"),
        "ident_file": str(home.data / "pg_ident.conf"),
        "external_pid_file": "",
        "ssl": "off",
    }
    if binaries.has_library("pg_stat_statements"):
        fixed["shared_preload_libraries"] = "pg_stat_statements"
    words = [word for name, value in fixed.items() for word in ("-c", f"{name}={value}")]
    return [binaries.program("postgres"), "-D", str(home.data), *words]


def initdb_command(binaries: Binaries, folder: Path, locale: str) -> list[str]:
    """The command that makes a data directory with checksums, whose superuser is Queen's role."""
    options = ["-U", ROLE, "-A", "peer", "--auth-host=scram-sha-256", "-E", "UTF8", f"--locale={locale}"]
    return [binaries.program("initdb"), "-D", str(folder), *options, "--lc-messages=C", "-k", "--no-instructions"]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _list_item(path: str) -> str:
    """A path as one item of a comma-separated setting."""
    return '"' + path.replace('"', '""') + '"'
