"""What went wrong lately in one process, or in several together: events with times, and counts by the minute.

Made of plain values, so that it can be handed to another process as JSON. Bounded: the latest events of each sort, the
last hour of counts. Knows nothing of where the events come from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from queen.measure import minutes
from queen.measure.minutes import ByMinute

EVENTS_MAX: Final = 200
"""Of each sort, over all processes."""


@dataclass(slots=True)
class Story:
    """`events` by sort, oldest first: each has `at` (seconds since 1970) and `worker`. `counts` by sort and minute."""

    events: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    counts: dict[str, ByMinute] = field(default_factory=dict)

    def add(self, other: Story) -> None:
        """What the other one tells, too."""
        for sort, events in other.events.items():
            both = [*self.events.get(sort, ()), *events]
            self.events[sort] = sorted(both, key=lambda event: float(event["at"]))[-EVENTS_MAX:]
        for sort, counts in other.counts.items():
            self.counts[sort] = minutes.add(self.counts.get(sort, {}), counts)

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it: keys are texts there."""
        counts = {sort: {str(at): words for at, words in one.items()} for sort, one in self.counts.items()}
        return {"events": self.events, "counts": counts}


def of_plain(row: dict[str, Any]) -> Story:
    """What `plain` made."""
    counts = {sort: {int(at): words for at, words in one.items()} for sort, one in row["counts"].items()}
    return Story(row["events"], counts)


def shortened(story: Story) -> Story:
    """The later half of the events, for where not all have room."""
    return Story({sort: events[(len(events) + 1) // 2 :] for sort, events in story.events.items()}, story.counts)
