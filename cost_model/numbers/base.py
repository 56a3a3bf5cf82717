"""A number as a short word of single symbols, so that a model can say it digit by digit."""

from __future__ import annotations

from typing import Protocol

Tokens = tuple[str, ...]


class Codec(Protocol):
    """Writes numbers in a regular grammar and reads them back. Equal codecs have equal hashes.

    `alphabet` has each token that it uses once, in one fixed order. `length` is how many tokens a number takes if all
    take as many, else None; none takes more than `longest`. A *prefix* is any beginning of a number's tokens, () among
    them. Whatever follows `allowed` step by step ends in a number.
    """

    @property
    def name(self) -> str: ...

    @property
    def alphabet(self) -> Tokens: ...

    @property
    def length(self) -> int | None: ...

    @property
    def longest(self) -> int: ...

    def __hash__(self) -> int: ...

    def encode(self, value: float) -> Tokens:
        """The tokens of the number nearest to `value` that can be said. Raises ValueError for what is not finite or
        beyond what the grammar reaches."""
        ...

    def decode(self, tokens: Tokens) -> float:
        """The number that complete tokens say. Raises ValueError for what the grammar does not allow."""
        ...

    def allowed(self, prefix: Tokens) -> Tokens:
        """Which tokens may follow, in the order of the alphabet; () when the number is complete. Raises ValueError for
        what is no prefix."""
        ...

    def bounds(self, prefix: Tokens) -> tuple[float, float]:
        """The least and the largest number that begin with a prefix, both of which can be said; a complete number's are
        itself. Raises ValueError for what is no prefix."""
        ...

    def reach(self, prefix: Tokens) -> tuple[float, float]:
        """The values that are written with a prefix, rounding included, lie in this interval. 0 is a value of its own:
        nothing that is rounded to it counts. Raises ValueError for what is no prefix."""
        ...


def refused(tokens: Tokens, expected: str) -> ValueError:
    """The error of tokens that the grammar does not allow."""
    return ValueError(f"tokens '{' '.join(map(str, tokens))[:80]}' are no number; expected {expected}")


def unsayable(value: float, expected: str) -> ValueError:
    """The error of a value that the grammar does not reach."""
    return ValueError(f"cannot write {value}; expected {expected}")
