"""Models of a few operators."""

from __future__ import annotations

from design.nmp.model import LayerKind, Model, attention_operators, weight_operator
from design.nmp.workload import PROJECTION


def layer(name: str, count: int, width: int = 32, window: int | None = None) -> LayerKind:
    """Projections of queries and keys, and their scores."""
    qk, _ = attention_operators(8, 2, width // 8, width // 8, window)
    q, k = weight_operator("q", PROJECTION, width, width), weight_operator("k", PROJECTION, width // 4, width)
    return LayerKind(name, count, (q, k, qk), ((0, 2), (1, 2)))


def model(first: int, second: int) -> Model:
    """So many layers of one kind and of another that is like it but for its window."""
    return Model("small", (layer("one", first), layer("two", second)))
