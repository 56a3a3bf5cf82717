"""Exact distributions agree with asking for every number one by one, and with themselves in any company."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cost_model.numbers import Codec, PlainDigits, Scientific
from cost_model.surrogates.lm.backbones.kv_cache import Shared
from cost_model.surrogates.lm.distribution import Distribution, confidences
from cost_model.surrogates.lm.examples import Prompts
from cost_model.surrogates.lm.grammar import NONE, ROOT, Grammar
from cost_model.surrogates.lm.inference import OPENED, TOGETHER, Reader
from cost_model.surrogates.lm.layout import Layout
from cost_model.views.tokens import IDS
from design.core import Floats
from design.metrics import HLS_METRICS
from tests.cost_model.surrogates.lm.small import designs, prompter, untrained

CODEC = Scientific(3, signed=False)


def some(count: int, seed: int = 0) -> Prompts:
    """Prompts of random designs."""
    return prompter().prompts(designs(count, seed))[0]


def brute_force(prompts: Prompts, codec: Codec, metric: str, tokens: tuple[str, ...]) -> Floats:
    """(tokens,) probability of each token of one number behind those before, with the whole text as one sequence."""
    model, found = untrained().model, []
    design = prompts.designs[0, : prompts.lengths[0]]
    for step, token in enumerate(tokens):
        said = [IDS[metric], *(IDS[t] for t in tokens[:step])]
        text = torch.tensor([[*design.tolist(), *said]])
        places = torch.arange(text.shape[1])[None] + len(prompts.program)
        ahead = torch.ones(1, text.shape[1], len(prompts.program), dtype=torch.bool)
        own = torch.ones(text.shape[1], text.shape[1], dtype=torch.bool).tril()[None]
        with torch.inference_mode():
            memory = model.program(torch.from_numpy(prompts.program))
            states = model.behind(Shared(memory), text, places, torch.cat([ahead, own], dim=2))
            options = codec.allowed(tokens[:step])
            shares = torch.softmax(model.logits(states[0, -1], torch.tensor([IDS[o] for o in options])).double(), 0)
        found.append(float(shares[options.index(token)]))
    return np.array(found)


@pytest.mark.parametrize("codec", [CODEC, PlainDigits(3)], ids=["scientific", "plain"])
def test_shares_are_products(codec: Codec) -> None:
    """A cell's share is the product of its tokens' probabilities, asked one by one without branches or trees."""
    prompts = some(1)
    reader = Reader(untrained().model, Grammar(codec), prompts.program)
    said = reader.read(prompts).metrics["lut"]
    likely = np.argsort(-said.share[0])
    whole = numbers_of(said, codec, 0, prompts.units[0, 1])
    complete = [c for c in likely if c in whole]
    assert len(complete) > 4
    for cell in complete[:3]:
        tokens = whole[cell]
        steps = brute_force(prompts, codec, "lut", tokens)
        assert said.share[0, cell] == pytest.approx(steps.prod(), rel=1e-4)


def numbers_of(said: Distribution, codec: Codec, row: int, unit: float) -> dict[int, tuple[str, ...]]:
    """Cells of a row that are one number, and its tokens."""
    found = {}
    for cell in np.flatnonzero(said.share[row] > 0).tolist():
        low, high = said.low[row, cell] / unit, said.high[row, cell] / unit
        tokens = codec.encode((low + high) / 2)
        if np.allclose(codec.reach(tokens), (low, high), rtol=1e-9, atol=1e-9):
            found[cell] = tokens
    return found


def test_nothing_is_lost() -> None:
    """Shares add up to 1, cells lie apart, and as many are complete as levels let be opened."""
    prompts = some(5)
    reading = Reader(untrained().model, Grammar(CODEC), prompts.program).read(prompts)
    for metric, said in reading.metrics.items():
        np.testing.assert_allclose(said.share.sum(axis=1), 1.0, rtol=1e-9)
        for row, (low, high, share) in enumerate(zip(said.low, said.high, said.share, strict=True)):
            order = np.argsort(low[share > 0])
            assert (low[share > 0][order][1:] >= high[share > 0][order][:-1] * (1 - 1e-12)).all()
            unit = prompts.units[row, HLS_METRICS.index(metric)]
            assert len(numbers_of(said, CODEC, row, unit)) >= 10 * (OPENED[2] - 1)
    assert ((reading.valid > 0) & (reading.valid < 1)).all() and len(np.unique(reading.valid)) == 5


def test_company_makes_no_difference() -> None:
    """Alone, in any batch and order, bit for bit."""
    prompts = some(2 * TOGETHER + 5)
    reader = Reader(untrained().model, Grammar(CODEC), prompts.program)
    every = reader.read(prompts)
    order = np.random.default_rng(0).permutation(len(prompts))
    mixed = reader.read(prompts.take(order))
    fresh = Reader(untrained().model, Grammar(CODEC), prompts.program)
    for metric in HLS_METRICS:
        whole, other = every.metrics[metric].quantiles(np.array([0.3, 0.9])), mixed.metrics[metric]
        assert np.array_equal(other.quantiles(np.array([0.3, 0.9])), whole[order])
        for row in (0, 40, len(prompts) - 1):
            alone = fresh.read(prompts.take(np.array([row])))
            assert np.array_equal(alone.metrics[metric].quantiles(np.array([0.3, 0.9]))[0], whole[row])
            assert alone.valid[0] == every.valid[row]


def test_answers_see_no_other_answer() -> None:
    """The mask lets a branch see the program, its design's real tokens and its own past."""
    layout = Layout(("cycles", "lut"), 3)
    mask = layout.mask(2, np.array([3, 4]), 4)
    assert mask.shape == (2, 4 + 7, 2 + 4 + 7) and mask[:, :, :2].all()
    own = mask[0, 4:, 2:]  # answers' rows over design and answers
    assert own[:, :3].all() and not own[:, 3].any() and mask[1, 4:, 5].all()
    assert np.array_equal(own[:3, 4:7], np.tri(3, dtype=bool)) and not own[:3, 7:].any() and not own[3:6, 4:7].any()
    places = layout.places(2, np.array([3, 4]), 4)
    assert places[0].tolist() == [2, 3, 4, 5, 5, 6, 7, 5, 6, 7, 5] and places[1, 4] == 6


@pytest.mark.parametrize("codec", [CODEC, PlainDigits(2)], ids=["scientific", "plain"])
def test_grammar(codec: Codec) -> None:
    """The table of prefixes is the codec, in whatever order it is asked."""
    grammar = Grammar(codec)
    frontier = np.array([[ROOT]])
    for _ in range(3):
        children = grammar.children(frontier)
        for number, row in zip(frontier.ravel(), children.reshape(-1, children.shape[-1]), strict=True):
            prefix = grammar.prefix(number)
            assert [codec.alphabet[i] for i in np.flatnonzero(row != NONE)] == sorted(
                codec.allowed(prefix), key=codec.alphabet.index
            )
            assert grammar.spans(np.array([number]))[0].tolist() == list(codec.reach(prefix))
        frontier = np.random.default_rng(1).permutation(children[children != NONE])[None, :20]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 9)), min_size=1, max_size=8), st.floats(0.0, 1.0))
def test_quantiles(cells: list[tuple[int, int]], at: float) -> None:
    """Of cells that are points, the least whose share with all below reaches what is asked; and quantiles rise."""
    points = np.array([value for value, _ in cells], dtype=float)
    shares = np.array([weight for _, weight in cells], dtype=float) / sum(weight for _, weight in cells)
    said = Distribution(points[None], points[None], shares[None])
    got = said.quantiles(np.array([at]))[0, 0]
    order = np.argsort(points)
    total = np.cumsum(shares[order])
    low, high = (points[order][min(int((total < max(at + e, 0)).sum()), len(cells) - 1)] for e in (-1e-9, 1e-9))
    assert low - 1e-6 <= got <= high + 1e-6
    rising = said.quantiles(np.linspace(0, 1, 11))[0]
    assert (np.diff(rising) >= -1e-9).all()


def test_inside_a_cell() -> None:
    """The logarithm of 1 + value is uniform there."""
    said = Distribution(np.array([[0.0, 10.0]]), np.array([[9.0, 99.0]]), np.array([[0.5, 0.5]]))
    assert said.quantiles(np.array([0.25]))[0, 0] == pytest.approx(10**0.5 - 1)
    assert list(product(said.quantiles(np.array([0.0, 1.0]))[0])) == [(0.0,), (pytest.approx(99.0),)]


@given(st.integers(0, 10**6), st.integers(2, 60))
def test_confidences(seed: int, cells: int) -> None:
    """Each token's is the part of what begins like those before that goes on so: their product is the number's share,
    and the shares of all that may follow add up to 1."""
    rng = np.random.default_rng(seed)
    edges = np.sort(10 ** rng.uniform(0, 6, cells + 1))
    said = Distribution(edges[None, :-1], edges[None, 1:], rng.dirichlet(np.ones(cells))[None])
    value = float(said.quantiles(np.array([0.5]))[0, 0])
    tokens = CODEC.encode(value)
    told = confidences(CODEC, said, value)
    assert tuple(token for token, _ in told) == tokens
    product_of = float(np.prod([share for _, share in told]))
    assert product_of == pytest.approx(said.between(*CODEC.reach(tokens))[0], rel=1e-9)
    first = [said.between(*CODEC.reach((option,)))[0] for option in CODEC.allowed(())]
    assert sum(first) == pytest.approx(1.0, rel=1e-9)
    drawn = said.quantiles(rng.random(4000))[0]
    low, high = CODEC.reach(tokens[:1])
    assert told[0][1] == pytest.approx(np.mean((drawn >= low) & (drawn < high)), abs=0.05)
