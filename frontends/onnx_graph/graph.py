"""An ONNX graph as plain data: what the rest of this package reads instead of protocol buffers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from numpy.typing import NDArray

Attribute = int | str | tuple[int, ...]


class Fact(NamedTuple):
    """What is known of a tensor: its element type (as ONNX numbers them), its shape, and its value if that is small."""

    element: int
    shape: tuple[int, ...] | None
    value: NDArray[Any] | None = None


@dataclass(frozen=True)
class Node:
    """One operation. An input that is left out is the empty name; `captured` names what subgraphs take from outside.

    `attributes` are those that are whole numbers or text; `proto` is all of it, for the library, with inputs called
    i0, i1, ... and outputs o0, o1, ...
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]
    captured: tuple[str, ...]
    proto: bytes

    @property
    def reads(self) -> tuple[str, ...]:
        """All tensors that it needs."""
        return tuple(name for name in (*self.inputs, *self.captured) if name)


class Input(NamedTuple):
    """An input of the graph; an axis is a length, or a name, empty where it has none."""

    name: str
    element: int
    axes: tuple[int | str, ...]

    @property
    def fixed(self) -> bool:
        """Whether all of its lengths are given."""
        return all(isinstance(axis, int) for axis in self.axes)


@dataclass(frozen=True)
class Graph:
    """Nodes in an order in which they can run; `constants` are the tensors that the file gives, by name.

    `where` is what errors call the file, `opset` the version of the standard operators.
    """

    where: str
    opset: int
    inputs: tuple[Input, ...]
    constants: Mapping[str, Fact]
    nodes: tuple[Node, ...]
