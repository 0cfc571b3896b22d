"""Which options of `queen consume` contradict each other, and what the others come to. Sends nothing.

Everything here is judged before the first pop: a wrong command line takes no message from anybody.
"""

from __future__ import annotations

from dataclasses import dataclass

import typer

from queen.cli.client_options import Span
from queen.cli.consume_options import AckMode, FailAs

_BATCH, _EXEC_BATCH = 100, 10
_EXEC_LEASE_S = 60
_EXEC_TIMEOUT_MS = 300_000


@dataclass(frozen=True, slots=True)
class Given:
    """The options that may stand in each other's way, as they were given; None or false: not given."""

    batch: int | None
    ack: AckMode | None
    no_ack: bool
    handler: Span | None
    handler_ms: float | None
    fail_share: float | None
    fail_as: FailAs | None
    seed: int | None
    lease: int | None
    command: str | None
    batch_command: str | None
    exec_timeout: int | None
    exec_fail_as: FailAs | None

    @property
    def runs_commands(self) -> bool:
        return self.command is not None or self.batch_command is not None

    def check(self) -> None:
        """Raises typer.BadParameter, which names what excludes what."""
        for wrong, message in (*self._ack_problems(), *self._chance_problems(), *self._command_problems()):
            if wrong:
                raise typer.BadParameter(message)

    def ack_mode(self) -> AckMode:
        if self.no_ack:
            return "none"
        return self.ack or ("message" if self.command is not None else "batch")

    def batch_max(self) -> int:
        return self.batch or (_EXEC_BATCH if self.command is not None else _BATCH)

    def lease_s(self) -> int | None:
        """Whole seconds, or None for the queue's own time. Commands need a known one, since they extend it."""
        if self.lease is None:
            return _EXEC_LEASE_S if self.runs_commands else None
        return max(1, round(self.lease / 1000))

    def handler_span(self) -> Span:
        return self.handler or Span(self.handler_ms or 0.0, self.handler_ms or 0.0)

    def exec_timeout_s(self) -> float:
        return (self.exec_timeout or _EXEC_TIMEOUT_MS) / 1000

    def _ack_problems(self) -> tuple[tuple[bool, str], ...]:
        return (
            (self.no_ack and self.ack not in (None, "none"), "--no-ack means --ack none; give one of them"),
            (self.ack == "auto" and self.lease is not None, "--ack auto takes no lease, so --lease has no meaning"),
        )

    def _chance_problems(self) -> tuple[tuple[bool, str], ...]:
        unacked = self.ack_mode() in ("none", "auto")
        by_chance = self.fail_share is not None or (
            self.handler is not None and self.handler.low_ms != self.handler.high_ms
        )
        return (
            (self.handler is not None and self.handler_ms is not None, "--handler and --handler-ms exclude each other"),
            (self.fail_as is not None and self.fail_share is None, "--fail-as goes with --fail-share"),
            (self.fail_share is not None and unacked, "--fail-share needs acks: --ack batch or --ack message"),
            (
                self.fail_share == 1 and self.fail_as != "failed",
                "--fail-share 1 gives every message back for ever; --fail-as failed ends it",
            ),
            (self.seed is not None and not by_chance, "--seed goes with --fail-share or a range of --handler"),
        )

    def _command_problems(self) -> tuple[tuple[bool, str], ...]:
        pretends = self.handler is not None or self.handler_ms is not None or self.fail_share is not None
        options = self.exec_timeout is not None or self.exec_fail_as is not None
        both = self.command is not None and self.batch_command is not None
        empty = any(text is not None and not text.strip() for text in (self.command, self.batch_command))
        return (
            (both, "--exec and --exec-batch exclude each other"),
            (empty, "the command is empty"),
            (options and not self.runs_commands, "--exec-timeout and --exec-fail-as go with --exec or --exec-batch"),
            (self.exec_timeout == 0, "--exec-timeout must be above zero"),
            (
                self.runs_commands and self.ack_mode() in ("none", "auto"),
                "with a command its exit code decides about the ack: --ack batch or --ack message",
            ),
            (
                self.batch_command is not None and self.ack == "message",
                "--exec-batch has one exit code for the batch: --ack message goes with --exec",
            ),
            (
                self.runs_commands and pretends,
                "--handler, --handler-ms and --fail-share are for runs without a command",
            ),
        )
