"""Inputs in, plan out: asks each subject for its settings. Pure; the same inputs give the same plan."""

from __future__ import annotations

from queen.tune.inputs import Inputs
from queen.tune.lines import Line, Needs, Note, Plan, RoleLine, TableLine

__all__ = ["Inputs", "Line", "Needs", "Note", "Plan", "RoleLine", "TableLine", "make_plan"]


def make_plan(inputs: Inputs) -> Plan:
    """The settings for this machine and load. Raises TuneInputError (inputs that cannot be) and TuneRefused (unsafe)."""
    return Plan(inputs, lines=(), tables=(), roles=(), notes=())
