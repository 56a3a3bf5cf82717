"""A whole file -> Kernel: finds the kernel function, reads it, and puts the parts together."""

from __future__ import annotations

from design.errors import InputError
from design.hls.loop_nest import Array, Directive, Kernel, Loop, Statement, Trip
from frontends.c_kernel.analysis.recurrences import recurrences_of
from frontends.c_kernel.analysis.trips import trips_of
from frontends.c_kernel.c_types import Number, Record, Rows, size_in_bytes
from frontends.c_kernel.declarations import Types
from frontends.c_kernel.directives import read_pragma
from frontends.c_kernel.drafts import Draft, LoopDraft
from frontends.c_kernel.loops import Loops
from frontends.c_kernel.places import shape_of
from frontends.c_kernel.statements import parameters
from frontends.c_kernel.syntax import Node, at, kind, line_of, parse
from frontends.c_kernel.values import Value


def kernel_of(text: str, where: str) -> Kernel:
    """Reads a kernel from C text. Raises InputError, naming the line, for what it cannot read."""
    tree = parse(text, where)
    function, functions = _functions(tree, where)
    types = Types(where)
    reader = Loops(types, functions)
    for item in tree.ext:
        if kind(item) == "Typedef" or kind(item) == "Decl":
            _outside(reader, item)
    reader.scopes.append({})
    reader.calling.append(function.decl.name)
    reader.returned.append([])
    reader.frames.append((0, 0))
    for parameter in parameters(function):
        ctype = types.of(parameter, reader.constant)
        if parameter.name is None:
            raise InputError(at(where, line_of(parameter)), "a parameter without a name", "names for all")
        if isinstance(ctype, Number) and not ctype.bits:
            raise InputError(at(where, line_of(parameter)), f"{parameter.name} is void", "a number or an array")
        reader.bind(parameter.name, ctype, None, "argument")
    reader.items = [[]]
    reader.block(function.body.block_items or ())
    _measure_arrays(reader)
    trips = trips_of(reader.all_loops)
    body = tuple(_finished(item, trips) for item in reader.items[0])
    kernel = Kernel(function.decl.name, text, _arrays(reader), _scalars(reader), body, ())
    _check_parameters(kernel, where)
    found = recurrences_of(reader.all_loops, trips, reader.events, reader.snapshots)
    return Kernel(kernel.name, text, kernel.arrays, kernel.scalars, body, found)


def _outside(reader: Loops, item: Node) -> None:
    """A declaration outside functions. Variables that are not constants keep what was there before: not known."""
    reader.declare(item)
    name = item.name
    found = reader.find(name) if name else None
    if kind(item) == "Decl" and found is not None and "const" not in (item.quals or ()):
        ctype = reader.ctypes[found]
        if isinstance(ctype, Number):
            reader.state[found] = Value(ctype, key=reader.fresh())


def _functions(tree: Node, where: str) -> tuple[Node, dict[str, Node]]:
    """The kernel (after `#pragma ACCEL kernel`; else the only function that is not static; else the last one) and all
    functions by name."""
    functions: dict[str, Node] = {}
    marked, waiting = [], None
    for item in tree.ext:
        if kind(item) == "Pragma":
            pragma = read_pragma(item.string, line_of(item), where)
            if pragma is not None and pragma.kernel:
                waiting = pragma
            elif pragma is not None:
                raise InputError(at(where, pragma.line), f"{pragma.text} outside functions", "a loop after it")
        elif kind(item) == "FuncDef":
            functions[item.decl.name] = item
            if waiting is not None:
                marked.append(item)
                waiting = None
    if waiting is not None:
        raise InputError(at(where, waiting.line), f"{waiting.text} has no function after it", "a function")
    if not functions:
        raise InputError(where, "no function", "a C kernel")
    if len(marked) > 1:
        names = " and ".join(each.decl.name for each in marked)
        raise InputError(at(where, line_of(marked[1])), f"two kernels, {names}", "one #pragma ACCEL kernel a file")
    public = [each for each in functions.values() if "static" not in (each.decl.storage or ())]
    chosen = marked[0] if marked else public[0] if len(public) == 1 else list(functions.values())[-1]
    return chosen, functions


def _finished(item: LoopDraft | Draft, trips: list[Trip]) -> Loop | Statement:
    if isinstance(item, Draft):
        return item.finished()
    order = ("PIPELINE", "TILE", "PARALLEL")
    directives: dict[str, Directive] = {name: item.directives[name] for name in order if name in item.directives}
    body = tuple(_finished(each, trips) for each in item.body)
    return Loop(item.number, item.label, item.variable, item.line, trips[item.number], item.parent, directives, body)


def _measure_arrays(reader: Loops) -> None:
    """Tells loops of unknown length how far the arrays go that their counters index."""
    for event in reader.events:
        shape = shape_of(reader.ctypes[event.array])
        for form, size in zip(event.index, shape, strict=False):
            for number, coefficient in form.terms if form is not None and size is not None else ():
                loop = reader.all_loops[number]
                if loop.span.span is None and size is not None and form is not None and form.constant < size:
                    reach = size - form.constant if coefficient > 0 else form.constant + 1
                    loop.extents.append(max(0, -(-reach // abs(coefficient))))


def _arrays(reader: Loops) -> dict[str, Array]:
    found = {}
    for name in sorted(reader.used):
        ctype, shape = reader.ctypes[name], []
        while isinstance(ctype, Rows):
            shape.append(ctype.size)
            ctype = ctype.element
        if isinstance(ctype, Record):
            found[name] = Array(name, ctype.name, 8 * size_in_bytes(ctype), False, tuple(shape), reader.roles[name])
        else:
            tag = ctype.name or ctype.tag
            found[name] = Array(name, tag, ctype.bits, ctype.floating, tuple(shape), reader.roles.get(name, "local"))
    return found


def _scalars(reader: Loops) -> dict[str, tuple[int, bool]]:
    return {name: (c.bits, c.floating) for name, c in reader.ctypes.items() if isinstance(c, Number)}


def _check_parameters(kernel: Kernel, where: str) -> None:
    seen: set[str] = set()
    for loop in kernel.loops:
        for directive in loop.directives.values():
            name = directive.parameter
            if name is None:
                continue
            if name in seen:
                raise InputError(
                    at(where, directive.line), f"auto{{{name}}} is used twice", "one directive a parameter"
                )
            seen.add(name)
