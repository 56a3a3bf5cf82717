"""Numbers as tokens: known spellings, rounding, refusals, and what holds of every codec."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.numbers import CODECS, Codec, PlainDigits, Scientific

COUNTS = Scientific(signed=False)
SMALL = Scientific(digits=2, exponents=(-3, 2))
ALL: dict[str, Codec] = {
    "plain": PlainDigits(),
    "plain-3": PlainDigits(3),
    "scientific": Scientific(),
    "counts": COUNTS,
    "small": SMALL,
    "one-digit": Scientific(1, False, (0, 5)),
}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (1, "1"),
        (10, "10"),
        (4096, "4096"),
        (10**9, "1000000000"),
        (9999999999, "9999999999"),
        (0.5, "0"),
        (1.5, "2"),
        (2.5, "2"),
        (99.7, "100"),
    ],
)
def test_plain_spelling(value: float, text: str) -> None:
    """Digits and an end; halves go to even."""
    assert PlainDigits().encode(value) == (*text, "<end>")
    assert PlainDigits().decode((*text, "<end>")) == float(text)


@pytest.mark.parametrize(
    ("codec", "value", "text"),
    [
        (Scientific(), 0, "+ zero 0 0 0"),
        (Scientific(), -0.0, "+ zero 0 0 0"),
        (COUNTS, 0, "zero 0 0 0"),
        (Scientific(), 1, "+ E0 1 0 0"),
        (COUNTS, 10, "E1 1 0 0"),
        (COUNTS, 10**15, "E15 1 0 0"),
        (COUNTS, 9.99e15, "E15 9 9 9"),
        (COUNTS, 41780, "E4 4 1 8"),
        (Scientific(), -41780, "- E4 4 1 8"),
        (COUNTS, 9996, "E4 1 0 0"),
        (COUNTS, 9994, "E3 9 9 9"),
        (COUNTS, 1005, "E3 1 0 0"),
        (COUNTS, 1015, "E3 1 0 2"),
        (COUNTS, 0.5, "zero 0 0 0"),
        (COUNTS, 0.51, "E0 1 0 0"),
        (COUNTS, 0.9999, "E0 1 0 0"),
        (Scientific(), -0.7, "- E0 1 0 0"),
        (Scientific(), -0.3, "+ zero 0 0 0"),
        (SMALL, 0.0123, "+ E-2 1 2"),
        (SMALL, -0.00099, "- E-3 1 0"),
        (SMALL, 0.096, "+ E-2 9 6"),
        (Scientific(1, False), 95, "E2 1"),
        (Scientific(1, False), 85, "E1 8"),
    ],
)
def test_scientific_spelling(codec: Scientific, value: float, text: str) -> None:
    """Size before digits, zero apart; halves go to an even last digit and a carry reaches the exponent."""
    tokens = tuple(text.split())
    assert codec.encode(value) == tokens
    assert codec.encode(codec.decode(tokens)) == tokens


def test_scientific_reading() -> None:
    """The nearest float to what is written."""
    assert Scientific().decode(("-", "E4", "4", "1", "8")) == -41800.0
    assert SMALL.decode(("+", "E-3", "1", "3")) == 0.0013
    assert math.copysign(1, Scientific().decode(("+", "zero", "0", "0", "0"))) == 1


@pytest.mark.parametrize(
    ("codec", "value"),
    [
        (PlainDigits(), -1),
        (PlainDigits(3), 999.5),
        (PlainDigits(3), 1e300),
        (COUNTS, -1),
        (COUNTS, -0.2),
        (COUNTS, 9.995e15),
        (Scientific(), -1e16),
        (SMALL, 996),
        *((codec, value) for codec in ALL.values() for value in (math.nan, math.inf, -math.inf)),
    ],
)
def test_what_cannot_be_written(codec: Codec, value: float) -> None:
    """One line with the value and the reach."""
    with pytest.raises(ValueError, match=r"^cannot write .*; expected a number from .* to [^\n]*$"):
        codec.encode(value)


def test_the_largest_is_written() -> None:
    """The refusals above begin just beyond it."""
    assert PlainDigits(3).decode(PlainDigits(3).encode(999.4)) == 999
    assert COUNTS.decode(COUNTS.encode(9.994e15)) == 9.99e15
    assert SMALL.decode(SMALL.encode(-994)) == -990


@pytest.mark.parametrize(
    ("codec", "text"),
    [
        (PlainDigits(), ""),
        (PlainDigits(), "<end>"),
        (PlainDigits(), "1"),
        (PlainDigits(), "0 1 <end>"),
        (PlainDigits(), "1 <end> <end>"),
        (PlainDigits(), "1 <end> 2"),
        (PlainDigits(), "x <end>"),
        (PlainDigits(2), "1 2 3 <end>"),
        (COUNTS, ""),
        (COUNTS, "E3 1 0"),
        (COUNTS, "E3 1 0 0 0"),
        (COUNTS, "E3 0 1 0"),
        (COUNTS, "E16 1 0 0"),
        (COUNTS, "E-1 1 0 0"),
        (COUNTS, "+ E3 1 0 0"),
        (COUNTS, "zero"),
        (COUNTS, "zero 0 1 0"),
        (Scientific(), "E3 1 0 0"),
        (Scientific(), "- zero 0 0 0"),
        (Scientific(), "+ - 1 0 0"),
    ],
)
def test_what_cannot_be_read(codec: Codec, text: str) -> None:
    """Leading zeros, missing and surplus tokens, those of another codec."""
    with pytest.raises(ValueError, match="are no number; expected"):
        codec.decode(tuple(text.split()))


@pytest.mark.parametrize("text", ["<end>", "0 0", "1 <end> 1", "E3"])
def test_what_is_no_prefix(text: str) -> None:
    """Neither continued nor bounded."""
    for asked in (PlainDigits().allowed, PlainDigits().bounds):
        with pytest.raises(ValueError, match="are no number; expected"):
            asked(tuple(text.split()))
    with pytest.raises(ValueError, match="are no number; expected"):
        COUNTS.bounds(("E3", "0"))


@pytest.mark.parametrize("digits", [0, 16])
def test_refused_sizes(digits: int) -> None:
    """More digits than floats have, or none; exponents that fall."""
    for make in CODECS.values():
        with pytest.raises(ValueError, match=f"of {digits} digits; expected 1 to 15"):
            make(digits=digits)
    with pytest.raises(ValueError, match="exponents 3 to 2"):
        Scientific(exponents=(3, 2))


def test_registry() -> None:
    """Names are the codecs' own, alphabets have each token once, and lengths are as said."""
    for name, make in CODECS.items():
        assert make().name == name
    for codec in ALL.values():
        assert len(set(codec.alphabet)) == len(codec.alphabet)
    assert (PlainDigits().length, PlainDigits().longest) == (None, 11)
    assert (Scientific().length, COUNTS.length, Scientific(5).longest) == (5, 4, 7)
    assert Scientific().alphabet == (*"0123456789", "zero", *(f"E{e}" for e in range(16)), "+", "-")
    assert COUNTS.alphabet == Scientific().alphabet[:-2]


def sayable(name: str, value: float) -> float:
    """A value within a codec's reach made of any finite one."""
    low, high = ALL[name].bounds(())
    return min(max(value, low), high)


@given(st.sampled_from(sorted(ALL)), st.floats(-1e17, 1e17) | st.integers(0, 10**6) | st.floats(-2, 2))
def test_round_trips(name: str, value: float) -> None:
    """Within the stated error, and what was read is written the same."""
    codec, value = ALL[name], sayable(name, value)
    tokens = codec.encode(value)
    found = codec.decode(tokens)
    error = abs(Fraction(found) - Fraction(value))
    if isinstance(codec, PlainDigits):
        assert error <= Fraction(1, 2)
    elif isinstance(codec, Scientific):
        least = Fraction(10) ** codec.exponents[0]
        # Reading rounds once more, to the nearest float.
        half = abs(Fraction(value)) * Fraction(10) ** (1 - codec.digits) / 2 * (1 + Fraction(1, 10**12))
        assert error <= (half if abs(value) >= least else least / 2 * (1 + Fraction(1, 10**12)))
    assert codec.encode(found) == tokens
    assert len(tokens) == codec.length if codec.length else len(tokens) <= codec.longest


@given(st.sampled_from(sorted(ALL)), st.floats(-1e17, 1e17) | st.integers(0, 10**6) | st.floats(-2, 2))
def test_every_step_is_allowed_and_bounded(name: str, value: float) -> None:
    """What `encode` says next is allowed; bounds hold the number said, shrink, and end on it."""
    codec = ALL[name]
    tokens = codec.encode(sayable(name, value))
    said, (low, high) = codec.decode(tokens), codec.bounds(())
    for place, token in enumerate(tokens):
        following = codec.allowed(tokens[:place])
        assert token in following and following == tuple(t for t in codec.alphabet if t in following)
        least, most = codec.bounds(tokens[: place + 1])
        assert low <= least <= said <= most <= high
        low, high = least, most
    assert codec.allowed(tokens) == () and low == high == said


@given(st.sampled_from(sorted(ALL)), st.floats(-1e17, 1e17) | st.floats(-2, 2), st.floats(0.001, 0.999))
def test_what_lies_within_reach_is_written_so(name: str, value: float, part: float) -> None:
    """A value is within reach of every prefix that it is written with, unless it is rounded to nothing, and what lies
    between the ends of the reach is written with the prefix."""
    codec, value = ALL[name], sayable(name, value)
    tokens = codec.encode(value)
    if codec.decode(tokens) == 0:
        assert codec.reach(tokens) == (0.0, 0.0)
        return
    for place in range(len(tokens)):
        low, high = codec.reach(tokens[: place + 1])
        assert low - 1e-12 * abs(low) <= value <= high + 1e-12 * abs(high)
        if isinstance(codec, PlainDigits) and codec.allowed(tokens[: place + 1]):
            continue  # numbers of other lengths lie between
        within = min(max(low + part * (high - low), codec.bounds(())[0]), codec.bounds(())[1])
        if codec.bounds(tokens[: place + 1])[0] * within > 0 and low < within < high:
            assert codec.encode(within)[: place + 1] == tokens[: place + 1]


@given(st.sampled_from(sorted(ALL)), st.data())
def test_any_walk_ends_in_a_number(name: str, data: st.DataObject) -> None:
    """Any choice among the allowed is read in the end, and written the same way."""
    codec, tokens = ALL[name], tuple[str, ...]()
    while following := codec.allowed(tokens):
        tokens = (*tokens, data.draw(st.sampled_from(following)))
        low, high = codec.bounds(tokens)
        for end in (low, high):  # both can be said, and begin with the prefix
            assert codec.encode(end)[: len(tokens)] == tokens
    assert codec.encode(codec.decode(tokens)) == tokens


@given(st.sampled_from(sorted(ALL)), st.floats(-1e17, 1e17), st.floats(-1e17, 1e17))
def test_order_is_kept(name: str, one: float, other: float) -> None:
    """A larger value is never written as a smaller number."""
    codec = ALL[name]
    small, large = sorted((sayable(name, one), sayable(name, other)))
    assert codec.decode(codec.encode(small)) <= codec.decode(codec.encode(large))
