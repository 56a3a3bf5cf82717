"""A number codec as a growing table of prefixes, so that many answers can be followed at once without asking it."""

from __future__ import annotations

import numpy as np

from cost_model.numbers import Codec
from cost_model.views.tokens import IDS
from design.core import Bools, Floats, Ints

NONE = -1  # no such prefix
ROOT = 0


class Grammar:
    """Prefixes by number, ROOT the empty one. They are entered when they are first met and never change."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.tokens: Ints = np.array([IDS[token] for token in codec.alphabet])
        self._prefixes: list[tuple[str, ...]] = [()]
        self._children: Ints = np.full((1, len(codec.alphabet)), NONE)
        self._spans: Floats = np.array([codec.reach(())])
        self._entered: Bools = np.zeros(1, dtype=bool)

    def children(self, prefixes: Ints) -> Ints:
        """(..., alphabet) what each token makes of prefixes (...), NONE where the grammar does not allow it."""
        for number in np.unique(prefixes[~self._entered[prefixes]]).tolist():
            self._enter(number)
        found: Ints = self._children[prefixes]
        return found

    def spans(self, prefixes: Ints) -> Floats:
        """(..., 2) least and largest value that is written with prefixes (...)."""
        found: Floats = self._spans[prefixes]
        return found

    def prefix(self, number: int) -> tuple[str, ...]:
        """The tokens of a prefix."""
        return self._prefixes[number]

    def _enter(self, number: int) -> None:
        prefix = self._prefixes[number]
        options = self.codec.allowed(prefix)
        first = len(self._prefixes)
        self._entered[number] = True
        for place, option in enumerate(options):
            self._children[number, self.codec.alphabet.index(option)] = first + place
            self._prefixes.append((*prefix, option))
        if options:
            more = len(options)
            self._children = np.concatenate([self._children, np.full((more, self._children.shape[1]), NONE)])
            spans = np.array([self.codec.reach(p) for p in self._prefixes[first:]])
            self._spans = np.concatenate([self._spans, spans])
            self._entered = np.concatenate([self._entered, np.zeros(more, dtype=bool)])
