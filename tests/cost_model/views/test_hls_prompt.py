"""Prompts as models read them: golden texts, one token a digit, names that say nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.hls.constants import HlsConstants
from cost_model.hls.estimator import Estimator
from cost_model.views.hls import VERSION
from cost_model.views.hls.design import design_tokens
from cost_model.views.hls.program import program_text
from cost_model.views.tokens import IDS, PAD, VOCABULARY, WORD, encode, split
from design.hls.design import TARGETS
from design.hls.loop_nest import Kernel
from frontends.c_kernel import parse_kernel, read_kernel
from tests.cases import ROOT
from tests.cost_model.hls.test_fit import random_columns

GOLDEN = Path(__file__).parent / "golden"
KERNELS = ("gemm", "fir", "lu")


def shipped(name: str) -> Kernel:
    """A kernel of the repository."""
    return read_kernel(ROOT / "config" / "kernels" / f"{name}.c")


@pytest.mark.parametrize("name", KERNELS)
def test_prompts(name: str, golden: Callable[[Path, str], None]) -> None:
    """The program, and a few designs behind it. A text that changes needs another prompt version."""
    kernel = shipped(name)
    columns = random_columns(kernel, 4, 1)
    estimate = Estimator(kernel, HlsConstants()).estimate(columns)
    tokens, lengths = design_tokens(kernel, TARGETS["v20"], columns, estimate)
    designs = [" ".join(VOCABULARY[t] for t in row[:n]) for row, n in zip(tokens, lengths, strict=True)]
    text = f"version {VERSION}\n{program_text(kernel)}" + "\n".join(designs) + "\n"
    golden(GOLDEN / f"{name}.txt", text)


@pytest.mark.parametrize("name", KERNELS)
def test_names_say_nothing(name: str) -> None:
    """A kernel with other names, comments and layout has the same prompt."""
    source = shipped(name).source
    swapped = re.sub(r"\b([a-d]|total|row|column|sum|acc)\b", lambda m: f"other_{m[1]}", re.sub(r"//.*", "", source))
    assert swapped != source
    assert program_text(parse_kernel(swapped, "swapped.c")) == program_text(shipped(name))


@given(st.integers(0, 10**12))
def test_a_digit_is_a_token(value: int) -> None:
    assert split(f"tile {value};") == ["tile", *str(value), ";"]


def test_vocabulary() -> None:
    """Each token once; what is not in it is <word>, never an error."""
    assert len(set(VOCABULARY)) == len(VOCABULARY) == len(IDS)
    assert split("loop L3 frobnicate add.f64 L99") == ["loop", "L3", WORD, "add.f64", WORD]
    assert encode("").shape == (0,)


@pytest.mark.parametrize("name", KERNELS)
def test_nothing_shipped_is_unknown(name: str) -> None:
    assert WORD not in split(program_text(shipped(name)))


def test_rows_do_not_depend_on_company() -> None:
    """A design's tokens and the table's width are the same alone and among others; padding comes last."""
    kernel = shipped("gemm")
    columns = random_columns(kernel, 30, 2)
    estimate = Estimator(kernel, HlsConstants()).estimate(columns)
    tokens, lengths = design_tokens(kernel, TARGETS["v18"], columns, estimate)
    assert len(set(lengths.tolist())) > 1
    for row in range(30):
        part = slice(row, row + 1)
        alone, length = design_tokens(
            kernel,
            TARGETS["v18"],
            {name: values[part] for name, values in columns.items()},
            {name: values[part] for name, values in estimate.items()},
        )
        assert np.array_equal(alone[0], tokens[row]) and length[0] == lengths[row]
        assert (tokens[row, lengths[row] :] == IDS[PAD]).all() and (tokens[row, : lengths[row]] != IDS[PAD]).all()
