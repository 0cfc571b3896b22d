"""`queen produce`: push generated messages, or the lines of a file or a pipe. The command line alone."""

from __future__ import annotations

from queen.cli.client_options import URL_DEFAULT, ProgressOption, QueueOption, QuietOption, RetryForOption, UrlOption
from queen.cli.options import ConfigOption, JsonOption
from queen.cli.produce_options import (
    ArrivalsOption,
    BatchOption,
    ConcurrencyOption,
    CountOption,
    CsvDelimiterOption,
    CsvTypesOption,
    DryRunOption,
    DurationOption,
    FileOption,
    FormatOption,
    HighPerfOption,
    KeysOption,
    OpenLoopOption,
    PartitionByOption,
    PartitionDefaultOption,
    PartitionsOption,
    RampOption,
    RateOption,
    ResumeOption,
    SeedOption,
    SizeOption,
    TargetOption,
    TemplateFileOption,
    TemplateOption,
    TransactionIdDefaultOption,
    TransactionIdFromOption,
)


def produce(
    queue: QueueOption,
    file: FileOption = None,
    format: FormatOption = "auto",
    csv_delimiter: CsvDelimiterOption = None,
    csv_types: CsvTypesOption = False,
    transaction_id_from: TransactionIdFromOption = None,
    transaction_id_default: TransactionIdDefaultOption = None,
    resume: ResumeOption = None,
    size: SizeOption = None,
    template: TemplateOption = None,
    template_file: TemplateFileOption = None,
    seed: SeedOption = None,
    partitions: PartitionsOption = None,
    keys: KeysOption = None,
    partition_by: PartitionByOption = None,
    partition_default: PartitionDefaultOption = None,
    batch: BatchOption = None,
    concurrency: ConcurrencyOption = None,
    rate: RateOption = None,
    target: TargetOption = None,
    open_loop: OpenLoopOption = False,
    arrivals: ArrivalsOption = None,
    ramp: RampOption = None,
    count: CountOption = None,
    duration: DurationOption = None,
    high_perf: HighPerfOption = None,
    dry_run: DryRunOption = False,
    url: UrlOption = URL_DEFAULT,
    retry_for: RetryForOption = 30_000,
    progress: ProgressOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Push messages: generated ones, or each line of a file or a pipe.

    Without --file it makes JSON payloads until --count, --duration or Ctrl-C. High-performance mode (--high-perf or
    HIGH_PERF=true) sends larger batches with more in flight and aims at 10,000 messages a second and more.
    The order of each partition is the order of the input. The summary goes to standard error, with --json to
    standard output. Exit code 1: the server refused some messages, a line cannot be sent, or --target was missed.
    Exit code 4: the state file of --resume is of another run, or its files have changed.

    Examples: queen produce --queue demo --target 1000 --open-loop --duration 30s; queen produce --queue orders
    --file orders.csv --format csv --transaction-id-from order --resume orders.state
    """
    asked = dict(locals())  # the options under their own names, before anything else has one
    from queen.cli.produce_asked import Asked, check
    from queen.cli.produce_run import run

    wanted = Asked(**asked)
    check(wanted)
    run(wanted)
