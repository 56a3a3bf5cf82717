"""Whole numbers as people write them: 4096 is "4", "0", "9", "6", "<end>"."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from cost_model.numbers.base import Tokens, refused, unsayable

DIGITS = tuple("0123456789")
END = "<end>"
MOST_DIGITS = 15  # a float holds every whole number of so many


@dataclass(frozen=True)
class PlainDigits:
    """Whole numbers of at most `digits` digits, most significant first, closed by "<end>"; none begins with a 0 but 0
    itself. Values are rounded to whole numbers, halves to even: the error is at most a half."""

    digits: int = 10
    name: ClassVar[str] = "plain"
    alphabet: ClassVar[Tokens] = (*DIGITS, END)
    length: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        if not 1 <= self.digits <= MOST_DIGITS:
            raise ValueError(f"plain numbers of {self.digits} digits; expected 1 to {MOST_DIGITS}")

    @property
    def longest(self) -> int:
        """All digits and the end."""
        return self.digits + 1

    def encode(self, value: float) -> Tokens:
        """See `Codec`; negative values are beyond reach."""
        if not math.isfinite(value) or value < 0 or round(value) >= 10**self.digits:
            raise unsayable(value, f"a number from 0 to {10**self.digits - 1}")
        return (*str(round(value)), END)

    def decode(self, tokens: Tokens) -> float:
        """See `Codec`."""
        if self.allowed(tokens):
            raise refused(tokens, f"digits closed by {END}")
        return float("".join(tokens[:-1]))

    def allowed(self, prefix: Tokens) -> Tokens:
        """See `Codec`."""
        written = prefix[:-1] if prefix[-1:] == (END,) else prefix
        fine = all(token in DIGITS for token in written) and len(written) <= self.digits
        if not fine or (written[:1] == ("0",) and len(written) > 1) or (prefix and not written):
            raise refused(prefix, f"1 to {self.digits} digits without a leading 0, then {END}")
        if not prefix:
            return DIGITS
        if len(written) < len(prefix):
            return ()
        return (END,) if written == ("0",) or len(written) == self.digits else self.alphabet

    def bounds(self, prefix: Tokens) -> tuple[float, float]:
        """See `Codec`: closed at once, or filled up with nines."""
        following = self.allowed(prefix)
        if not prefix:
            return 0.0, float(10**self.digits - 1)
        if following == self.alphabet:
            return float("".join(prefix)), float("".join(prefix).ljust(self.digits, "9"))
        value = float("".join(token for token in prefix if token != END))
        return value, value

    def reach(self, prefix: Tokens) -> tuple[float, float]:
        """See `Codec`."""
        low, high = self.bounds(prefix)
        return (0.0, 0.0) if high == 0 else (max(low - 0.5, 0.0), high + 0.5)
