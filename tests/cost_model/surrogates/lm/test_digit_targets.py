"""Targets of digits: the truth where asked for it alone, what lies near it where distances count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.numbers import Codec, PlainDigits, Scientific
from cost_model.surrogates.lm.digit_targets import digit_targets
from cost_model.views.tokens import IDS

CODECS = [Scientific(3, signed=False), PlainDigits(8)]


@pytest.mark.parametrize("codec", CODECS, ids=["scientific", "plain"])
@given(value=st.integers(0, 10**8 - 1))
def test_truth_alone(codec: Codec, value: int) -> None:
    """With no spread the targets are the number's own tokens, each allowed."""
    found = digit_targets(codec, np.array([float(value)]), 0.0)
    tokens = codec.encode(value)
    for place, token in enumerate(tokens):
        assert found.wanted[0, place].argmax() == codec.alphabet.index(token) and found.wanted[0, place].sum() == 1
        assert {codec.alphabet[i] for i in np.flatnonzero(found.allowed[0, place])} == set(
            codec.allowed(tokens[:place])
        )
        assert found.asked[0, place] == (len(codec.allowed(tokens[:place])) > 1)
    assert not found.asked[0, len(tokens) :].any()
    assert found.inputs[0, : len(tokens) - 1].tolist() == [IDS[token] for token in tokens[:-1]]


def test_unknown_and_unsayable() -> None:
    """Nothing is asked of them, whoever stands beside them."""
    found = digit_targets(CODECS[1], np.array([np.nan, 1e9, 5.0]), 0.1)
    assert found.asked.any(axis=1).tolist() == [False, False, True]


@given(st.integers(1, 10**9), st.floats(0.02, 0.5))
def test_shares(value: int, spread: float) -> None:
    """Where something is asked shares add up to 1 over what is allowed, and fall with the distance of the digit."""
    found = digit_targets(CODECS[0], np.array([float(value)]), spread)
    wanted, allowed = found.wanted[0], found.allowed[0]
    np.testing.assert_allclose(wanted.sum(axis=1), 1.0, rtol=1e-9)
    assert (wanted[~allowed] == 0).all()
    assert wanted[0, CODECS[0].alphabet.index("zero")] == 0
    digit = int(CODECS[0].encode(value)[1])
    width = np.diff(np.log10(np.arange(1, 11)))
    density = wanted[1, 1:10] / width
    assert (np.diff(density[digit:]) <= 1e-9).all() and (np.diff(density[: digit - 1]) >= -1e-9).all()


def test_mass_is_the_laplace_distribution() -> None:
    """First digits of 5000 with a spread of 0.1 decades: shares by hand."""
    found = digit_targets(CODECS[0], np.array([5000.0]), 0.1)

    def below(x: float) -> float:
        away = (np.log10(x) - np.log10(5000)) / 0.1
        return float(0.5 * np.exp(away) if away < 0 else 1 - 0.5 * np.exp(-away))

    whole = below(10000) - below(1000)
    for digit in range(1, 10):
        share = (below(1000 * (digit + 1)) - below(1000 * digit)) / whole
        assert found.wanted[0, 1, digit] == pytest.approx(share, rel=1e-6)
    tens = found.wanted[0, 0, CODECS[0].alphabet.index("E4")]
    assert tens == pytest.approx((below(1e5) - below(1e4)) / below(1e16), rel=1e-6)


def test_zero_is_near_nothing() -> None:
    found = digit_targets(CODECS[0], np.array([0.0]), 0.1)
    assert found.wanted[0, 0].max() == 1 and found.asked[0].tolist() == [True, False, False, False]
