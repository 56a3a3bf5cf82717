"""ONNX files -> plain graphs, and what one node makes of what is known. The only file that needs the `onnx` library.

No large tensor is ever loaded: of weights, only shapes are wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from design.errors import InputError
from frontends.onnx_graph.graph import Attribute, Fact, Graph, Input, Node
from frontends.onnx_graph.nested import all_nodes, captured, subgraphs, take_branch
from frontends.onnx_graph.order import ordered

LARGEST_FILE = 2**31  # bytes: no protocol buffer can be larger
MOST_ELEMENTS = 4096  # of a tensor whose value is looked at: shapes, axes and positions are far smaller
PLAIN = "biuf"  # kinds of element that values are kept of
MOST_NODES = 2**15
STANDARD = ("", "ai.onnx")
PRODUCTS = {"Gemm", "MatMul", "MatMulInteger", "QLinearMatMul", "Einsum", "Conv", "Attention"}
CONTROL = ("If", "Loop", "Scan", "SequenceMap")
EXPECTED = "an ONNX model; export it with torch.onnx.export"


def read_file(path: Path) -> Graph:
    """The graph in an ONNX file, its local functions inlined. Raises InputError for a file that cannot be used."""
    model = _inlined(_loaded(path), str(path))
    graph = model.graph
    _refuse(model, path)
    constants = {tensor.name: _constant(tensor, path) for tensor in graph.initializer}
    constants |= {tensor.values.name: Fact(tensor.values.data_type, tuple(tensor.dims))
                  for tensor in graph.sparse_initializer}  # fmt: skip
    inputs = [_input(str(path), value) for value in graph.input if value.name not in constants]
    nodes = []
    for number, proto in enumerate(graph.node):
        given = [attribute.t for attribute in proto.attribute if attribute.name == "value"]
        if proto.op_type == "Constant" and given and proto.output:
            constants[proto.output[0]] = _constant(given[0], path)
        else:
            nodes.append(_node(number, proto))
    made = {name for node in nodes for name in node.outputs}
    absent = {name for node in nodes for name in node.reads} - made - {value.name for value in inputs} - set(constants)
    # Exporters that leave weights out of the file may still say what shapes they have.
    left_out = [_input(str(path), value) for value in graph.value_info if value.name in absent]
    inputs += [value for value in left_out if value.fixed]
    names = {value.name for value in inputs} | set(constants)
    return Graph(str(path), _opset(model), tuple(inputs), constants, ordered(str(path), nodes, names))


def _loaded(path: Path) -> Any:
    import onnx

    try:
        size = path.stat().st_size
        if size >= LARGEST_FILE:
            raise InputError(str(path), f"{size} bytes", f"less than {LARGEST_FILE}, with weights as external data")
        content = path.read_bytes()
    except OSError as error:
        raise InputError.unreadable(str(path), error, EXPECTED) from None
    if not content:
        raise InputError(str(path), "is empty", EXPECTED)
    try:
        model = onnx.load_model_from_string(content)
    except Exception:  # of a library below, and not the same in all of its versions
        raise InputError(str(path), "is not ONNX, or is truncated", EXPECTED) from None
    if not (model.ir_version and model.opset_import and model.graph.node):
        raise InputError(str(path), "is not ONNX, or is truncated: it has no graph of operators", EXPECTED)
    return model


def _inlined(model: Any, where: str) -> Any:
    import onnx.inliner

    if not model.functions:
        return model
    try:
        return onnx.inliner.inline_local_functions(model)
    except Exception as error:  # the library's errors have no common class
        raise InputError(where, f"its local functions cannot be inlined ({str(error)[:80]})", EXPECTED) from None


def _opset(model: Any) -> int:
    return max(entry.version for entry in model.opset_import if entry.domain in STANDARD)


def _refuse(model: Any, path: Path) -> None:
    """What no later step could make sense of."""
    from onnx.defs import onnx_opset_version

    where = str(path)
    versions = [entry.version for entry in model.opset_import if entry.domain in STANDARD]
    if not versions or not 1 <= max(versions) <= onnx_opset_version():
        found = f"operator set {max(versions, default='none')} is not known"
        raise InputError(where, found, f"1 to {onnx_opset_version()}, that is opset_version=18 of the exporter")
    if len(model.graph.node) > MOST_NODES:
        raise InputError(where, f"has {len(model.graph.node)} nodes", f"at most {MOST_NODES}; export one layer")
    for proto in model.graph.node:
        if proto.domain not in STANDARD:
            found = f"node '{proto.name or proto.op_type}' is {proto.domain}.{proto.op_type}"
            raise InputError(where, found, "operators of the ONNX standard; export without runtime optimisation")
        inner = [node.op_type for graph in subgraphs(proto) for node in all_nodes(graph)]
        if PRODUCTS & set(inner):
            found = f"{proto.op_type} '{proto.name}' has {min(PRODUCTS & set(inner))} inside, which is unsupported"
            raise InputError(where, found, "GEMMs outside If, Loop and Scan; export the layer without control flow")
    for tensor in model.graph.initializer:
        if tensor.data_location == tensor.EXTERNAL:
            location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
            if not (path.parent / location).is_file():
                found = f"external data '{location}' of tensor '{tensor.name}' is missing"
                raise InputError(where, found, "the file beside the model")


def _node(number: int, proto: Any) -> Node:
    import onnx

    attributes: dict[str, Attribute] = {}
    for attribute in proto.attribute:
        if attribute.type == onnx.AttributeProto.INT:
            attributes[attribute.name] = int(attribute.i)
        elif attribute.type == onnx.AttributeProto.STRING:
            attributes[attribute.name] = attribute.s.decode(errors="replace")
        elif attribute.type == onnx.AttributeProto.INTS:
            attributes[attribute.name] = tuple(attribute.ints)
    inputs, outputs = tuple(proto.input), tuple(proto.output)
    outer = tuple(sorted(set().union(*(captured(graph) for graph in subgraphs(proto)))))
    anonymous = onnx.NodeProto()
    anonymous.CopyFrom(proto)
    del anonymous.input[:], anonymous.output[:]
    anonymous.input.extend(f"i{place}" if name else "" for place, name in enumerate(inputs))
    anonymous.output.extend(f"o{place}" for place, _ in enumerate(outputs))
    anonymous.name, anonymous.doc_string = "", ""
    del anonymous.metadata_props[:]
    name = proto.name or f"{proto.op_type} {number}"
    return Node(name, proto.op_type, inputs, outputs, attributes, outer, anonymous.SerializeToString())


def _input(where: str, value: Any) -> Input:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        raise InputError(f"{where}, input '{value.name}'", "is no tensor of known rank", "a shape; export again")
    axes = [int(dim.dim_value) if dim.dim_value > 0 else str(dim.dim_param) for dim in tensor.shape.dim]
    return Input(value.name, int(tensor.elem_type), tuple(axes))


def _constant(tensor: Any, path: Path) -> Fact:
    import onnx
    from onnx.external_data_helper import load_external_data_for_tensor

    shape = tuple(int(extent) for extent in tensor.dims)
    if prod(shape) > MOST_ELEMENTS:
        return Fact(int(tensor.data_type), shape)
    try:
        if tensor.data_location == tensor.EXTERNAL:
            load_external_data_for_tensor(tensor, str(path.parent))
        value = onnx.numpy_helper.to_array(tensor)
        return Fact(int(tensor.data_type), shape, value if value.dtype.kind in PLAIN else None)
    except Exception as error:  # the library's errors have no common class
        found = f"tensor '{tensor.name}' cannot be read ({str(error)[:80]})"
        raise InputError(str(path), found, "a whole file") from None


class Unfit(Exception):
    """The node cannot take tensors of these shapes."""


class Inference:
    """What nodes make of what is known of their inputs. Equal questions are answered once: layers repeat."""

    def __init__(self, opset: int) -> None:
        self._opset = opset
        self._values: dict[tuple[Any, ...], tuple[Any, ...]] = {}

    def outcome(self, node: Node, inputs: Sequence[Fact | None], outer: Sequence[Fact | None]) -> list[Fact]:
        """A fact for each output; `inputs` are None where left out. Raises Unfit."""
        shapes = self._shapes(node, inputs, outer)
        operands = [fact for fact in inputs if fact is not None]
        if node.op in CONTROL or any(fact.value is None for fact in operands):
            return shapes
        if any(fact.shape is not None and prod(fact.shape) > MOST_ELEMENTS for fact in shapes):
            return shapes
        values = self._folded(node, inputs, shapes)
        return [
            Fact(fact.element, np.shape(value), value) if _small(value) else fact
            for fact, value in zip(shapes, values, strict=True)
        ]

    def _shapes(self, node: Node, inputs: Sequence[Fact | None], outer: Sequence[Fact | None]) -> list[Fact]:
        import onnx
        from onnx import helper, numpy_helper

        known = {f"i{place}": fact for place, fact in enumerate(inputs) if fact is not None}
        types = {name: helper.make_tensor_type_proto(fact.element, fact.shape) for name, fact in known.items()}
        data = {name: numpy_helper.from_array(fact.value, name) for name, fact in known.items()
                if fact.value is not None}  # fmt: skip
        proto = onnx.NodeProto.FromString(node.proto)
        try:
            if node.op in CONTROL:
                taken = zip(node.captured, outer, strict=True)
                types |= {name: helper.make_tensor_type_proto(f.element, f.shape) for name, f in taken if f}
                found = self._of_model(proto, types, data)
            else:
                found = onnx.shape_inference.infer_node_outputs(
                    onnx.defs.get_schema(node.op, self._opset, ""),
                    proto,
                    types,
                    data,
                    opset_imports=[helper.make_opsetid("", self._opset)],
                )
        except onnx.defs.SchemaError:
            raise Unfit(f"operator set {self._opset} has no {node.op}") from None
        except Exception as error:  # InferenceError, and others for a node that is malformed
            raise Unfit(" ".join(str(error).split())[:100]) from None
        return [_fact(found.get(name)) for name in proto.output]

    def _of_model(self, proto: Any, types: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Types of the outputs of a node with subgraphs, which only inference for whole models looks into."""
        import onnx
        from onnx import helper

        if proto.op_type == "If" and "i0" in data:  # one branch is all there is
            take_branch(proto, bool(onnx.numpy_helper.to_array(data["i0"]).all()))
        inputs = [helper.make_value_info(name, kind) for name, kind in types.items()]
        outputs = [onnx.ValueInfoProto(name=name) for name in proto.output]
        graph = helper.make_graph([proto], "one", inputs, outputs, list(data.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self._opset)])
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
        return {value.name: value.type for value in (*inferred.output, *inferred.value_info)}

    def _folded(self, node: Node, inputs: Sequence[Fact | None], shapes: Sequence[Fact]) -> tuple[Any, ...]:
        import onnx
        from onnx import helper
        from onnx.reference import ReferenceEvaluator

        values = {f"i{place}": fact.value for place, fact in enumerate(inputs) if fact is not None}
        key = (node.proto, *((name, str(v.dtype), v.shape, v.tobytes()) for name, v in values.items() if v is not None))
        if key not in self._values:
            proto = onnx.NodeProto.FromString(node.proto)
            made = [onnx.ValueInfoProto(name=name) for name in values]
            graph = helper.make_graph([proto], "one", made, [onnx.ValueInfoProto(name=name) for name in proto.output])
            model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self._opset)])
            try:
                with np.errstate(all="ignore"):
                    self._values[key] = tuple(ReferenceEvaluator(model).run(None, values))
            except Exception:  # what the reference does not know has no value: only a loss where a shape hangs on it
                self._values[key] = (None,) * len(shapes)
        return self._values[key]


def _small(value: Any) -> bool:
    return isinstance(value, (np.ndarray, np.generic)) and np.size(value) <= MOST_ELEMENTS and value.dtype.kind in PLAIN


def _fact(kind: Any) -> Fact:
    """From a type of ONNX; of an optional tensor or a sequence nothing is known."""
    if kind is None or not kind.HasField("tensor_type") or not kind.tensor_type.HasField("shape"):
        return Fact(kind.tensor_type.elem_type if kind is not None else 0, None)
    dims: Iterable[Any] = kind.tensor_type.shape.dim
    known = all(dim.HasField("dim_value") for dim in dims)
    return Fact(int(kind.tensor_type.elem_type), tuple(int(dim.dim_value) for dim in dims) if known else None)
