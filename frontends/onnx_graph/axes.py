"""What the axes of a graph's inputs mean: the sequences at once, the tokens of a call, the context, or a number.

Dimensions inside the graph are told apart by giving these axes lengths that are prime, and that divide no number of
the graph: what batch, tokens and context contribute to a dimension is then seen from the dimension alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from design.errors import InputError
from design.nmp.model import LARGEST
from frontends.onnx_graph.graph import Graph, Input

MEANINGS = BATCH, TOKENS, CONTEXT, PAST = "batch", "tokens", "context", "past"
USUAL = {  # names that exporters and their users give
    **dict.fromkeys(("batch", "batch_size", "bsz", "bs", "b", "n"), BATCH),
    **dict.fromkeys(("tokens", "seq", "seq_len", "seqlen", "sequence", "sequence_length", "seq_length"), TOKENS),
    **dict.fromkeys(("num_tokens", "t", "s", "length", "query_length", "q_len"), TOKENS),
    **dict.fromkeys(("context", "context_length", "total_sequence_length", "total_seq_len", "kv_len"), CONTEXT),
    **dict.fromkeys(("total_length", "kv_length", "key_length", "past_sequence_length+sequence_length"), CONTEXT),
    **dict.fromkeys(("past", "past_sequence_length", "past_seq_len", "past_length", "past_len"), PAST),
    **dict.fromkeys(("cache_length", "cached"), PAST),
}
FLOATS = (1, 10, 11, 16)  # float32, float16, float64, bfloat16, as ONNX numbers them
FIRST_PRIME = 17  # small ones also fit graphs that hold for few tokens


class Point(NamedTuple):
    """Lengths to evaluate a graph at; `context` is that of the past and the tokens."""

    batch: int
    tokens: int
    context: int

    def of(self, meaning: int | str) -> int:
        """The length of an axis that means this."""
        if isinstance(meaning, int):
            return meaning
        past = self.context - self.tokens
        return {BATCH: self.batch, TOKENS: self.tokens, CONTEXT: self.context, PAST: past}[meaning]


@dataclass(frozen=True)
class Axes:
    """`meanings` of all axes of the inputs, by (input, axis)."""

    meanings: Mapping[tuple[str, int], int | str]

    def has(self, *meanings: str) -> bool:
        """Whether one of these is among them."""
        return any(value in meanings for value in self.meanings.values())

    @property
    def cached(self) -> bool:
        """Whether tokens attend to others than themselves."""
        return self.has(CONTEXT, PAST)

    def without_past(self) -> Axes:
        """The same, where what tokens attend to is themselves."""
        return Axes({axis: TOKENS if value == CONTEXT else value for axis, value in self.meanings.items()})

    def shape(self, value: Input, point: Point) -> tuple[int, ...]:
        """Of an input, at a point."""
        return tuple(point.of(self.meanings[value.name, axis]) for axis in range(len(value.axes)))


def given_axes(axes: Mapping[str, str]) -> dict[str, int | str]:
    """What the caller says of names of axes. Raises InputError for what is no meaning."""
    found: dict[str, int | str] = {}
    for name, text in axes.items():
        if text in MEANINGS:
            found[name] = text
        elif text.isascii() and text.isdigit() and 1 <= int(text[:11]) <= LARGEST:
            found[name] = int(text)
        else:
            raise InputError(f"--axes {name[:40]}", f"is '{text[:40]}'", f"{', '.join(MEANINGS)} or 1 to {LARGEST}")
    return found


def read_axes(graph: Graph, weights: frozenset[str], given: Mapping[str, int | str]) -> Axes:
    """Of all inputs. Raises InputError for an axis without a meaning, and a name that no axis has."""
    meanings: dict[tuple[str, int], int | str] = {}
    names = set()
    for value in graph.inputs:
        for number, axis in enumerate(value.axes):
            if isinstance(axis, int):
                meanings[value.name, number] = axis
                continue
            name = axis or f"{value.name}.{number}"  # a nameless axis goes by its place
            names.add(name)
            if value.name not in weights:
                meanings[value.name, number] = _meaning(f"{graph.where}, input '{value.name}'", name, number, given)
    for name in given.keys() - names:
        found = f"has no axis '{name[:40]}'"
        raise InputError(graph.where, found, f"--axes for {', '.join(sorted(names)) or 'no name: all are fixed'}")
    return Axes(meanings)


def _meaning(where: str, name: str, number: int, given: Mapping[str, int | str]) -> int | str:
    plain = "".join(name.lower().split())
    if name in given or plain in USUAL:
        return given[name] if name in given else USUAL[plain]
    terms = [given.get(term.strip(), USUAL.get(term.strip().lower())) for term in name.split("+")]
    if sorted(map(str, terms)) == [PAST, TOKENS]:
        return CONTEXT
    found = f"axis {number} is '{name[:40]}', of unknown meaning"
    raise InputError(where, found, f"--axes {name[:40]}=batch, tokens, context, past or a number")


class Main(NamedTuple):
    """The input that goes through the layers, and its axis for each of batch and tokens where it has one."""

    value: Input
    axis: Mapping[str, int]


def main_input(graph: Graph, weights: frozenset[str]) -> Main | None:
    """The first input that is [batch, tokens, width], or the numbers of tokens, [batch, tokens]; else the first. The
    rows of a matrix are the tokens of all sequences."""
    plain = [value for value in graph.inputs if value.name not in weights and value.axes]
    wide = [value for value in plain if len(value.axes) == 3 and value.element in FLOATS]
    numbers = [value for value in plain if len(value.axes) == 2 and value.element not in FLOATS]
    for values, axis in ((wide, {BATCH: 0, TOKENS: 1}), (numbers, {BATCH: 0, TOKENS: 1})):
        if values:
            return Main(values[0], axis)
    return Main(plain[0], {TOKENS: 0} if len(plain[0].axes) < 3 else {BATCH: 0}) if plain else None


def with_guess(axes: Axes, main: Main, missing: Iterable[str], weights: frozenset[str]) -> Axes:
    """As if the main input's axes were batch and tokens where no axis is, and equal ones of other inputs with them.

    A length of 1 stands for itself wherever it is not in the place where the main input has it.
    """
    found = dict(axes.meanings)
    ranks = {name: axis + 1 for name, axis in axes.meanings}
    for meaning in missing:
        place = main.axis.get(meaning)
        length = None if place is None else axes.meanings[main.value.name, place]
        for (name, axis), value in axes.meanings.items():
            other_place = meaning == TOKENS and length != 1 and name != main.value.name
            if name in weights or not isinstance(length, int) or value != length:
                continue
            if (axis == place and ranks[name] > 1) or other_place:
                found[name, axis] = meaning
    return Axes(found)


def points(numbers: Iterable[int], count: int) -> Iterator[Point]:
    """Lengths with no divisor in common with any of `numbers`; `count` of them, different in all three."""
    known = {abs(number) for number in numbers} - {0}
    primes = (p for p in itertools.count(FIRST_PRIME) if all(p % q for q in range(2, int(p**0.5) + 1)))
    usable = (p for p in primes if all(number % p for number in known))
    for _ in range(count):
        yield Point(*itertools.islice(usable, 3))
