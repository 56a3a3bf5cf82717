"""What each GEMM is for, from what reaches what and how wide it is; names of tensors and weights say nothing.

Attention is two products of activations with a softmax between; everything else is told by its place around them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from design.nmp.workload import ATTENTION, FFN, PROJECTION
from frontends.onnx_graph.flow import SOFTMAX, Multiplication

KINDS = {
    **dict.fromkeys(("q", "k", "v", "qkv"), PROJECTION),
    **dict.fromkeys(("qk", "sv"), ATTENTION),
    "o": PROJECTION,
    **dict.fromkeys(("f1", "f3", "f13", "f2"), FFN),
}  # in the order of a layer
NONLINEAR = {"Sigmoid", "Tanh", "Erf", "Gelu", "Relu", "LeakyRelu", "PRelu", "Elu", "Celu", "Selu", "Mish", "Swish",
             "HardSigmoid", "HardSwish", "Softplus", "Softsign", "ThresholdedRelu", "Clip", "Exp"}  # fmt: skip


@dataclass(frozen=True)
class Block:
    """One layer, by the places of its GEMMs: `names` of those whose role is known, `others` that are in it as well.

    `scores` and `values` are None for a graph without attention.
    """

    scores: int | None
    values: int | None
    names: Mapping[int, str]
    others: tuple[int, ...] = ()

    @property
    def members(self) -> tuple[int, ...]:
        """All places: in the order of a layer where all roles are known, else as they run."""
        places = sorted({*self.names, *self.others})
        return tuple(places if self.others else sorted(places, key=lambda place: list(KINDS).index(self.names[place])))


@dataclass(frozen=True)
class Roles:
    """Layers in the order in which they run, the output head, and what is in no layer."""

    blocks: tuple[Block, ...]
    head: int | None = None
    outside: tuple[int, ...] = ()


def find_roles(gemms: Sequence[Multiplication]) -> Roles:
    """Of all GEMMs of a graph."""
    blocks = _attention_blocks(gemms)
    if not blocks:
        everything = tuple(range(len(gemms)))
        names = _feed_forward(gemms, everything)
        return Roles((Block(None, None, names, () if names else everything),))
    members = _assigned(gemms, blocks)
    head = _head(gemms, blocks, members)
    whole = []
    for block, others in zip(blocks, members, strict=True):
        rest = tuple(place for place in others if place != head)
        names = _feed_forward(gemms, rest)
        whole.append(Block(block.scores, block.values, {**block.names, **names}, () if names else rest))
    inside = {place for block in whole for place in block.members} | {head}
    return Roles(tuple(whole), head, tuple(place for place in range(len(gemms)) if place not in inside))


def _attention_blocks(gemms: Sequence[Multiplication]) -> list[Block]:
    """Scores and the values that they weigh, with the projections around them."""
    found: list[Block] = []
    taken: set[int] = set()
    for values, gemm in enumerate(gemms):
        if gemm.weights:
            continue
        for scaled, other in ((gemm.left, gemm.right), (gemm.right, gemm.left)):
            scores = [
                s for s, passed in scaled.items() if SOFTMAX in passed and not gemms[s].weights and s not in other
            ]
            if len(scores) == 1 and scores[0] not in taken:
                taken.add(scores[0])
                around = _projections(gemms, scores[0], values, frozenset(other))
                # Keys and values that several layers share are computed in the first of them.
                names = {place: name for place, name in around.items() if place not in taken}
                taken.update((*names, values))
                found.append(Block(scores[0], values, names | {scores[0]: "qk", values: "sv"}))
                break
    return found


def _projections(
    gemms: Sequence[Multiplication], scores: int, values: int, value_side: frozenset[int]
) -> dict[int, str]:
    """The GEMMs of weights that give queries, keys and values and take the result."""
    names: dict[int, str] = {}
    after = [place for place, gemm in enumerate(gemms) if gemm.weights and values in gemm.sources]
    if len(after) == 1:
        names[after[0]] = "o"
    # What other weights wait for as well does more than one thing.
    shared = {source for place, gemm in enumerate(gemms) if gemm.weights and place not in after
              for source in gemm.sources}  # fmt: skip
    sides = [frozenset(side) for side in (gemms[scores].left, gemms[scores].right, value_side)]
    q, k, v = ([place for place in side if gemms[place].weights] for side in sides)
    if len(q) == len(k) == len(v) == 1 and len({*q, *k, *v}) != 2:
        projections = {q[0]: "qkv"} if q == k else {q[0]: "q", k[0]: "k", v[0]: "v"}
        names |= {place: name for place, name in projections.items() if place not in shared}
    return names


def _assigned(gemms: Sequence[Multiplication], blocks: Sequence[Block]) -> list[list[int]]:
    """For each block the further GEMMs that belong to it.

    One that waits for just what the block's queries wait for runs beside the attention; any other is in the latest
    block of those it waits for.
    """
    owner = {place: number for number, block in enumerate(blocks) for place in block.names}
    begins: dict[frozenset[int], int] = {}
    for number, block in enumerate(blocks):
        for place, name in block.names.items():
            if name in ("q", "qkv"):
                begins.setdefault(gemms[place].sources, number)
    members: list[list[int]] = [[] for _ in blocks]
    for place, gemm in enumerate(gemms):
        if place in owner:
            continue
        number = begins.get(gemm.sources, max((owner.get(source, -1) for source in gemm.sources), default=-1))
        if number >= 0:
            owner[place] = number
            members[number].append(place)
    return members


def _head(gemms: Sequence[Multiplication], blocks: Sequence[Block], members: Sequence[Sequence[int]]) -> int | None:
    """The output head: a last GEMM that nothing waits for, without which the last layer is like any other."""
    rest = members[-1]
    awaited = {source for gemm in gemms for source in gemm.sources}
    last = [place for place in rest if place not in awaited and gemms[place].weights]
    if _feed_forward(gemms, rest) or not last:
        return None
    others = [place for place in rest if place != last[-1]]
    return last[-1] if _feed_forward(gemms, others) else None


def _feed_forward(gemms: Sequence[Multiplication], places: Sequence[int]) -> dict[int, str]:
    """Names of the GEMMs, if they are one feed-forward network and nothing else."""
    if len(places) not in (2, 3) or not all(gemms[place].weights for place in places):
        return {}
    *ups, down = sorted(places)
    if gemms[down].sources != set(ups) or any(gemms[up].sources & set(places) for up in ups):
        return {}
    widths, wanted = [gemms[up].gemm.N for up in ups], gemms[down].gemm.K
    if len(ups) == 1:
        names = {wanted: "f1", 2 * wanted: "f13"}
        return {ups[0]: names[widths[0]], down: "f2"} if widths[0] in names else {}
    if widths != [wanted, wanted] or not all("Mul" in gemms[down].left[up] for up in ups):
        return {}
    # The gate goes through the activation function; with none, or two, the first is as good as the other.
    gates = [up for up in ups if gemms[down].left[up] & NONLINEAR]
    gate = gates[0] if gates else ups[0]
    other = next(up for up in ups if up != gate)
    return {gate: "f1", other: "f3", down: "f2"}
