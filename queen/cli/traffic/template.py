"""A payload template: text with {{generators}} in it, compiled once, tried out before anything is sent."""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from functools import partial

from queen.cli.traffic.makers import Make, maker
from queen.errors import SettingsError

TEMPLATE_BYTES_MAX = 1024 * 1024
_TRIALS = 20
"""More than one, since chance may hide a mistake: {{hex 4}} outside of quotes is now and then a number."""
_GENERATOR = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of the template: fixed text, or the maker of a text, and at which character it begins."""

    begins_at: int
    text: str
    make: Make | None = None


class Template:
    """Gives payloads; equal templates with equal seeds give the same ones, save for {{now}}.

    Raises SettingsError, with line and column, when a generator is wrong or one of the first payloads is not JSON."""

    def __init__(self, text: str, seed: int, name: str = "--template") -> None:
        self._text = text
        self._name = name
        if len(text) > TEMPLATE_BYTES_MAX:
            raise SettingsError(f"{name} is longer than {TEMPLATE_BYTES_MAX} characters")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise self._problem(error.start, "not UTF-8") from error
        # A trial of its own, so that a checked template still begins with its first payload.
        trial = self._compile(seed)
        for _ in range(_TRIALS):
            self._check(trial)
        self._makers = [piece.make or partial(str, piece.text) for piece in self._compile(seed)]

    def payload(self) -> bytes:
        """The next payload, as JSON."""
        return "".join([make() for make in self._makers]).encode()

    def _compile(self, seed: int) -> list[_Piece]:
        rng, pieces, done = random.Random(f"template {seed}"), [], 0
        for match in _GENERATOR.finditer(self._text):
            pieces.append(_Piece(done, self._text[done : match.start()]))
            try:
                pieces.append(_Piece(match.start(), match[0], maker(match[1].split(), rng)))
            except ValueError as error:
                raise self._problem(match.start(), str(error)) from error
            done = match.end()
        rest = self._text[done:]
        if "{{" in rest:
            raise self._problem(done + rest.index("{{"), "{{ without }}")
        return [piece for piece in [*pieces, _Piece(done, rest)] if piece.text]

    def _check(self, pieces: list[_Piece]) -> None:
        """One payload is made and read; a mistake in it is told as a place in the template."""
        made = [piece.make() if piece.make else piece.text for piece in pieces]
        try:
            json.loads("".join(made), parse_constant=_no_constant)
        except json.JSONDecodeError as error:
            raise self._problem(_place(pieces, made, error.pos), f"not JSON: {error.msg.lower()}") from error
        except (ValueError, RecursionError) as error:
            raise SettingsError(f"{self._name}: not JSON: {error}") from error

    def _problem(self, at: int, message: str) -> SettingsError:
        before = self._text[:at]
        line, column = before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1
        return SettingsError(
            f"{self._name}, line {line}, column {column}: {message}",
            hint='A template is JSON with generators, such as {"id": {{seq}}, "name": "{{word}}"}.',
        )


def _place(pieces: list[_Piece], made: list[str], at: int) -> int:
    """Where in the template the character number `at` of the made text comes from."""
    for piece, text in zip(pieces, made, strict=True):
        if at < len(text):
            return piece.begins_at + (at if piece.make is None else 0)
        at -= len(text)
    return pieces[-1].begins_at + len(pieces[-1].text) if pieces else 0


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON value")
