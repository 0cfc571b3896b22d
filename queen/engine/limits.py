"""The bounds of the engine: what may be pending at once. Each refuses early, typed, and counts its refusals."""

from __future__ import annotations

from queen import errors
from queen.settings import EngineSettings


class Limits:
    """Admits requests against the bounds of the settings."""

    def __init__(self, settings: EngineSettings) -> None:
        self._pending_bytes_max = settings.pending_bytes_max
        self._parked_polls_max = settings.parked_polls_max
        self._payload_bytes_max = settings.payload_bytes_max
        self.pending_bytes = 0
        self.parked_polls = 0
        self.refused = 0

    def admit_push(self, size: int) -> None:
        """Count `size` bytes as pending until `release_push`. Raises Overloaded when there are too many.

        One request is admitted whenever nothing else is pending, so that a large one is slow and not impossible.
        """
        if self.pending_bytes and self.pending_bytes + size > self._pending_bytes_max:
            self.refused += 1
            raise errors.Overloaded(
                f"{self.pending_bytes} bytes of pushes are waiting for the database already",
                hint="send slower, or raise engine.pending_bytes_max",
            )
        self.pending_bytes += size

    def release_push(self, size: int) -> None:
        """The bytes are no longer pending."""
        self.pending_bytes -= size

    def check_payload(self, size: int) -> None:
        """Raises PayloadTooLarge for a payload above the bound."""
        if size > self._payload_bytes_max:
            raise errors.PayloadTooLarge(
                f"a payload of {size} bytes is above the limit of {self._payload_bytes_max}",
                hint="store the data elsewhere and push a reference, or raise engine.payload_bytes_max",
            )

    def admit_poll(self) -> None:
        """Count a parked poll until `release_poll`. Raises Overloaded when there are too many."""
        if self.parked_polls >= self._parked_polls_max:
            self.refused += 1
            raise errors.Overloaded(
                f"{self.parked_polls} polls are waiting already",
                hint="use fewer consumers per server, or raise engine.parked_polls_max",
            )
        self.parked_polls += 1

    def release_poll(self) -> None:
        """A parked poll ended."""
        self.parked_polls -= 1
