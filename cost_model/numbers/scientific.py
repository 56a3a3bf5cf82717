"""Numbers of any size to a few digits, size first: 41780 is "+", "E4", "4", "1", "8"."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from cost_model.numbers.base import Tokens, refused, unsayable
from cost_model.numbers.plain import DIGITS, MOST_DIGITS

SIGNS = ("+", "-")
ZERO = "zero"
FARTHEST = 99  # exponents that floats of 15 digits hold with room to spare


@dataclass(frozen=True)
class Scientific:
    """A sign, the exponent of ten, and exactly `digits` digits of which the first is not 0.

    0 has "zero" in place of the exponent, and zeros for digits: so every number takes as many tokens, and a place in
    them always means the same. 0 has the sign "+". `exponents` are the least and the largest: counts need none below 0,
    power and area do. Without `signed` there is no sign, and no negative number.

    Values are rounded to the nearest number that can be said, halves to an even last digit: from 10**least on the
    relative error is at most 0.5 * 10**(1 - digits), below that the error is at most half of 10**least.
    """

    digits: int = 3
    signed: bool = True
    exponents: tuple[int, int] = (0, 15)
    name: ClassVar[str] = "scientific"

    def __post_init__(self) -> None:
        if not 1 <= self.digits <= MOST_DIGITS:
            raise ValueError(f"scientific numbers of {self.digits} digits; expected 1 to {MOST_DIGITS}")
        least, most = self.exponents
        if not -FARTHEST <= least <= most <= FARTHEST:
            raise ValueError(f"exponents {least} to {most}; expected a rising pair within -{FARTHEST} to {FARTHEST}")

    @property
    def alphabet(self) -> Tokens:
        """Digits, sizes, signs."""
        return (*DIGITS, *self._sizes(), *(SIGNS if self.signed else ()))

    @property
    def length(self) -> int | None:
        """Of every number."""
        return self.longest

    @property
    def longest(self) -> int:
        """Sign, exponent, digits."""
        return self.digits + 1 + self.signed

    def encode(self, value: float) -> Tokens:
        """See `Codec`."""
        least, most = self.exponents
        largest = self._largest()
        if not math.isfinite(value) or (value < 0 and not self.signed):
            raise unsayable(value, f"a number from {-largest if self.signed else 0} to {largest}")
        # Formatting rounds the exact value, halves to even, and carries into the exponent.
        mantissa, power = f"{abs(value):.{self.digits - 1}e}".split("e")
        exponent, written = int(power), tuple(mantissa.replace(".", ""))
        if value != 0 and exponent > most:
            raise unsayable(value, f"a number from {-largest if self.signed else 0} to {largest}")
        zero = value == 0
        if not zero and exponent < least:
            zero = Fraction(abs(value)) <= Fraction(10) ** least / 2
            exponent, written = least, ("1", *"0" * (self.digits - 1))
        if zero:
            return (*(SIGNS[:1] if self.signed else ()), ZERO, *"0" * self.digits)
        sign = (SIGNS[value < 0],) if self.signed else ()
        return (*sign, f"E{exponent}", *written)

    def decode(self, tokens: Tokens) -> float:
        """See `Codec`."""
        if self.allowed(tokens):
            raise refused(tokens, f"{self.longest} tokens")
        return self.bounds(tokens)[0]

    def allowed(self, prefix: Tokens) -> Tokens:
        """See `Codec`."""
        following = self._following(())
        for place, token in enumerate(prefix):
            if token not in following:
                raise refused(prefix, f"{' or '.join(following) or 'nothing'} in place {place + 1}")
            following = self._following(prefix[: place + 1])
        return following

    def bounds(self, prefix: Tokens) -> tuple[float, float]:
        """See `Codec`: filled up with zeros and with nines, of either sign where none is said."""
        self.allowed(prefix)
        sign, rest = (prefix[:1], prefix[1:]) if self.signed else (("+",), prefix)
        low, high = self._sizes_between(rest, zero=sign != ("-",))
        if not sign:
            return -high, high
        return (-high, -low) if sign == ("-",) else (low, high)

    def reach(self, prefix: Tokens) -> tuple[float, float]:
        """See `Codec`. Above a power of ten steps are larger than below it, and so are what is rounded off."""
        low, high = self.bounds(prefix)
        return self._half_a_step(low, -1), self._half_a_step(high, 1)

    def _half_a_step(self, value: float, way: int) -> float:
        """Half the way from a number that can be said to its neighbour away from 0 (`way` 1) or towards it (-1)."""
        if value == 0:
            return 0.0
        if value < 0:
            return -self._half_a_step(-value, -way)
        mantissa, power = f"{value:.{self.digits - 1}e}".split("e")
        first = way < 0 and float(mantissa) == 1
        if first and int(power) == self.exponents[0]:
            return value / 2  # below it nothing but 0 can be said
        return value + way * 0.5 * 10.0 ** (int(power) - self.digits + 1 - first)

    def _sizes(self) -> Tokens:
        return (ZERO, *(f"E{e}" for e in range(self.exponents[0], self.exponents[1] + 1)))

    def _largest(self) -> float:
        return float(f"{'9' * self.digits}e{self.exponents[1] - self.digits + 1}")

    def _following(self, prefix: Tokens) -> Tokens:
        """Which tokens may follow a prefix that is one."""
        if self.signed and not prefix:
            return SIGNS
        rest = prefix[1:] if self.signed else prefix
        if not rest:
            return self._sizes()[1:] if prefix == ("-",) else self._sizes()
        if len(rest) == 1 + self.digits:
            return ()
        if rest[0] == ZERO:
            return DIGITS[:1]
        return DIGITS[1:] if len(rest) == 1 else DIGITS

    def _sizes_between(self, rest: Tokens, zero: bool) -> tuple[float, float]:
        """The least and the largest absolute value that begin with what follows the sign."""
        if not rest:
            return (0.0 if zero else float(f"1e{self.exponents[0]}")), self._largest()
        if rest[0] == ZERO:
            return 0.0, 0.0
        written, power = "".join(rest[1:]), int(rest[0][1:]) - self.digits + 1
        low = written.ljust(self.digits, "0") if written else "1".ljust(self.digits, "0")
        return float(f"{low}e{power}"), float(f"{written.ljust(self.digits, '9')}e{power}")
