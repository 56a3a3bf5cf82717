"""From dimensions at some lengths to what batch, tokens and context contribute to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from design.errors import InputError
from design.nmp.model import Extent, Extents
from design.nmp.workload import Gemm
from frontends.onnx_graph.axes import BATCH, TOKENS, Point

SCORES, VALUES, WEIGHTS, OTHER = PLACES = ("scores", "values", "weights", "other")
ONE = Extent(context=True)


@dataclass(frozen=True)
class Lengths:
    """How to read a dimension: `point` has the lengths that it was evaluated at. Those in `assumed` are of axes that
    the graph has fixed, and are found by where they must be. Without a `cached` past the context is the tokens."""

    point: Point
    cached: bool
    assumed: Mapping[str, int]

    def read(self, value: int) -> Extent:
        """What divides the value."""
        extent, size = Extent(), value
        for name, length in zip(("batch", "tokens", "context"), self.point, strict=True):
            if name not in self.assumed and (name != "context" or self.cached) and size % length == 0:
                extent, size = replace(extent, size=size // length, **{name: True}), size // length
        return replace(extent, size=size)

    def share(self, extent: Extent, name: str) -> Extent:
        """With an assumed length as a factor; the same where it is none."""
        length = self.assumed.get(name)
        if length is None or getattr(extent, name) or extent.size % length:
            return extent
        return replace(extent, size=extent.size // length, **{name: True})


def read_extents(where: str, gemm: Gemm, place: str, lengths: Lengths) -> Extents:
    """Of a GEMM in one of `PLACES`. Raises InputError where they are no product of batch, tokens and context, or
    one that costs cannot be stated for."""
    if min(gemm) < 1:
        raise InputError(where, f"B x M x N x K is {' x '.join(map(str, gemm))}", "no empty dimension")
    B, M, N, K = (lengths.read(value) for value in gemm)
    if place == WEIGHTS:
        M = lengths.share(M, BATCH) if M.context else lengths.share(lengths.share(M, BATCH), TOKENS)
    else:
        B, M = lengths.share(B, BATCH), lengths.share(M, TOKENS)
        N, K = _context(place, N, K, lengths)
    found = Extents(B, M, N, K)
    shown = " x ".join(map(str, found))
    if found.M.context or found.B.context or any(e.context and e != ONE for e in found) or (N.context and K.context):
        raise InputError(where, f"B x M x N x K is {shown}", "the context alone, as N or K of a product of activations")
    expected = {
        SCORES: found.N == ONE and _fixed(found.K),
        VALUES: found.K == ONE and _fixed(found.N),
        WEIGHTS: _fixed(found.N) and _fixed(found.K),
        OTHER: True,
    }[place] and not (place in (SCORES, VALUES) and (found.B.tokens or found.M.batch))
    if not expected:
        form = "heads of sequences as B, tokens as M" if place != WEIGHTS else "weights whose shape is fixed"
        raise InputError(where, f"B x M x N x K is {shown}", f"{form}; export with its axes dynamic")
    return found


def _context(place: str, columns: Extent, depth: Extent, lengths: Lengths) -> tuple[Extent, Extent]:
    """Which of N and K is the context: keys are columns of the scores, and values are summed over."""
    if lengths.cached:
        return columns, depth
    fixed = lengths.assumed.get(TOKENS)
    alone = Extent(tokens=True) if fixed is None else Extent(fixed)
    if place == OTHER and (columns == alone) == (depth == alone):
        return columns, depth
    if place == SCORES or (place == OTHER and columns == alone):
        return (ONE if columns == alone or (fixed is not None and _fixed(columns)) else columns), depth
    return columns, (ONE if depth == alone or (fixed is not None and _fixed(depth)) else depth)


def _fixed(extent: Extent) -> bool:
    return extent == Extent(extent.size)


def grouped(extents: Extents, kv_heads: int) -> Extents:
    """With the query heads that share a key-value head as rows of one GEMM; as it is where that does not divide."""
    share, left = divmod(extents.B.size, kv_heads) if kv_heads else (0, 1)
    if left or not share:
        return extents
    B, M = replace(extents.B, size=kv_heads), replace(extents.M, size=extents.M.size * share)
    return extents._replace(B=B, M=M)
