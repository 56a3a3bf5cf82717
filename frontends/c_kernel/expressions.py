"""Expressions: what they are worth, what they read and which operations they take."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NoReturn

from design.errors import InputError
from design.loop_nest import Access, Affine
from frontends.c_kernel import affine
from frontends.c_kernel.c_types import DOUBLE, FLOAT, INT, LONG, CType, Number, Record, Rows, common, promoted, size_in_bytes
from frontends.c_kernel.declarations import Types, literal
from frontends.c_kernel.drafts import Bound, Draft, Event, LoopDraft
from frontends.c_kernel.syntax import Node, at, kind, line_of, text_of
from frontends.c_kernel.values import GUARD, Path, Region, Value, joined

ARITHMETIC = {"+": "add", "-": "add", "*": "mul", "/": "div", "%": "mod", "<<": "shift", ">>": "shift"}
LOGIC = {"&": "and", "|": "or", "^": "xor", "&&": "both", "||": "either"}
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
WHOLE: dict[str, Callable[[int, int], int]] = {
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "<<": lambda a, b: a << b if 0 <= b < 64 else 0,
    ">>": lambda a, b: a >> b if 0 <= b < 64 else 0,
    "&&": lambda a, b: int(bool(a and b)),
    "||": lambda a, b: int(bool(a or b)),
}
REAL: dict[str, Callable[[float, float], float]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}
# Functions of math.h by what they cost; those with an f at the end are of float.
ROOTS, POWERS, SIGNS, CHOICES = {"sqrt"}, {"pow"}, {"fabs", "abs", "labs", "copysign"}, {"fmin", "fmax"}
CALLS = set(
    "exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan atan2 sinh cosh tanh cbrt hypot floor ceil round "
    "trunc rint fmod fma erf erfc tgamma lgamma ldexp".split()
)


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


class Expressions:
    """The state while a kernel is read, and the reading of expressions in it."""

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
            return Rows(self.ctypes[name], None) if isinstance(held, ToScalar) and name else self.ctypes.get(name or "", INT)
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
        """Notes an access of one element."""
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

    # values
    def value(self, node: Node) -> Value:
        """What an expression is worth; its loads, operations and side effects are noted."""
        what = kind(node)
        if what == "Constant":
            if node.type == "string":
                self.refuse(node, "a string", "numbers")
            ctype, number = literal(node)
            return self.number(ctype, number)
        if what == "ID" and node.name in self.types.enumerators and self.find(node.name) is None:
            return self.number(INT, self.types.enumerators[node.name])
        if what in ("ID", "ArrayRef", "StructRef") or (what == "UnaryOp" and node.op == "*"):
            return self.read(self.place(node), node)
        if what == "BinaryOp":
            if self.points(node.left) or self.points(node.right):
                return Value(LONG, key=self.fresh())
            return self.binary(node.op, self.value(node.left), self.value(node.right))
        if what == "UnaryOp":
            return self.unary(node)
        if what == "Cast":
            ctype = self.types.of(node.to_type, self.constant)
            return self.convert(self.value(node.expr), ctype) if isinstance(ctype, Number) else Value(LONG, key=self.fresh())
        if what == "TernaryOp":
            condition = self.value(node.cond)
            if condition.known is not None:
                return self.value(node.iftrue if condition.known else node.iffalse)
            return self.select(condition, self.value(node.iftrue), self.value(node.iffalse))
        if what == "Assignment":
            return self.assign(node)
        if what == "ExprList":
            return [self.value(each) for each in node.exprs][-1]
        if what == "FuncCall":
            return self.function(node)
        self.refuse(node, f"expression {text_of(node)[:60]}", "C arithmetic")

    def constant(self, node: Node) -> int | None:
        """A constant expression's whole number, None where it is not one."""
        known = self.value(node).known
        return None if known is None else int(known)

    def number(self, ctype: Number, number: float) -> Value:
        """A constant, wrapped as its type wraps."""
        if ctype.floating:
            return Value(ctype, number=number, key=self.key("number", ctype.tag, number))
        whole = int(number) % 2**ctype.bits if ctype.bits else 0
        whole -= 2**ctype.bits if ctype.signed and whole >= 2 ** (ctype.bits - 1) and ctype.bits else 0
        return self.integer(ctype, Affine(whole))

    def integer(self, ctype: Number, form: Affine) -> Value:
        """A whole number that is affine in the counters; no wrapping around is assumed."""
        return Value(ctype, affine=form, key=self.key("affine", form))

    def convert(self, value: Value, ctype: Number) -> Value:
        """A conversion: counted between int and floating and between floating types, free between integers."""
        if value.known is not None and ctype.bits:
            if not ctype.floating and value.number is not None and not abs(value.number) < 2.0**63:
                return Value(ctype, key=self.fresh())
            return self.number(ctype, value.known)
        if value.ctype.floating == ctype.floating and (not ctype.floating or value.ctype.bits == ctype.bits):
            return value.as_type(ctype)
        name = self.count("cast", ctype)
        return Value(ctype, sources=value.after(name, "cast"), key=self.key("cast", ctype.tag, value.key))

    def operate(self, operation: str, tag: str, ctype: Number, *operands: Value) -> Value:
        """One operation on operands that are of its type."""
        name = self.count(operation, ctype)
        sources = joined([value.after(name, tag) for value in operands], twice=True)
        return Value(ctype, sources=sources, key=self.key(operation, tag, ctype.tag, *(v.key for v in operands)))

    def binary(self, op: str, left: Value, right: Value) -> Value:
        """An operation on two numbers."""
        if op in COMPARISONS:
            return self.compare(op, left, right)
        meet = promoted(left.ctype) if op in ("<<", ">>") else common(left.ctype, right.ctype)
        if op in ("&&", "||"):
            meet = INT
        if meet.floating or op not in ("<<", ">>", "&&", "||"):
            left, right = self.convert(left, meet), self.convert(right, meet)
        if not meet.floating and left.affine is not None and right.affine is not None:
            form = self.affine(op, left.affine, right.affine)
            if form is not None:
                return self.number(meet, form.constant) if not form.terms else self.integer(meet, form)
        if meet.floating and left.number is not None and right.number is not None:
            if op in REAL:
                return self.number(meet, REAL[op](left.number, right.number))
            if op == "/" and right.number:
                return self.number(meet, left.number / right.number)
        if op in LOGIC:
            return self.operate("logic", LOGIC[op], meet, left, right)
        return self.arithmetic(op, meet, left, right)

    def arithmetic(self, op: str, meet: Number, left: Value, right: Value) -> Value:
        """Arithmetic that is not worked out. What powers of two make cheap is a shift or a mask."""
        operation = ARITHMETIC[op]
        power = [v.known is not None and v.known > 0 and int(v.known).bit_count() == 1 for v in (left, right)]
        if not meet.floating and ((op == "*" and any(power)) or (op == "/" and power[1])):
            return self.operate("shift", "shift", meet, left, right)
        if not meet.floating and op == "%" and power[1]:
            return self.operate("logic", "mask", meet, left, right)
        if op == "-":  # a difference adds up in its first operand only
            name = self.count("add", meet)
            sources = joined([left.after(name, "add"), right.after(name, "taken")], twice=True)
            return Value(meet, sources=sources, key=self.key("-", meet.tag, left.key, right.key))
        return self.operate(operation, operation, meet, left, right)

    def affine(self, op: str, left: Affine, right: Affine) -> Affine | None:
        """The result where it is affine too."""
        if op in "+-":
            return affine.add(left, right, 1 if op == "+" else -1)
        if op == "*":
            return affine.multiply(left, right)
        if op == "/":
            return affine.divide(left, right)
        if op == "<<" and not right.terms and 0 <= right.constant < 63:
            return affine.scale(left, 1 << right.constant)
        if op == ">>" and not right.terms and 0 <= right.constant < 63 and left.terms:
            by = 1 << right.constant
            return affine.divide(left, Affine(by))
        if op == "%":
            return affine.of_constants(left, right, lambda a, b: a - b * int(a / b)) if right.constant else None
        return affine.of_constants(left, right, WHOLE[op]) if op in WHOLE else None

    def compare(self, op: str, left: Value, right: Value) -> Value:
        """A comparison."""
        if left.known is not None and right.known is not None:
            return self.number(INT, int(COMPARISONS[op](left.known, right.known)))
        meet = common(left.ctype, right.ctype)
        left, right = self.convert(left, meet), self.convert(right, meet)
        name = self.count("compare", meet)
        sources = joined([left.after(name, "compare"), right.after(name, "compare")])
        ordering = (left.key, right.key) if op not in ("==", "!=") else None
        return Value(INT, sources=sources, key=self.key(op, left.key, right.key), compared=ordering)

    def select(self, condition: Value, one: Value, two: Value, guard: bool = True) -> Value:
        """condition ? one : two. Taking the smaller or greater of the two compared is the associative min or max."""
        meet = common(one.ctype, two.ctype) if one.ctype != two.ctype else one.ctype
        one, two = self.convert(one, meet), self.convert(two, meet)
        if one.key == two.key:
            return one
        name = self.count("select", meet)
        least = condition.compared is not None and {*condition.compared} == {one.key, two.key}
        tag = "minmax" if least else GUARD
        chosen = condition.after(name, tag)
        if least:
            chosen = {s: Path(p.chain, p.tags - {"compare"}) for s, p in chosen.items()}
        sources = joined([chosen, one.after(name, tag), two.after(name, tag)])
        return Value(meet, sources=sources, key=self.key("?", condition.key, one.key, two.key))

    def unary(self, node: Node) -> Value:
        """-x, ~x, !x, sizeof, ++ and --."""
        if node.op == "sizeof":
            whole = self.types.of(node.expr, self.constant) if kind(node.expr) == "Typename" else self.rest(node.expr)
            return self.number(LONG, size_in_bytes(whole))
        if node.op in ("p++", "p--", "++", "--"):
            return self.assign(node)
        if node.op == "&":
            return Value(LONG, key=self.fresh())
        value = self.value(node.expr)
        if node.op == "!":
            if value.known is not None:
                return self.number(INT, int(not value.known))
            found = self.operate("logic", "not", INT, value)
            return replace(found, compared=value.compared)
        meet = promoted(value.ctype)
        value = self.convert(value, meet)
        if node.op == "+":
            return value
        if node.op == "-":
            if meet.floating:
                if value.number is not None:
                    return self.number(meet, -value.number)
                return self.operate("logic", "sign", meet, value)  # flips one bit
            return self.binary("-", self.number(meet, 0), value)
        if node.op == "~":
            if value.known is not None:
                return self.number(meet, ~int(value.known))
            return self.operate("logic", "not", meet, value)
        self.refuse(node, f"operator {node.op}", "C arithmetic")

    def function(self, node: Node) -> Value:
        """A call: of the file's own functions, or of math.h."""
        arguments = list(node.args.exprs) if node.args is not None else []
        name = node.name.name if kind(node.name) == "ID" else text_of(node.name)
        found = self.call(node, arguments)
        if found is not None:
            return found
        single = name.endswith("f") and name[:-1] in ROOTS | POWERS | SIGNS | CHOICES | CALLS
        plain = name[:-1] if single else name
        whole = plain in ("abs", "labs")
        ctype = (INT if plain == "abs" else LONG) if whole else (FLOAT if single else DOUBLE)
        if plain not in ROOTS | POWERS | SIGNS | CHOICES | CALLS:
            self.refuse(node, f"a call of {name}", "functions defined in the file or of math.h")
        given = [self.convert(self.value(each), ctype) for each in arguments]
        if plain in CHOICES and len(given) == 2:
            return self.select(self.compare("<", *given), *given)
        sorts = {**dict.fromkeys(ROOTS, "sqrt"), **dict.fromkeys(POWERS, "pow"), **dict.fromkeys(SIGNS, "logic")}
        return self.operate(sorts.get(plain, "call"), plain, ctype, *given)


def shape_of(ctype: CType) -> tuple[int | None, ...]:
    """The dimensions of an array type."""
    return (ctype.size, *shape_of(ctype.element)) if isinstance(ctype, Rows) else ()


def _with_leading(whole: CType, count: int, inner: CType) -> CType:
    """`inner` within the first `count` dimensions of `whole`."""
    if not count:
        return inner
    assert isinstance(whole, Rows)
    return Rows(_with_leading(whole.element, count - 1, inner), whole.size)
