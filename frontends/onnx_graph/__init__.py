"""ONNX -> layers of GEMMs: `read_onnx` reads one decoder layer, a model of several, or any feed-forward graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from design.errors import InputError
from design.nmp.model import Model, model_name
from frontends.onnx_graph.axes import (
    BATCH,
    CONTEXT,
    PAST,
    TOKENS,
    Axes,
    Main,
    Point,
    given_axes,
    main_input,
    points,
    read_axes,
    with_guess,
)
from frontends.onnx_graph.extents import Lengths, read_extents
from frontends.onnx_graph.file import Inference, read_file
from frontends.onnx_graph.flow import multiplications, weight_inputs
from frontends.onnx_graph.graph import Graph
from frontends.onnx_graph.layers import Sized, layer_kinds, places
from frontends.onnx_graph.roles import Roles, find_roles
from frontends.onnx_graph.shapes import shapes_at

__all__ = ["Reading", "read_onnx"]

LONGEST_SHAPE = 16  # of constants that may be shapes


@dataclass(frozen=True)
class Reading:
    """A model, and in a sentence each what was assumed to read it."""

    model: Model
    notes: tuple[str, ...]


def read_onnx(path: Path, axes: Mapping[str, str]) -> Reading:
    """The layers in an ONNX file; `axes` says what its named axes are: batch, tokens, context, past or a number.

    Of weights only shapes are read. Raises InputError for a file that is unreadable, and a graph that is no layer.
    """
    graph = read_file(path)
    weights = weight_inputs(graph)
    known = read_axes(graph, weights, given_axes(axes))
    main = main_input(graph, weights)
    gemms, roles, assumed = _evaluated(graph, weights, known, main)
    kinds, notes = layer_kinds(graph.where, gemms, roles)
    said = path.resolve().parent.name if path.stem == "model" else path.stem  # model.onnx says nothing
    return Reading(Model(model_name(said), kinds), (*assumed, *notes))


@dataclass(frozen=True)
class _Trial:
    """One way to take the axes: what they mean, and fixed lengths that stand for batch or tokens."""

    axes: Axes
    assumed: Mapping[str, int]
    notes: tuple[str, ...]


_Found = tuple[tuple[Sized, ...], Roles, tuple[str, ...]]


def _evaluated(graph: Graph, weights: frozenset[str], axes: Axes, main: Main | None) -> _Found:
    """By the first way that the graph permits. Raises InputError when there is none."""
    inference = Inference(graph.opset)
    error: InputError | None = None
    ways = [axes]
    if axes.has(TOKENS) and axes.has(CONTEXT) and not axes.has(PAST):
        ways.append(axes.without_past())  # a mask as long as the context may be all there is of it
    for trial in (trial for way in ways for trial in _trials(way, main, weights)):
        try:
            return _read(graph, weights, trial, inference)
        except InputError as raised:
            error = raised
    assert error is not None, "there is a way to try"
    raise error


def _trials(axes: Axes, main: Main | None, weights: frozenset[str]) -> Iterator[_Trial]:
    """Where no axis is the batch or the tokens, they are first taken to be axes of the main input, and if the graph
    holds for no other lengths than its own, are found where such lengths must be."""
    missing = [] if main is None else [name for name in (BATCH, TOKENS) if not axes.has(name)]
    missing = [name for name in missing if name == BATCH or (main is not None and TOKENS in main.axis)]
    if not missing or main is None:
        yield _Trial(axes, {}, ())
        return
    lengths = {name: axes.meanings.get((main.value.name, main.axis.get(name, -1))) for name in missing}
    assumed = {name: length if isinstance(length, int) else 1 for name, length in lengths.items()}
    shown = " and ".join(f"{name} {length}" for name, length in assumed.items())
    note = f"no axis is named for it, so input '{main.value.name}' was taken to have {shown}"
    guess = with_guess(axes, main, missing, weights)
    yield _Trial(guess, {name: length for name, length in assumed.items() if not guess.has(name)}, (note,))
    yield _Trial(axes, assumed, (f"{note}; the graph holds for no other lengths, so dimensions were read by value",))


def _read(graph: Graph, weights: frozenset[str], trial: _Trial, inference: Inference) -> _Found:
    """All GEMMs with their roles and extents, which must be the same at two points."""
    found = []
    for point in points(_numbers(graph), 2):
        # Fixed tokens are part of the context as they are.
        at = point._replace(tokens=trial.assumed.get(TOKENS, point.tokens))
        found.append(_at(graph, weights, trial, at, inference))
    (gemms, roles), (others, _) = found
    for gemm, other in zip(gemms, others, strict=False):
        if gemm.extents != other.extents:
            message = "its dimensions are no products of batch, tokens and context"
            raise InputError(f"{graph.where}, GEMM '{gemm.gemm.name}'", message, "lengths without additions")
    return gemms, roles, trial.notes


def _at(
    graph: Graph, weights: frozenset[str], trial: _Trial, point: Point, inference: Inference
) -> tuple[tuple[Sized, ...], Roles]:
    gemms = multiplications(graph, shapes_at(graph, trial.axes, point, inference), weights)
    if not gemms:
        raise InputError(graph.where, "has no GEMM", "a layer with MatMul, Gemm, Einsum or Conv")
    roles = find_roles(gemms)
    lengths = Lengths(point, trial.axes.cached, trial.assumed)
    sized = []
    for gemm, place in zip(gemms, places(gemms, roles), strict=True):
        extents = read_extents(f"{graph.where}, GEMM '{gemm.name}'", gemm.gemm, place, lengths)
        sized.append(Sized(gemm, place, extents))
    return tuple(sized), roles


def _numbers(graph: Graph) -> set[int]:
    """All that can be a factor of a dimension, beside the lengths of named axes."""
    found = {axis for value in graph.inputs for axis in value.axes if isinstance(axis, int)}
    for fact in graph.constants.values():
        found |= set(fact.shape or ())
        # Longer ones are tables to look up in, of all numbers there are.
        if fact.value is not None and fact.value.dtype.kind in "iu" and fact.value.size <= LONGEST_SHAPE:
            found |= {int(number) for number in fact.value.ravel()}
    for node in graph.nodes:
        for attribute in node.attributes.values():
            found |= {attribute} if isinstance(attribute, int) else set()
            found |= set(attribute) if isinstance(attribute, tuple) else set()
    return found
