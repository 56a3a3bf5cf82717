"""Expressions: what they are worth, what they read and which operations they take."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import replace

from design.hls.loop_nest import Affine
from frontends.c_kernel.analysis import affine
from frontends.c_kernel.c_types import (
    DOUBLE,
    FLOAT,
    INT,
    LONG,
    Number,
    common,
    promoted,
    size_in_bytes,
)
from frontends.c_kernel.declarations import literal
from frontends.c_kernel.places import Places
from frontends.c_kernel.syntax import Node, kind, text_of
from frontends.c_kernel.values import GUARD, Path, Value, joined

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
_CALLS = """
    exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan atan2 sinh cosh tanh cbrt hypot floor
    ceil round trunc rint fmod fma erf erfc tgamma lgamma ldexp
"""
CALLS = frozenset(_CALLS.split())


class Expressions(Places):
    """Reads expressions."""

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
            to = self.types.of(node.to_type, self.constant)
            return self.convert(self.value(node.expr), to) if isinstance(to, Number) else Value(LONG, key=self.fresh())
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

    def select(self, condition: Value, one: Value, two: Value) -> Value:
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
            one, two = given
            return self.select(self.compare("<", one, two), one, two)
        sorts = {**dict.fromkeys(ROOTS, "sqrt"), **dict.fromkeys(POWERS, "pow"), **dict.fromkeys(SIGNS, "logic")}
        return self.operate(sorts.get(plain, "call"), plain, ctype, *given)
