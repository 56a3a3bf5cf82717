"""From the GEMMs of a graph, their roles and extents to the layers of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from design.errors import InputError
from design.nmp.model import HEAD, LAYER, Extents, LayerKind, LayerOperator
from design.nmp.workload import ATTENTION, MOST_OPERATORS, PROJECTION
from frontends.onnx_graph.extents import OTHER, SCORES, VALUES, WEIGHTS, grouped
from frontends.onnx_graph.flow import Multiplication
from frontends.onnx_graph.roles import KINDS, Block, Roles

Edges = tuple[tuple[int, int], ...]


class Sized(NamedTuple):
    """A GEMM, which of the places of `extents.py` it has, and its extents."""

    gemm: Multiplication
    place: str
    extents: Extents


def places(gemms: Sequence[Multiplication], roles: Roles) -> tuple[str, ...]:
    """Of each GEMM: whether it has weights, or is one of the two of attention, or some other product."""
    found = [WEIGHTS if gemm.weights else OTHER for gemm in gemms]
    for block in roles.blocks:
        if block.scores is not None and block.values is not None:
            found[block.scores], found[block.values] = SCORES, VALUES
    return tuple(found)


def layer_kinds(where: str, gemms: Sequence[Sized], roles: Roles) -> tuple[tuple[LayerKind, ...], tuple[str, ...]]:
    """Layers that are alike are one kind. Also notes on what has no role.

    Raises InputError for more operators than a layer may have.
    """
    gemms = _regrouped(gemms, roles)
    counted: dict[tuple[tuple[LayerOperator, ...], Edges], int] = {}
    notes: dict[str, None] = {}
    for block in _whole(len(gemms), roles):
        layer = _layer(where, gemms, block)
        counted[layer] = counted.get(layer, 0) + 1
        if block.others:
            shown = ", ".join(f"{name} ({gemms[place].gemm.name})" for place, name in _generic(block).items())
            notes[f"no role was found for {shown}"] = None
    kinds = [
        LayerKind(LAYER if len(counted) == 1 else f"{LAYER}{number}", count, operators, edges)
        for number, ((operators, edges), count) in enumerate(counted.items(), 1)
    ]
    if roles.head is not None:
        kinds.append(LayerKind(HEAD, 1, (_head(gemms[roles.head]),), ()))
        notes["the output head is asked for the last token of the prompt only"] = None
    return tuple(kinds), tuple(notes)


def _whole(count: int, roles: Roles) -> tuple[Block, ...]:
    """The layers; where they cannot be told apart, all there is as one."""
    blocks = roles.blocks
    if not roles.outside and (len(blocks) == 1 or not any(block.others for block in blocks)):
        return blocks
    names = blocks[0].names if len(blocks) == 1 else {}
    others = tuple(place for place in range(count) if place not in names and place != roles.head)
    return (Block(None, None, names, others),)


def _layer(where: str, gemms: Sequence[Sized], block: Block) -> tuple[tuple[LayerOperator, ...], Edges]:
    members = block.members
    if len(members) > MOST_OPERATORS:
        found = f"{len(members)} operators in what seems to be one layer"
        raise InputError(where, found, f"at most {MOST_OPERATORS}; export one layer of the model")
    names = {**block.names, **_generic(block)}
    position = {place: number for number, place in enumerate(members)}
    edges = {(position[a], position[b]) for b in members for a in gemms[b].gemm.sources if a in position}
    return tuple(_operator(names[place], gemms[place]) for place in members), tuple(sorted(edges))


def _generic(block: Block) -> dict[int, str]:
    """Names of what has no role."""
    return {place: f"g{number}" for number, place in enumerate(sorted(block.others))}


def _operator(name: str, sized: Sized) -> LayerOperator:
    extents, weights = sized.extents, sized.gemm.weights
    B, _, N, K = (extent.size for extent in extents)
    kind = KINDS.get(name, PROJECTION if weights else ATTENTION)
    cache = {SCORES: B * K, VALUES: B * N}.get(sized.place, 0)
    return LayerOperator(name, kind, extents, extents, weights=B * N * K if weights else 0, cache=cache)


def _head(sized: Sized) -> LayerOperator:
    """The output head: whatever the graph computes, a prompt's next token is all that is wanted of it."""
    head = _operator("lm_head", sized)
    return replace(head, prefill=head.prefill._replace(M=replace(head.prefill.M, tokens=False)))


def _regrouped(gemms: Sequence[Sized], roles: Roles) -> tuple[Sized, ...]:
    """With as many GEMMs of attention as there are key-value heads, which the widths of the projections tell."""
    found = list(gemms)
    for block in roles.blocks:
        if block.scores is None or block.values is None:
            continue
        scores, values = gemms[block.scores].extents, gemms[block.values].extents
        width, v_width = scores.K.size, values.N.size
        widths = {name: gemms[place].gemm.gemm.N for place, name in block.names.items()}
        kv_heads = 0
        if "k" in widths and widths["k"] % width == 0 and widths["k"] * v_width == widths.get("v", 0) * width:
            kv_heads = widths["k"] // width
        elif "qkv" in widths:
            kept = widths["qkv"] - scores.B.size * scores.M.size * width
            kv_heads = kept // (width + v_width) if kept > 0 and kept % (width + v_width) == 0 else 0
        for place, extents in ((block.scores, scores), (block.values, values)):
            found[place] = found[place]._replace(extents=grouped(extents, kv_heads))
    return tuple(found)
