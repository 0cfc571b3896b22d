"""The command `queen bench`: a run by default, and commands on its files. Imports the bench only when one is called."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Any

import typer

from queen.cli import console
from queen.cli.bench.compare import compare
from queen.cli.bench_files import files
from queen.cli.client_options import duration
from queen.cli.options import JsonOption

app = typer.Typer(
    name="bench",
    help="Does a system hold a rate within objectives? Verdict, ledger, report.",
    epilog="Exit codes: 0 pass; 1 an objective was missed; 2 wrong usage; 3 not reached; 4 refused for safety; "
    "5 invalid: the run does not answer the question; 6 wrong: messages were lost, changed or reordered; "
    "130 and 143 interrupted, the result is marked partial.",
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

app.add_typer(files)

_WHAT, _SYSTEM, _LOAD, _OUTPUT = "What is asked", "System under load", "Shape of the load", "Output"


class OutputFormat(enum.StrEnum):
    """What goes to standard output: the verdict, or the whole record."""

    text = "text"
    json = "json"


def _option(panel: str, *names: str, help: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=help, metavar=metavar, rich_help_panel=panel, show_default=False)


@app.callback()
def bench(
    context: typer.Context,
    target: Annotated[str | None, _option(_WHAT, "--target", metavar="RATE", help="Messages a second, as 10k.")] = None,
    profile: Annotated[
        str | None, _option(_WHAT, "--profile", metavar="NAME|FILE", help="A workload. Default: baseline-10k.")
    ] = None,
    slo: Annotated[
        list[str] | None,
        _option(_WHAT, "--slo", metavar="SLO", help="An objective, as 'p99(e2e)<50ms'; replaces those of the profile."),
    ] = None,
    search: Annotated[
        bool, _option(_WHAT, "--search", help="Find the highest rate that holds the objectives.")
    ] = False,
    sweep: Annotated[
        str | None, _option(_WHAT, "--sweep", metavar="KNOB=RANGE", help="A run for each value, as rate=1k..40k.")
    ] = None,
    ab: Annotated[
        tuple[Path, Path] | None,
        _option(_WHAT, "--ab", metavar="A.yaml B.yaml", help="Compare two workloads, run in turns."),
    ] = None,
    pairs: Annotated[int | None, _option(_WHAT, "--pairs", metavar="N", help="Pairs of --ab. Default: 8.")] = None,
    backlog: Annotated[
        str | None, _option(_WHAT, "--backlog", metavar="N", help="Store N messages; at full speed without --target.")
    ] = None,
    then_drain: Annotated[bool, _option(_WHAT, "--then-drain", help="Consume the backlog, and say how fast.")] = False,
    burst: Annotated[str | None, _option(_WHAT, "--burst", metavar="N", help="Send N messages, then drain.")] = None,
    chaos: Annotated[
        str | None, _option(_WHAT, "--chaos", metavar="FAULTS", help="Faults under way, as restart-pg@10s,readers@40s.")
    ] = None,
    warmup: Annotated[str | None, _option(_WHAT, "--warmup", metavar="TIME", help="Shortest warm-up.")] = None,
    duration: Annotated[
        str | None, _option(_WHAT, "--duration", metavar="TIME", help="Measured time; above 10m a soak.")
    ] = None,
    drain_timeout: Annotated[
        str | None, _option(_WHAT, "--drain-timeout", metavar="TIME", help="Longest drain.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of schedule and payloads.", rich_help_panel=_WHAT)] = 1,
    url: Annotated[
        list[str] | None, _option(_SYSTEM, "--url", metavar="URL", help="A running server; several are loaded alike.")
    ] = None,
    database_url: Annotated[
        str | None,
        _option(
            _SYSTEM, "--database-url", metavar="URL", help="Database of the own server; with --url only looked at."
        ),
    ] = None,
    consent: Annotated[
        bool, _option(_SYSTEM, "--yes-use-this-database", help="Write to a database that holds messages of Queen.")
    ] = False,
    servers: Annotated[int | None, _option(_SYSTEM, "--servers", metavar="N", help="Own servers. Default: 1.")] = None,
    pool_size: Annotated[
        str | None, _option(_SYSTEM, "--pool-size", metavar="N", help="Connections of the own server to PostgreSQL.")
    ] = None,
    high_perf: Annotated[
        bool | None, _option(_SYSTEM, "--high-perf/--no-high-perf", help="High-performance mode of the own server.")
    ] = None,
    serve_workers: Annotated[
        str | None, _option(_SYSTEM, "--serve-workers", metavar="N", help="Processes of the own server.")
    ] = None,
    serve_arg: Annotated[
        list[str] | None, _option(_SYSTEM, "--serve-arg", metavar="WORDS", help="Options for the own `queen serve`.")
    ] = None,
    payload: Annotated[str | None, _option(_LOAD, "--payload", metavar="SIZE", help="Bytes of a payload.")] = None,
    push_batch: Annotated[str | None, _option(_LOAD, "--push-batch", metavar="N", help="Messages a push.")] = None,
    pop_batch: Annotated[str | None, _option(_LOAD, "--pop-batch", metavar="N", help="Most messages a pop.")] = None,
    partitions: Annotated[str | None, _option(_LOAD, "--partitions", metavar="N", help="Partitions in use.")] = None,
    consumers: Annotated[str | None, _option(_LOAD, "--consumers", metavar="N", help="Consumers of a group.")] = None,
    groups: Annotated[str | None, _option(_LOAD, "--groups", metavar="N", help="Consumer groups.")] = None,
    connections: Annotated[str | None, _option(_LOAD, "--connections", metavar="N", help="That push.")] = None,
    arrivals: Annotated[str | None, _option(_LOAD, "--arrivals", metavar="KIND", help="poisson or uniform.")] = None,
    keys: Annotated[str | None, _option(_LOAD, "--keys", metavar="KIND", help="uniform or zipf(S).")] = None,
    handler: Annotated[str | None, _option(_LOAD, "--handler", metavar="TIME", help="Work a batch: 5ms..20ms.")] = None,
    nack: Annotated[str | None, _option(_LOAD, "--nack", metavar="SHARE", help="Given back at first, as 1%.")] = None,
    ack: Annotated[str | None, _option(_LOAD, "--ack", metavar="MODE", help="batch, message or auto.")] = None,
    workers: Annotated[
        int | None, _option(_LOAD, "--workers", metavar="N", help="Generator processes. Default: as many as needed.")
    ] = None,
    max_inflight: Annotated[
        int | None, _option(_LOAD, "--max-inflight", metavar="N", help="Unanswered messages. Default: 4 × rate × SLO.")
    ] = None,
    output: Annotated[
        Path | None, _option(_OUTPUT, "--output", metavar="DIR", help="Default: bench-results/NAME-TIME.")
    ] = None,
    strict: Annotated[
        bool, _option(_WHAT, "--strict", help="A machine that is not quiet before measuring makes the run invalid.")
    ] = False,
    keep: Annotated[bool, _option(_OUTPUT, "--keep", help="Keep the data of the own server, and the queue.")] = False,
    quiet: Annotated[bool, _option(_OUTPUT, "--quiet", "-q", help="The verdict line only.")] = False,
    as_json: JsonOption = False,
    format_: Annotated[
        OutputFormat, typer.Option("--format", help="Of standard output.", rich_help_panel=_OUTPUT)
    ] = OutputFormat.text,
    progress: Annotated[int | None, duration("--progress", "A progress line this often.")] = None,
) -> None:
    """Load a system open-loop, account for every message, and say in one line whether it held.

    Without --url it starts its own server on a private PostgreSQL and removes both afterwards.

    Examples:

      queen bench --target 10000

      queen bench --url http://127.0.0.1:6632 --target 2k --slo 'p99(e2e)<50ms'
    """
    if context.invoked_subcommand is not None:
        return
    from queen.cli.bench.choose import Options, choose
    from queen.cli.bench.execute import execute

    given = {
        "rate": target,
        "warmup_s": warmup,
        "measure_s": duration,
        "drain_s": drain_timeout,
        "payload_bytes": payload,
        "push_batch": push_batch,
        "pop_batch": pop_batch,
        "partitions": partitions,
        "consumers": consumers,
        "groups": groups,
        "connections": connections,
        "arrivals": arrivals,
        "keys": keys,
        "handler_ms": handler,
        "nack_share": nack,
        "ack": ack,
    }
    options = Options(
        knobs={name: value for name, value in given.items() if value is not None},
        profile=profile,
        slos=tuple(slo or ()),
        search=search,
        sweep=sweep,
        ab=ab,
        pairs=pairs,
        backlog=backlog,
        then_drain=then_drain,
        burst=burst,
        chaos=chaos,
        seed=seed,
        urls=tuple(url or ()),
        database_url=database_url,
        consent=consent,
        servers=servers,
        serve=_serve(pool_size, high_perf, serve_workers, serve_arg or []),
        workers=workers,
        max_inflight=max_inflight,
        output=output,
        keep=keep,
        strict=strict,
        quiet=quiet,
        as_json=as_json or format_ == OutputFormat.json,
        progress_s=None if progress is None else progress / 1000,
    )
    raise typer.Exit(execute(choose(options)))


def _serve(pool_size: str | None, high_perf: bool | None, workers: str | None, words: list[str]) -> tuple[str, ...]:
    """Options of `queen serve`, one word each; those with a name of their own here come last, and so decide."""
    named = [*words]
    if pool_size is not None:
        named.append(f"--pool-size {pool_size}")
    if high_perf is not None:
        named.append("--high-perf" if high_perf else "--no-high-perf")
    if workers is not None:
        named.append(f"--workers {workers}")
    return tuple(word for entry in named for word in entry.split())


app.command()(compare)


@app.command()
def profiles(as_json: JsonOption = False) -> None:
    """List the workloads that come with Queen."""
    from queen.bench import profiles as known

    if as_json:
        console.put_json({"schema_version": 1, "profiles": known.listing()})
    else:
        console.put(known.text())
