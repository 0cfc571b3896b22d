"""One value: from what a source gave to its type, and from its type to text. Knows no layer and no origin."""

from __future__ import annotations

import os
import re
from typing import Any, Final

from queen import units
from queen.settings.fields import Field, matches

MASK: Final = "***"

_TRUE: Final = {"true", "yes", "on", "1"}
_FALSE: Final = {"false", "no", "off", "0"}


def parse(field: Field, raw: object) -> Any:
    """The typed value of what a source gave: text, a list of text, or a value that has its type already.

    Raises ValueError with what is allowed.
    """
    try:
        return _parse(field, raw)
    except ValueError as error:
        raise ValueError(f"must be {allowed(field)}") from error


def allowed(field: Field) -> str:
    """What a setting may be, as the end of the sentence "must be …"."""
    traits = field.traits
    if traits.choices:
        text = "one of " + ", ".join(traits.choices)
    elif traits.pattern:
        text = traits.pattern_doc
    elif field.kind == "bool":
        text = "true or false"
    elif field.kind == "int":
        text = _allowed_number(field)
    else:
        text = "text that is not empty"
    return f"{text}, or {traits.none_word}" if traits.none_word else text


def _allowed_number(field: Field) -> str:
    noun = {"": "a whole number", "bytes": "a size", "ms": "a duration", "s": "a duration"}[field.traits.unit]
    low, high = field.traits.low, field.traits.high
    if low is not None and high is not None:
        return f"{noun} from {show(field, low)} to {show(field, high)}"
    return noun


def show(field: Field, value: Any) -> str:
    """A value as a person would write it; "" for one that is not set. Masks nothing."""
    if value is None:
        return field.traits.none_word
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(value)
    if field.traits.unit == "bytes":
        return units.format_bytes(value)
    if field.traits.unit in ("ms", "s"):
        return units.format_duration(value * (1000 if field.traits.unit == "s" else 1))
    return str(value)


def mask(field: Field, value: Any) -> Any:
    """The value without its secret. Text that is no secret, and None, come back unchanged."""
    if value is None or value == () or not field.traits.secret:
        return value
    return MASK if field.traits.secret == "whole" else mask_url(str(value))


def mask_url(url: str) -> str:
    """A URL with any password hidden.

    Takes everything from the first colon behind the scheme to the last @ for the password, so that an unescaped
    slash or @ in it cannot leak a part; hiding too much is harmless.
    """
    masked = re.sub(r"(://[^:@/?#]*):.*@", rf"\1:{MASK}@", url, flags=re.DOTALL)
    return re.sub(r"([?&][a-z_]*password=)[^&#]*", rf"\1{MASK}", masked, flags=re.IGNORECASE)


def _parse(field: Field, raw: object) -> Any:
    if field.kind == "list":
        return _parse_list(field, raw)
    if isinstance(raw, (list, tuple, dict)):
        raise ValueError("one value, not several")
    if isinstance(raw, bool) and field.kind != "bool":
        raise ValueError("not a truth value")
    text = str(raw).strip()
    if field.traits.none_word and text.lower() == field.traits.none_word:
        return None
    if field.kind == "bool":
        return _parse_bool(text)
    return _parse_number(field, text) if field.kind == "int" else _parse_text(field, str(raw))


def _parse_list(field: Field, raw: object) -> tuple[str, ...]:
    items = raw if isinstance(raw, (list, tuple)) else str(raw).split(",")
    texts = tuple(_parse_text(field, str(item).strip()) for item in items if str(item).strip())
    return tuple(dict.fromkeys(texts))


def _parse_bool(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError(text)


def _parse_number(field: Field, text: str) -> int:
    number = _parse_in_unit(field, text)
    low, high = field.traits.low, field.traits.high
    if (low is not None and number < low) or (high is not None and number > high):
        raise ValueError(text)
    return number


def _parse_in_unit(field: Field, text: str) -> int:
    unit = field.traits.unit
    if unit == "bytes":
        return units.parse_bytes(text)
    if unit == "ms":
        return units.parse_duration_ms(text)
    if unit == "s":
        seconds, rest = divmod(units.parse_duration_ms(text, plain_unit="s"), 1000)
        if rest:
            raise ValueError(text)
        return seconds
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise ValueError(text)
    return int(text)


def _parse_text(field: Field, text: str) -> str:
    if field.traits.choices:
        text = text.strip().lower()
        if text not in field.traits.choices:
            raise ValueError(text)
    if not text.strip() or "\0" in text or not matches(field, text):
        raise ValueError(text)
    return os.path.expanduser(text) if field.traits.path else text
