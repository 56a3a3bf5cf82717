"""Names and memory: which variable, element or pointer an expression means, and what is loaded and stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NoReturn

from design.errors import InputError
from design.hls.loop_nest import Access, Affine
from frontends.c_kernel.analysis import affine
from frontends.c_kernel.c_types import (
    INT,
    LONG,
    CType,
    Number,
    Record,
    Rows,
)
from frontends.c_kernel.declarations import Types
from frontends.c_kernel.drafts import Bound, Draft, Event, LoopDraft
from frontends.c_kernel.syntax import Node, at, kind, line_of, text_of
from frontends.c_kernel.values import Path, Region, Value, joined


@dataclass(frozen=True)
class Scalar:
    """A place: a scalar variable."""

    name: str


@dataclass(frozen=True)
class ToScalar:
    """A pointer to a scalar variable."""

    name: str


Place = Region | Scalar | ToScalar
State = Value | Region | ToScalar


class Places:
    """The state while a kernel is read: variables, what is known of them, and the places that expressions mean."""

    def __init__(self, types: Types) -> None:
        self.types = types
        self.where = types.where
        self.scopes: list[dict[str, str]] = [{}]  # C name -> name of a variable
        self.state: dict[str, State] = {}  # by name of a variable
        self.ctypes: dict[str, CType] = {}
        self.roles: dict[str, str] = {}
        self.used: dict[str, Region] = {}  # arrays that are touched
        self.drafts: list[Draft] = []
        self.loops: list[LoopDraft] = []  # those around, outside in
        self.items: list[list[LoopDraft | Draft]] = [[]]
        self.conditions: list[tuple[int, Value, tuple[Bound, ...]]] = []  # numbered
        self.skips = 0  # earlier exits that a statement is behind
        self.addressing = 0
        self.events: list[Event] = []
        self.keys: dict[object, int] = {}
        self.versions: dict[str, int] = {}
        self.walkers: dict[object, LoopDraft] = {}  # loops by the key of their variable, where its start is not known

    # what subclasses add
    def value(self, node: Node) -> Value:
        """What an expression is worth."""
        raise NotImplementedError

    def assign(self, node: Node) -> Value:
        """An assignment, as a statement of its own."""
        raise NotImplementedError

    def call(self, node: Node, arguments: list[Node]) -> Value | None:
        """A call of a function of the file; None where there is no such function."""
        raise NotImplementedError

    def refuse(self, node: Node, found: str, expected: str) -> NoReturn:
        """Raises InputError at a node."""
        raise InputError(at(self.where, line_of(node)), found, expected)

    # names and keys
    def constant(self, node: Node) -> int | None:
        """A constant expression's whole number, None where it is not one."""
        known = self.value(node).known
        return None if known is None else int(known)

    def key(self, *parts: object) -> int:
        """A number that is equal for equal parts."""
        return self.keys.setdefault(parts, len(self.keys))

    def fresh(self) -> int:
        """A key that nothing else has."""
        return self.key("fresh", len(self.keys))

    def find(self, name: str) -> str | None:
        """The variable that a C name stands for here."""
        return next((scope[name] for scope in reversed(self.scopes) if name in scope), None)

    @contextmanager
    def drafting(self, line: int, text: str) -> Iterator[Draft]:
        """A statement that is appended when its parts are in."""
        guards = len(self.conditions) + self.skips
        draft = Draft(line, text, tuple(loop.number for loop in self.loops), guards)
        self.drafts.append(draft)
        yield draft
        self.drafts.pop()
        self.items[-1].append(draft)

    def count(self, operation: str, ctype: Number) -> str:
        """Counts an operation for the current statement, unless it works out an address; its full name."""
        name = f"{operation}.{ctype.tag}"
        if not self.addressing and self.drafts:
            self.drafts[-1].operations[name] += 1
        return name

    # places
    def place(self, node: Node) -> Place:
        """Where an lvalue or a pointer expression points."""
        what = kind(node)
        if what == "ID":
            name = self.find(node.name)
            if name is None:
                self.refuse(node, f"{node.name} is not declared", "a declared variable")
            held = self.state[name]
            return Scalar(name) if isinstance(held, Value) else held
        if what == "ArrayRef":
            return self.element(node, self.place(node.name), node.subscript)
        if what == "StructRef":
            return self.member(node)
        if what == "UnaryOp" and node.op == "*":
            return self.element(node, self.place(node.expr), None)
        if what == "UnaryOp" and node.op == "&":
            return self.address(node, self.place(node.expr))
        if what == "BinaryOp" and node.op in "+-":
            left, right = (node.left, node.right) if self.points(node.left) else (node.right, node.left)
            base, by = self.place(left), self.address_value(right)
            if isinstance(base, Region):
                return base.moved(None if by is None else affine.scale(by, 1 if node.op == "+" else -1))
        if what == "Cast":
            base = self.place(node.expr)
            return replace(base, lost=True) if isinstance(base, Region) else base
        if what == "UnaryOp" and node.op in ("p++", "p--", "++", "--"):
            base = self.place(node.expr)
            if isinstance(base, Region) and kind(node.expr) == "ID":
                moved = base.moved(Affine(1 if "+" in node.op else -1))
                self.state[str(self.find(node.expr.name))] = moved
                return base if node.op.startswith("p") else moved
        self.refuse(node, f"{text_of(node)[:60]} as a place in memory", "a variable, an element or a member")

    def points(self, node: Node) -> bool:
        """Whether an expression is a pointer."""
        what = kind(node)
        if what == "ID":
            name = self.find(node.name)
            return name is not None and not isinstance(self.state[name], Value)
        if what == "BinaryOp":
            return node.op in "+-" and (self.points(node.left) or self.points(node.right))
        if what == "Cast":
            return isinstance(self.types.of(node.to_type, self.constant), Rows)
        if what == "UnaryOp":
            return node.op == "&" or (node.op in ("p++", "p--", "++", "--") and self.points(node.expr))
        if what in ("ArrayRef", "StructRef"):
            return isinstance(self.rest(node), Rows)
        return False

    def rest(self, node: Node) -> CType:
        """The type of an lvalue, without any effect."""
        what = kind(node)
        if what == "ID":
            name = self.find(node.name)
            held = self.state.get(name or "")
            if isinstance(held, Region):
                return held.rest
            return (
                Rows(self.ctypes[name], None)
                if isinstance(held, ToScalar) and name
                else self.ctypes.get(name or "", INT)
            )
        if what in ("ArrayRef", "UnaryOp"):
            inner = self.rest(node.name if what == "ArrayRef" else node.expr)
            return inner.element if isinstance(inner, Rows) else inner
        if what == "StructRef":
            inner = self.rest(node.name)
            inner = inner.element if isinstance(inner, Rows) else inner
            if isinstance(inner, Record) and node.field.name in inner.members:
                return inner.members[node.field.name]
        return INT

    def element(self, node: Node, base: Place, subscript: Node) -> Place:
        """base[subscript], or *base where there is none."""
        if isinstance(base, ToScalar):
            if subscript is not None and self.address_value(subscript) != Affine(0):
                self.refuse(node, f"{text_of(node)[:60]} beside a single variable", "subscript 0")
            return Scalar(base.name)
        if isinstance(base, Scalar) or not isinstance(base.rest, Rows):
            self.refuse(node, f"{text_of(node)[:60]}, which is no array or pointer", "an array")
        if subscript is None:
            return base.at(Affine(0), self.key("affine", Affine(0)))
        self.addressing += 1
        value = self.value(subscript)
        self.addressing -= 1
        if value.key in self.walkers and base.rest.size is not None:
            self.walkers[value.key].extents.append(base.rest.size)
        return base.at(value.affine, value.key)

    def member(self, node: Node) -> Place:
        """A struct's member, an array of its own: 'struct.member'."""
        base = self.place(node.name)
        if isinstance(base, Region) and isinstance(base.rest, Rows) and base.offset == Affine(0):
            base = replace(base, rest=base.rest.element)  # one struct behind a pointer
        if not isinstance(base, Region) or not isinstance(base.rest, Record):
            self.refuse(node, f"{text_of(node)[:60]}, which is no struct's member", "a struct")
        if node.field.name not in base.rest.members:
            self.refuse(node, f"{text_of(node)[:60]}", f"one of {', '.join(base.rest.members)}")
        name, ctype = f"{base.array}.{node.field.name}", base.rest.members[node.field.name]
        self.roles.setdefault(name, self.roles.get(base.array, "argument"))
        if isinstance(ctype, Number) and not base.index:
            if name not in self.state:
                self.ctypes[name] = ctype
                self.state[name] = Value(ctype, key=self.fresh())
            return Scalar(name)
        whole = self.ctypes[base.array]
        self.ctypes.setdefault(name, _with_leading(whole, len(base.index), ctype))
        return Region(name, ctype, base.index, Affine(0), base.lost)

    def address(self, node: Node, base: Place) -> Place:
        """&base."""
        if isinstance(base, Scalar):
            return ToScalar(base.name)
        if isinstance(base, Region) and not base.index:
            return replace(base, rest=Rows(base.rest, None))
        if isinstance(base, Region):
            lost = base.lost or len(base.index) > 1
            return Region(base.array, Rows(base.rest, None), base.index[:-1], base.index[-1], lost)
        self.refuse(node, f"{text_of(node)[:60]}", "the address of an element or a variable")

    def address_value(self, node: Node) -> Affine | None:
        """A subscript: affine or not, its arithmetic is not counted."""
        self.addressing += 1
        found = self.value(node).affine
        self.addressing -= 1
        return found

    # loads and stores
    def touch(self, region: Region, write: bool) -> Event:
        """Notes an access of one element. Raises InputError where no statement is read (in an array's size)."""
        if not self.drafts:
            raise InputError(self.where, f"{region.array} is read in a constant expression", "constants there")
        rank = len(shape_of(self.ctypes[region.array]))
        index = (None,) * max(rank, len(region.index)) if region.lost else region.index
        self.used.setdefault(region.array, region)
        self.drafts[-1].accesses.append(Access(region.array, write, index))
        bounds = tuple(bound for _, _, several in self.conditions for bound in several)
        loops = tuple(loop.number for loop in self.loops)
        place = (region.lost and self.fresh(), *region.place)
        under = tuple(number for number, _, _ in self.conditions)
        event = Event(len(self.events), region.array, write, index, place, loops, under, self.skips, bounds)
        self.events.append(event)
        return event

    def read(self, place: Place, node: Node) -> Value:
        """The value in a place."""
        if isinstance(place, Scalar):
            held = self.state[place.name]
            assert isinstance(held, Value)
            if held.known is None and held.affine is None and self.drafts:
                self.drafts[-1].reads.append(place.name)
            return held
        if isinstance(place, ToScalar) or not isinstance(place.rest, Number):
            return Value(LONG, key=self.fresh())  # a pointer as a number
        event = self.touch(place, False)
        key = self.fresh()
        if None not in event.index:
            key = self.key("load", place.array, event.index, self.versions.get(place.array, 0))
        return Value(place.rest, sources={event.number: Path()}, key=key)

    def write(self, place: Place, value: Value, node: Node) -> None:
        """Stores a value that already has the place's type."""
        if isinstance(place, Scalar):
            self.state[place.name] = value
            self.drafts[-1].writes.append(place.name)
        elif isinstance(place, Region) and isinstance(place.rest, Number):
            event = self.touch(place, True)
            event.sources = joined([value.sources, *(cond.sources for _, cond, _ in self.conditions)])
            self.versions[place.array] = self.versions.get(place.array, 0) + 1
        else:
            self.refuse(node, f"{text_of(node)[:60]} is assigned as a whole", "assignments of numbers")


def shape_of(ctype: CType) -> tuple[int | None, ...]:
    """The dimensions of an array type."""
    return (ctype.size, *shape_of(ctype.element)) if isinstance(ctype, Rows) else ()


def _with_leading(whole: CType, count: int, inner: CType) -> CType:
    """`inner` within the first `count` dimensions of `whole`."""
    if not count:
        return inner
    assert isinstance(whole, Rows)
    return Rows(_with_leading(whole.element, count - 1, inner), whole.size)
