"""Runs of `queen bench` that are to pass, on a machine that does other things as well."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.command import Done

TRIES = 4


def in_a_quiet_moment(run: Callable[[], Done]) -> Done:
    """The first run that misses more than the rate, or nothing; else the last of a few. In the few seconds of a test a
    moment without a processor takes the rate below 99 % of its target: what is right to say, and no matter here."""
    for _ in range(TRIES):
        done = run()
        if done.code != 1 or b"missed rate(delivered)" not in done.out:
            break
    return done
