"""A workload: the operators of one layer as batched GEMMs, and what depends on what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from design.core import Ints
from design.errors import InputError

PROJECTION, FFN, ATTENTION = "projection", "ffn", "attention"
MOST_OPERATORS = 62  # a set of operators is one 64-bit word
MOST_MACS = 2**53  # a larger count is no longer exact in a float64


class Gemm(NamedTuple):
    """`B` times (M, K) . (K, N)."""

    B: int
    M: int
    N: int
    K: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the whole operator."""
        return self.B * self.M * self.N * self.K


class Call(NamedTuple):
    """A GEMM and how often it is done."""

    gemm: Gemm
    times: float = 1.0


def once(gemm: Gemm) -> tuple[Call, ...]:
    """A single GEMM as the calls of a prefill."""
    return (Call(gemm),)


@dataclass(frozen=True)
class Operator:
    """One operator of a layer in both phases. Prefill may take several GEMMs, decode is a step of one.

    `stored_bytes` is what it keeps in memory over all layers: weights, or its share of the key-value cache.
    A mixed operator is cut over GEMMs of its batch (B > 1) or columns (B = 1) in whole multiples of `granule`.
    `decode` is stated at the final context; `context_axis` says which of its dimensions that is: "N", "K" or none;
    it grows no further than `most_context`. `longer` of its B GEMMs have one row more than M: their cost is the mean,
    wherever they run. It is done `decode_share` times for each token that is generated.
    """

    name: str
    kind: str
    prefill: tuple[Call, ...]
    decode: Gemm
    stored_bytes: float
    granule: int = 1
    context_axis: str = ""
    most_context: int | None = None
    longer: int = 0
    decode_share: float = 1.0

    @property
    def extent(self) -> int:
        """Length of the dimension that a cut divides: B where it is a batch, else N."""
        return self.decode.B if self.decode.B > 1 else self.decode.N

    @property
    def steps(self) -> int:
        """A cut gives 1 .. steps-1 granules to one side."""
        return self.extent // self.granule

    def decode_at(self, context: int) -> Gemm:
        """The decode GEMM when the context has that many tokens."""
        if not self.context_axis:
            return self.decode
        seen = context if self.most_context is None else min(context, self.most_context)
        return self.decode._replace(**{self.context_axis: seen})


class Section(NamedTuple):
    """`operators` that stand together in a workload: one layer of a kind that the model has `layers` of."""

    name: str
    layers: int
    operators: int


@dataclass(frozen=True)
class Workload:
    """One layer of a model in use: `generated` tokens after `prompt` ones, `batch` sequences at once.

    The model has `layers` such layers; its context never exceeds `max_context` (None: no limit).
    `edges` are (producer, consumer) operator numbers. `sections` part the operators by kind of layer, each of which
    depends on all of the one before; none: they are all of one kind. Raises InputError when the edges are not a
    directed acyclic graph over the operators, or an operator cannot be computed with exactly.
    """

    name: str
    operators: tuple[Operator, ...]
    edges: tuple[tuple[int, int], ...]
    batch: int
    generated: int
    bytes_per_element: float
    layers: int = 1
    prompt: int = 0
    max_context: int | None = None
    sections: tuple[Section, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= len(self.operators) <= MOST_OPERATORS:
            raise InputError(
                self.name,
                f"has {len(self.operators)} operators",
                f"1 to {MOST_OPERATORS} in one layer of each kind, draft included",
            )
        for op in self.operators:
            for phase, gemm in (*(("prefill", call.gemm) for call in op.prefill), ("decode", op.decode)):
                if min(gemm) < 1 or gemm.macs > MOST_MACS:
                    shape = " x ".join(map(str, gemm))
                    expected = f"positive dimensions and at most {MOST_MACS} multiply-accumulates"
                    raise InputError(f"{self.name}, operator {op.name}", f"{phase} GEMM is {shape}", expected)
            if op.granule < 1 or op.extent % op.granule:
                found = f"cuts in multiples of {op.granule} do not divide its {op.extent}"
                raise InputError(f"{self.name}, operator {op.name}", found, "a divisor")
        self.order()

    def order(self) -> tuple[int, ...]:
        """Operator numbers in dependency order, smallest number first where there is a choice."""
        waiting = {i: set(self.producers(i)) for i in range(len(self.operators))}
        done: list[int] = []
        while waiting:
            ready = [i for i, needs in waiting.items() if not needs - set(done)]
            if not ready:
                names = ", ".join(self.operators[i].name for i in waiting)
                raise InputError(self.name, f"operators {names} wait for each other in a cycle", "no cycle")
            done.append(ready[0])
            del waiting[ready[0]]
        return tuple(done)

    def producers(self, consumer: int) -> tuple[int, ...]:
        """Operators that `consumer` directly depends on."""
        return tuple(sorted({a for a, b in self.edges if b == consumer}))

    def contexts(self, nodes: int) -> tuple[tuple[int, int], ...]:
        """(context, decode steps) of at most `nodes` runs of steps, as even as can be, that make up the decode.

        Step t sees `prompt` + t tokens; a run is represented by its mean context, rounded half up.
        """
        longest = self.max_context or self.prompt + self.generated
        count = min(nodes, self.generated)
        found, last = [], 0
        for run in range(count):
            first, last = last + 1, last + self.generated // count + (run < self.generated % count)
            # Steps `first` to `last`; those beyond `grown` see a context that grows no more.
            grown = min(max(longest - self.prompt, first - 1), last)
            total = (grown - first + 1) * (2 * self.prompt + first + grown) // 2 + (last - grown) * longest
            steps = last - first + 1
            found.append(((2 * total + steps) // (2 * steps), steps))
        return tuple(found)

    def decode_gemms(self) -> tuple[Ints, Ints, Ints, Ints]:
        """B, M, N, K of the decode at the final context, each of shape (operators,)."""
        table = np.array([op.decode for op in self.operators], dtype=np.int64)
        return table[:, 0], table[:, 1], table[:, 2], table[:, 3]
