"""The fields of a configuration file: read strictly, looked up under any of their names, each with its default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from design.errors import InputError
from design.loader import kind
from design.nmp.model import LARGEST

MOST_LAYERS = 1000


@dataclass(frozen=True)
class Fields:
    """The fields of one object of a configuration file, `given` in it or else by the `defaults` of its class.

    A field may go by other `names` than its own; `where` is what errors call the object. The value of a field that is
    null is None, which is not its default. A field that has no default is a mistake of whoever asks for it.
    """

    where: str
    given: Mapping[str, Any]
    defaults: Mapping[str, Any]
    names: Mapping[str, tuple[str, ...]]

    def value(self, name: str) -> Any:
        """Its value, of any type. Raises InputError when it is given under two names and they disagree."""
        found = [(other, self.given[other]) for other in self._names(name) if self.given.get(other) is not None]
        for other, value in found[1:]:
            if value != found[0][1] or type(value) is not type(found[0][1]):
                raise InputError(f"{self.where}, field '{other}'", f"disagrees with '{found[0][0]}'", "one of the two")
        if found:
            return found[0][1]
        return None if any(other in self.given for other in self._names(name)) else self.defaults[name]

    def wrong(self, name: str, found: str, expected: str) -> InputError:
        """The error about a field, by the name that the file calls it."""
        called = next((other for other in self._names(name) if other in self.given), self._names(name)[0])
        return InputError(f"{self.where}, field '{called}'", found, expected)

    def number(self, name: str, least: int = 1, most: int = LARGEST) -> int:
        """A whole number within bounds. Raises InputError."""
        value = self.optional(name, least, most)
        if value is None:
            given = any(other in self.given for other in self._names(name))
            raise self.wrong(name, "is null" if given else "is missing", "a whole number")
        return value

    def optional(self, name: str, least: int = 1, most: int = LARGEST) -> int | None:
        """A whole number within bounds, or None where the file or the default says null. Raises InputError."""
        value = self.value(name)
        if value is None:
            return None
        if type(value) is not int:
            raise self.wrong(name, f"is {kind(value)}", "a whole number")
        if not least <= value <= most:
            raise self.wrong(name, f"is {str(value)[:24]}", f"{least} to {most}")
        return value

    def flag(self, name: str) -> bool:
        """True or false; null is false, as the configuration classes have it. Raises InputError."""
        value = self.value(name)
        if value is not None and type(value) is not bool:
            raise self.wrong(name, f"is {kind(value)}", "true or false")
        return bool(value)

    def places(self, name: str) -> frozenset[int]:
        """A list of layer numbers, null for none. Raises InputError."""
        value = [] if self.value(name) is None else self.value(name)
        if type(value) is not list or not all(type(entry) is int for entry in value):
            raise self.wrong(name, f"is {kind(value)}", "a list of layer numbers")
        if len(value) > MOST_LAYERS:
            raise self.wrong(name, f"has {len(value)} entries", f"at most {MOST_LAYERS}")
        return frozenset(value)

    def divisor(self, name: str, value: int, whole: str, total: int) -> int:
        """`value` of field `name` if it divides the `total` of the field `whole`. Raises InputError."""
        if total % value:
            raise self.wrong(name, f"is {value}, which does not divide {whole} {total}", f"a divisor of {whole}")
        return value

    def _names(self, name: str) -> tuple[str, ...]:
        return self.names.get(name, (name,))
