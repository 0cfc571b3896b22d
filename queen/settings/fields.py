"""What is known about one setting beside its name: reason, unit, bounds, spellings. The tools that `schema.py` uses.

Knows no section and no value; `schema.py` lists the settings with these tools, and the sources look fields up here.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args, get_type_hints

Unit = Literal["", "bytes", "ms", "s"]
Secret = Literal["", "whole", "url"]

_META: Final = "queen.setting"


@dataclass(frozen=True, slots=True)
class Traits:
    """The metadata of a field of `schema.py`."""

    doc: str
    unit: Unit = ""
    low: int | None = None
    high: int | None = None
    choices: tuple[str, ...] = ()
    pattern: str = ""
    pattern_doc: str = ""
    secret: Secret = ""
    path: bool = False
    none_word: str = ""
    aliases: tuple[str, ...] = ()
    flag: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """One setting: where it lives, of which type it is, and its traits."""

    section: str
    name: str
    kind: Literal["int", "bool", "str", "list"]
    optional: bool
    default: Any
    traits: Traits

    @property
    def key(self) -> str:
        """The name in YAML and in messages: "server.port"."""
        return f"{self.section}.{self.name}"

    @property
    def variable(self) -> str:
        """The name in the environment: QUEEN_SERVER__PORT."""
        return f"QUEEN_{self.section}__{self.name}".upper()

    @property
    def flag(self) -> str:
        """The option of the commands that have one: --port."""
        return self.traits.flag or "--" + self.name.replace("_", "-")


def setting(default: Any, doc: str, **traits: Any) -> Any:
    """A dataclass field with its default and its `Traits`; the return type is Any, as of `dataclasses.field`."""
    return dataclasses.field(default=default, metadata={_META: Traits(doc, **traits)})


@functools.cache
def fields_of(settings_class: type[Any]) -> Mapping[str, Field]:
    """Every setting of a class of sections, by key, in the order in which it is written."""
    found: dict[str, Field] = {}
    for section, section_class in get_type_hints(settings_class).items():
        for field in _section_fields(section, section_class):
            found[field.key] = field
    return found


def _section_fields(section: str, section_class: type[Any]) -> list[Field]:
    hints = get_type_hints(section_class)
    fields = []
    for item in dataclasses.fields(section_class):
        kind, optional = _kind(hints[item.name])
        fields.append(Field(section, item.name, kind, optional, item.default, item.metadata[_META]))
    return fields


def _kind(hint: Any) -> tuple[Literal["int", "bool", "str", "list"], bool]:
    """The kind of a type hint, and whether None is allowed."""
    optional = type(None) in get_args(hint)
    plain = next(part for part in get_args(hint) if part is not type(None)) if optional else hint
    if plain is bool:
        return "bool", optional
    if plain is int:
        return "int", optional
    if plain is str:
        return "str", optional
    if plain == tuple[str, ...]:
        return "list", optional
    raise TypeError(f"settings cannot be of type {hint}")


def matches(field: Field, text: str) -> bool:
    """Whether text fits the pattern of a setting that has one."""
    return not field.traits.pattern or re.fullmatch(field.traits.pattern, text) is not None
