"""A model as layers in a row: every operator a batched GEMM, its dimensions in terms of batch, tokens and context.

A front-end makes a `Model` of a file from outside; `design/nmp/lowering.py` makes a workload of it, for one use.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from design.errors import InputError
from design.nmp.workload import ATTENTION, FFN, PROJECTION

KINDS = (PROJECTION, ATTENTION, FFN)
EXPECTED, WORST = LOADS = ("expected", "worst")  # how many experts a call wakes; see `Usage`
LARGEST = 2**31  # of any single dimension
LAYER = "layer"  # the kind of a model with one kind of layer
HEAD = "head"  # the kind of the output head, which is no layer
LONGEST_NAME = 60  # letters
VARIABLES = ("batch", "tokens", "context")


def model_name(*said: str) -> str:
    """The first of the texts that a name can be made of; one that does as the name of a folder too."""
    for text in said:
        if name := re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:LONGEST_NAME].strip("-._"):
            return name
    return "model"


@dataclass(frozen=True)
class Extent:
    """A dimension: `size`, times the sequences at once, the tokens of a call, or all tokens that these may attend to.

    A call of prefill has the prompt's tokens (or a chunk's), a step of decode one.
    """

    size: int = 1
    batch: bool = False
    tokens: bool = False
    context: bool = False

    def at(self, batch: int, tokens: int, context: int) -> int:
        """Its value."""
        return (
            self.size * (batch if self.batch else 1) * (tokens if self.tokens else 1) * (context if self.context else 1)
        )

    def __str__(self) -> str:
        """Such as `4096`, `batch*tokens` or `8*batch`; `read` takes it back."""
        names = [name for name in VARIABLES if getattr(self, name)]
        return "*".join([str(self.size)] * (self.size != 1 or not names) + names)

    @staticmethod
    def read(where: str, text: str) -> Extent:
        """From its text. Raises InputError."""
        parts = text.split("*")
        names = parts if parts[0] in VARIABLES else parts[1:]
        number = "1" if parts[0] in VARIABLES else parts[0]
        if not re.fullmatch(r"\d{1,10}", number) or not 1 <= int(number) <= LARGEST:
            raise InputError(where, f"'{text[:40]}'", f"1 to {LARGEST}, times batch, tokens or context: 8*batch*tokens")
        if len(set(names)) < len(names) or not set(names) <= set(VARIABLES):
            raise InputError(where, f"'{text[:40]}'", "a number times batch, tokens or context, each at most once")
        return Extent(int(number), *(name in names for name in VARIABLES))


class Extents(NamedTuple):
    """`B` times (M, K) . (K, N)."""

    B: Extent
    M: Extent
    N: Extent
    K: Extent


ROWS = Extent(batch=True, tokens=True)  # all tokens of a call


def dense(n: int, k: int) -> Extents:
    """All tokens through one (k, n) matrix of weights."""
    return Extents(Extent(), ROWS, Extent(n), Extent(k))


class Experts(NamedTuple):
    """A mixture: `chosen` of `total` weight matrices for each token."""

    total: int
    chosen: int


@dataclass(frozen=True)
class LayerOperator:
    """One operator of a layer.

    It keeps `weights` elements, or `cache` elements for every token and sequence in the key-value cache (for both:
    of one layer), or neither. With a `window`, a token attends to that many tokens at most, itself included. With
    `experts`, B is 1 and M counts the rows that are shared out; each goes through `chosen` of the (K, N) matrices.
    """

    name: str
    kind: str
    prefill: Extents
    decode: Extents
    weights: int = 0
    cache: int = 0
    window: int | None = None
    experts: Experts | None = None

    def seen(self, context: int, tokens: int = 1) -> int:
        """Of so many tokens of context, those that the last `tokens` of them attend to together."""
        return context if self.window is None else min(context, self.window - 1 + tokens)


def weight_operator(name: str, kind: str, n: int, k: int, experts: Experts | None = None) -> LayerOperator:
    """All tokens through a (k, n) matrix of weights, or each through some of several."""
    extents = dense(n, k)
    weights = n * k * (experts.total if experts else 1)
    return LayerOperator(name, kind, extents, extents, weights=weights, experts=experts)


def attention_operators(
    q_heads: int, kv_heads: int, qk_width: int, v_width: int, window: int | None = None
) -> tuple[LayerOperator, LayerOperator]:
    """`qk` and `sv`: grouped-query attention, one GEMM for each sequence and key-value head; the query heads that
    share one are its rows. Widths are of one head."""
    B, M, C = Extent(kv_heads, batch=True), Extent(q_heads // kv_heads, tokens=True), Extent(context=True)
    scores, values = Extents(B, M, C, Extent(qk_width)), Extents(B, M, Extent(v_width), C)
    return (
        LayerOperator("qk", ATTENTION, scores, scores, cache=kv_heads * qk_width, window=window),
        LayerOperator("sv", ATTENTION, values, values, cache=kv_heads * v_width, window=window),
    )


@dataclass(frozen=True)
class LayerKind:
    """Layers of one kind, of which the model has `count`. `edges` are (producer, consumer) places in `operators`."""

    name: str
    count: int
    operators: tuple[LayerOperator, ...]
    edges: tuple[tuple[int, int], ...]


class Embedding(NamedTuple):
    """A table of `rows` vectors of `width` elements; `tied`: the output head's weights are the same ones."""

    rows: int
    width: int
    tied: bool


@dataclass(frozen=True)
class Model:
    """Kinds of layers, in the order in which they first come; the output head, where it is accounted for, is a kind
    of its own, `HEAD`, and an `embedding` that is not tied to it lies in memory beside it."""

    name: str
    kinds: tuple[LayerKind, ...]
    embedding: Embedding | None = None
