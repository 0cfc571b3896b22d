"""Merge the layers, validate once, freeze: defaults < YAML < environment < flags.

Queen's own dataclasses are used instead of pydantic-settings, because every value keeps its origin down to the line
of a file, all problems are told at once with the nearest name, and importing them is quick.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_type_hints

from queen.errors import SettingsError
from queen.settings.database import ADDRESS_KEYS, PASSWORD_KEY, URL_KEY, url_has_password
from queen.settings.fields import Field
from queen.settings.schema import Settings, fields
from queen.settings.sources import (
    Given,
    Layer,
    from_environment,
    from_flags,
    from_yaml,
    process_environment,
    yaml_files,
)
from queen.settings.values import mask, parse, show

DEFAULT_ORIGIN: Final = "default"

_HINT: Final = "config/queen.yaml describes every setting; queen config show --origin prints those in force"


@dataclass(frozen=True, slots=True)
class Row:
    """A setting in force, for printing. `value` is text, `data` the same as a plain JSON value."""

    key: str
    value: str
    data: Any
    origin: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """The settings in force and, for every key such as "server.port", where its value came from."""

    settings: Settings
    origins: dict[str, str]

    def rows(self, masked: bool = True) -> Iterator[Row]:
        """Every setting in order. Secrets are hidden unless `masked` is off."""
        for key, field in fields().items():
            value = getattr(getattr(self.settings, field.section), field.name)
            hidden = mask(field, value) if masked else value
            yield Row(
                key, show(field, hidden), list(hidden) if isinstance(hidden, tuple) else hidden, self.origins[key]
            )


def resolve(
    flags: Mapping[str, object] | None = None,
    *,
    config_path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Resolved:
    """The settings of this process.

    `flags` are options by key ("server.port"), None for one that was not given. `environ` and `cwd` stand in for the
    process's own. Raises SettingsError that names every problem, one a line.
    """
    variables = process_environment() if environ is None else environ
    files = yaml_files(config_path, variables, cwd or Path())
    layers = [from_yaml(path, shown) for path, shown in files]
    layers += [from_environment(variables), from_flags(flags or {})]
    problems = [problem for layer in layers for problem in layer.problems]
    given = _merge(layers, problems)
    values = _validate(given, problems)
    origins = {key: given[key].origin if key in given else DEFAULT_ORIGIN for key in fields()}
    if not problems:
        _order(values, origins, problems)
    if problems:
        raise SettingsError(_message(problems), hint=_HINT)
    return Resolved(_freeze(values), origins)


def _merge(layers: Iterable[Layer], problems: list[str]) -> dict[str, Given]:
    """What is set, the strongest layer last; an address of a stronger layer replaces a weaker one as a whole."""
    merged: dict[str, Given] = {}
    for layer in layers:
        problems += _ambiguous(layer.values)
        _forget_address(merged, layer.values)
        merged.update(layer.values)
    return merged


def _ambiguous(values: Mapping[str, Given]) -> Iterator[str]:
    """A url and host, port, user, name or a second password in one layer: no telling which is meant."""
    url = values.get(URL_KEY)
    if url is None:
        return
    rivals = [key for key in ADDRESS_KEYS if key in values]
    if PASSWORD_KEY in values and url_has_password(str(url.raw)):
        rivals.append(PASSWORD_KEY)
    for key in rivals:
        yield f"{key} ({values[key].origin}): contradicts {URL_KEY} ({url.origin}); set one of the two"


def _forget_address(merged: dict[str, Given], stronger: Mapping[str, Given]) -> None:
    """Drop what a stronger layer makes void, so that no password ever travels to a server it was not set for."""
    void: tuple[str, ...] = ()
    if URL_KEY in stronger:
        void = (*ADDRESS_KEYS, PASSWORD_KEY)
    elif URL_KEY in merged and any(key in stronger for key in ADDRESS_KEYS):
        void = (URL_KEY, PASSWORD_KEY)
    for key in void:
        merged.pop(key, None)


def _validate(given: Mapping[str, Given], problems: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, field in fields().items():
        if key not in given:
            values[key] = field.default
            continue
        try:
            values[key] = parse(field, given[key].raw)
        except ValueError as error:
            problems.append(f"{_written(field, given[key])} ({given[key].origin}): {error}")
    return values


def _written(field: Field, given: Given) -> str:
    """`key = value` as it was set, shortened; the key alone where the value is a secret."""
    if field.traits.secret:
        return field.key
    text = repr(given.raw if isinstance(given.raw, (str, list)) else str(given.raw))
    return f"{field.key} = {text if len(text) <= 60 else text[:57] + '…'}"


_ORDERED: Final = (
    ("engine.pop_batch_default", "engine.pop_batch_max"),
    ("engine.pop_wait_ms_default", "engine.pop_wait_ms_max"),
    ("engine.payload_bytes_max", "server.body_bytes_max"),
    ("engine.payload_bytes_max", "engine.pending_bytes_max"),
)
"""Pairs of which the first must not be above the second: otherwise one of the two could never take effect."""


def _order(values: dict[str, Any], origins: dict[str, str], problems: list[str]) -> None:
    """Hold each pair of `_ORDERED` in order: a default follows its bound, a value that was set is refused."""
    for small, large in _ORDERED:
        if values[small] <= values[large]:
            continue
        if origins[small].startswith(DEFAULT_ORIGIN):
            values[small] = values[large]
            origins[small] = f"{DEFAULT_ORIGIN}, bounded by {large}"
            continue
        shown, limit = (show(fields()[key], values[key]) for key in (small, large))
        problems.append(f"{small} = {shown} ({origins[small]}): must not be above {large}, which is {limit}")


def _freeze(values: Mapping[str, Any]) -> Settings:
    made = {
        section: section_class(**{f.name: values[key] for key, f in fields().items() if f.section == section})
        for section, section_class in get_type_hints(Settings).items()
    }
    return Settings(**made)


def _message(problems: list[str]) -> str:
    if len(problems) == 1:
        return problems[0]
    return "\n  ".join([f"{len(problems)} settings are wrong:", *problems])
