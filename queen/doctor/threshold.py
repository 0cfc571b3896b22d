"""Thresholds that a user changes: `--threshold ID.NAME=WARN[,CRIT]`. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from queen import units
from queen.doctor.catalogue import find
from queen.doctor.finding import Threshold
from queen.errors import SettingsError

ORIGIN: Final = "--threshold"
_SHAPE: Final = re.compile(r"([A-Za-z]\d+)(?:\.(\w+))?=([^,]*)(?:,([^,]*))?")
_HINT: Final = "write ID.NAME=WARN,CRIT, such as V4.limit=30s,5m; queen doctor --explain ID names them; none: never"


def parse(words: Iterable[str]) -> dict[str, Threshold]:
    """Thresholds by "ID.name". Without a name the main one, "limit", is meant; a part that is not given stays as it is,
    `none` means never. Raises SettingsError."""
    found: dict[str, Threshold] = {}
    for word in words:
        match = _SHAPE.fullmatch(word.strip())
        if match is None:
            raise SettingsError(f"--threshold {word!r} cannot be read", hint=_HINT)
        check, name = find(match[1]), match[2] or "limit"
        key = f"{check.id}.{name}"
        if name not in check.thresholds:
            known = ", ".join(check.thresholds) or "none"
            raise SettingsError(f"check {check.id} has no threshold {name!r}; it has: {known}", hint=_HINT)
        now = found.get(key, check.thresholds[name])
        warn, crit = _value(word, match[3], now.warn, now.unit), _value(word, match[4] or "", now.crit, now.unit)
        found[key] = replace(now, warn=warn, crit=crit, origin=ORIGIN)
    for key, limit in found.items():
        _refuse_order(key, limit)
    return found


def _refuse_order(key: str, limit: Threshold) -> None:
    """Critical lies beyond warning, on the side where it is by itself."""
    check, _, name = key.partition(".")
    own = find(check).thresholds[name]
    if limit.warn is None or limit.crit is None or own.warn is None or own.crit is None:
        return
    if (limit.crit - limit.warn) * (own.crit - own.warn) < 0:
        side = "above" if own.crit > own.warn else "below"
        raise SettingsError(
            f"--threshold {key}: critical ({limit.crit:g}) would come before warning ({limit.warn:g})",
            hint=f"this figure is worse the further it is {side}; write both, {key}=WARN,CRIT; none: never",
        )


def _value(word: str, text: str, now: float | None, unit: str) -> float | None:
    text = text.strip()
    if not text:
        return now
    if text.lower() in ("none", "never"):
        return None
    try:
        value = _number(text, unit)
        if not math.isfinite(value):
            raise ValueError("not finite")
        return value
    except ValueError as error:
        raise SettingsError(f"--threshold {word!r}: {text!r} is no number", hint=_HINT) from error


def _number(text: str, unit: str) -> float:
    """A plain number counts the threshold's own unit; durations and sizes may be written with theirs."""
    try:
        return float(text)
    except ValueError:
        if unit in ("s", "ms"):
            return units.parse_duration_ms(text) / (1000 if unit == "s" else 1)
        if unit in ("bytes", "B"):
            return units.parse_bytes(text)
        if text.endswith("%") and unit.startswith("%"):
            return float(text[:-1])
        raise
