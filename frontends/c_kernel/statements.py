"""Statements: assignments, conditions, calls (inlined) and declarations, in the order in which they run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from design.errors import InputError
from design.hls.loop_nest import Affine
from frontends.c_kernel.analysis import affine
from frontends.c_kernel.c_types import INT, CType, Number, Rows
from frontends.c_kernel.declarations import Types
from frontends.c_kernel.directives import Pragma, read_pragma
from frontends.c_kernel.drafts import Bound, Draft
from frontends.c_kernel.expressions import Expressions
from frontends.c_kernel.places import Scalar, State
from frontends.c_kernel.syntax import Node, at, kind, line_of, text_of, walk
from frontends.c_kernel.values import GUARD, Region, Value, joined

LOOPS = ("For", "While", "DoWhile")
STEPS = ("p++", "p--", "++", "--")
OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


class Statements(Expressions):
    """Reads statements into drafts. Loops are left to a subclass."""

    def __init__(self, types: Types, functions: dict[str, Node]) -> None:
        super().__init__(types)
        self.functions = functions
        self.calling: list[str] = []
        self.returned: list[list[Value | None]] = []
        self.frames: list[tuple[int, int]] = []  # loops and conditions around the functions that are being read

    def loop(self, node: Node, label: str, pragmas: Sequence[Pragma]) -> None:
        """Reads a loop that pragmas stand in front of."""
        raise NotImplementedError

    def inside(self, pragma: Pragma) -> None:
        """Takes a pragma about the loop around it."""
        raise NotImplementedError

    # sequences
    def block(self, items: Sequence[Node]) -> None:
        """A sequence of statements; pragmas wait for the loop that follows."""
        waiting: list[Pragma] = []
        skips = self.skips
        for item in items:
            if kind(item) == "Pragma":
                pragma = read_pragma(item.string, line_of(item), self.where)
                if pragma is None or pragma.kernel:
                    continue
                if pragma.inside and self.loops:
                    self.inside(pragma)
                else:
                    waiting.append(pragma)
                continue
            label = ""
            while kind(item) == "Label":
                label, item = item.name, item.stmt
                if kind(item) == "Compound" and item.block_items and kind(item.block_items[0]) == "Pragma":
                    inner = list(item.block_items)  # pragmas between a label and its loop
                    while inner and kind(inner[0]) == "Pragma":
                        pragma = read_pragma(inner[0].string, line_of(inner[0]), self.where)
                        waiting += [pragma] if pragma is not None else []
                        inner.pop(0)
                    item = inner[0] if len(inner) == 1 else item
            if kind(item) in LOOPS:
                self.loop(item, label, waiting)
                waiting = []
            elif kind(item) != "EmptyStatement":
                self.idle(waiting)
                waiting = []
                self.statement(item)
        self.idle(waiting)
        self.skips = skips

    def idle(self, waiting: Sequence[Pragma]) -> None:
        """Refuses a pragma that no loop follows."""
        if waiting:
            pragma = waiting[0]
            raise InputError(at(self.where, pragma.line), f"{pragma.text} has no loop after it", "a for or while loop")

    def statement(self, node: Node) -> None:
        """One statement that is no loop."""
        what = kind(node)
        if what == "Compound":
            self.scopes.append({})
            self.block(node.block_items or ())
            self.leave_scope()
        elif what in (*LOOPS, "Label", "Pragma"):
            self.block([node])
        elif what == "DeclList":
            for each in node.decls:
                self.declare(each)
        elif what == "Decl":
            self.declare(node)
        elif what == "Typedef":
            self.types.typedefs[node.name] = self.types.of(node, self.constant)
        elif what == "If":
            self.branch(node)
        elif what == "Switch":
            self.switch(node)
        elif what == "ExprList":
            for each in node.exprs:
                self.statement(each)
        elif what == "Return":
            self.leave(node)
        elif what == "Break":
            if self.loops:
                self.loops[-1].leaves = True
            self.skips += 1 if self.conditions else 0
        elif what == "Continue":
            self.skips += 1
        elif what == "Goto":
            self.refuse(node, f"goto {node.name}", "loops and conditions")
        elif what == "Cast":
            self.statement(node.expr)
        elif what in ("Assignment", "UnaryOp"):
            self.value(node)
        elif what != "EmptyStatement":
            with self.drafting(line_of(node), text_of(node)) as draft:
                self.value(node)
            self.forget(draft)

    def forget(self, draft: Draft) -> None:
        """Drops a statement that does nothing (a call whose body was inlined)."""
        if draft.idle and self.items[-1] and self.items[-1][-1] is draft:
            self.items[-1].pop()

    def leave_scope(self) -> None:
        """Variables of the innermost scope end."""
        for name in self.scopes.pop().values():
            self.state.pop(name, None)

    # declarations
    def unique(self, name: str, ctype: CType) -> str:
        """A name for a variable: that of C, after the inlined function's; numbered where two differ."""
        base = f"{self.calling[-1]}.{name}" if len(self.calling) > 1 else name
        found, number = base, 1
        while found in self.ctypes and (
            found in self.state or not isinstance(ctype, Number) or self.ctypes[found] != ctype
        ):
            number += 1
            found = f"{base}.{number}"
        return found

    def bind(self, name: str, ctype: CType, held: State | None, role: str = "local") -> str:
        """A new variable in the innermost scope."""
        found = self.unique(name, ctype)
        self.ctypes[found] = ctype
        self.roles[found] = role
        if held is None:
            held = Value(ctype, key=self.fresh()) if isinstance(ctype, Number) else Region(found, ctype)
        self.scopes[-1][name] = found
        self.state[found] = held
        return found

    def declare(self, node: Node) -> None:
        """A declaration, with its first value."""
        if kind(node) == "Typedef":
            self.types.typedefs[node.name] = self.types.of(node, self.constant)
            return
        ctype = self.types.of(node, self.constant)
        if node.name is None or kind(node.type) == "FuncDecl":
            return
        constant = "const" in (node.quals or ())
        if isinstance(ctype, Rows) and ctype.size is None and kind(node.init) == "InitList":
            ctype = Rows(ctype.element, len(node.init.exprs))
        if isinstance(ctype, Rows) and ctype.size is None:  # a pointer
            held: State | None = None
            if node.init is not None:
                with self.drafting(line_of(node), text_of(node)) as draft:
                    place = self.place(node.init)
                self.forget(draft)
                held = place if not isinstance(place, Scalar) else None
            self.bind(node.name, ctype, held)
            return
        if node.init is None or not isinstance(ctype, Number):
            self.bind(node.name, ctype, None, "constant" if constant and node.init is not None else "local")
            return
        with self.drafting(line_of(node), f"{node.name} = {text_of(node.init)}"):
            init = node.init.exprs[0] if kind(node.init) == "InitList" else node.init
            value = self.convert(self.value(init), ctype)
            found = self.bind(node.name, ctype, None)
            self.write(Scalar(found), value, node)

    # assignments
    def assign(self, node: Node) -> Value:
        """An assignment or a step by one: a statement of its own. Its value is what is stored."""
        step = kind(node) == "UnaryOp"
        target = node.expr if step else node.lvalue
        if not step and self.points(target):
            place = self.place(node.rvalue) if node.op == "=" else self.place_after(node)
            name = self.find(target.name) if kind(target) == "ID" else None
            if name is None or isinstance(place, Scalar):
                self.refuse(node, f"{text_of(node)[:60]} with pointers", "pointer variables that point to arrays")
            self.state[name] = place
            return Value(INT, key=self.fresh())
        if step and self.points(target):
            self.place(node)
            return Value(INT, key=self.fresh())
        with self.drafting(line_of(node), text_of(node)):
            right = self.number(INT, 1) if step else self.value(node.rvalue)
            place = self.place(target)
            ctype = self.ctypes[place.name] if isinstance(place, Scalar) else getattr(place, "rest", INT)
            if not isinstance(ctype, Number):
                self.refuse(node, f"{text_of(node)[:60]} is assigned as a whole", "assignments of numbers")
            op = node.op.strip("p")[0] if step else node.op[:-1]
            before = None
            if op:
                before = self.read(place, node)
                right = self.binary(op, before, right)
            value = self.convert(right, ctype)
            self.write(place, value, node)
        return before if step and before is not None and node.op.startswith("p") else value

    def place_after(self, node: Node) -> Region:
        """pointer += number."""
        base, by = self.place(node.lvalue), self.address_value(node.rvalue)
        if not isinstance(base, Region) or node.op not in ("+=", "-="):
            self.refuse(node, f"{text_of(node)[:60]} with pointers", "pointer variables that point to arrays")
        return base.moved(None if by is None else affine.scale(by, 1 if node.op == "+=" else -1))

    # conditions
    def branch(self, node: Node) -> None:
        """if and else: scalars that they set differently are selected."""
        with self.drafting(line_of(node), f"if ({text_of(node.cond)})") as draft:
            condition = self.value(node.cond)
        self.forget(draft)
        if condition.known is not None:
            taken = node.iftrue if condition.known else node.iffalse
            if taken is not None:
                self.statement(taken)
            return
        before = dict(self.state)
        skips = self.skips
        self.conditions.append((self.fresh(), condition, self.bounds(node.cond)))
        self.statement(node.iftrue)
        self.conditions.pop()
        after, gone = self.state, self.skips
        self.state = dict(before)
        if node.iffalse is not None:
            self.skips = skips
            self.conditions.append((self.fresh(), condition, self.bounds(node.cond, negated=True)))
            self.statement(node.iffalse)
            self.conditions.pop()
        self.skips = max(gone, self.skips)
        self.meet(before, after, condition, draft, node)

    def meet(
        self, before: dict[str, State], after: dict[str, State], condition: Value, draft: Draft, node: Node
    ) -> None:
        """Makes one state of those after both branches; the selects belong to the condition's statement."""
        self.drafts.append(draft)
        for name in before:
            one, two = after[name], self.state[name]
            if one is two:
                continue
            if isinstance(one, Value) and isinstance(two, Value):
                if one.key != two.key:
                    self.state[name] = self.select(condition, one, two)
            elif isinstance(one, Region) and isinstance(two, Region) and one.array == two.array:
                self.state[name] = replace(one, lost=True) if one != two else one
            else:
                self.refuse(node, f"pointer {name} to one of two arrays", "pointers that point to one array")
        self.drafts.pop()

    def bounds(self, node: Node, negated: bool = False) -> tuple[Bound, ...]:
        """What an affine condition says of the counters; () where it is not one."""
        if kind(node) == "BinaryOp" and node.op == ("||" if negated else "&&"):
            return self.bounds(node.left, negated) + self.bounds(node.right, negated)
        if kind(node) == "UnaryOp" and node.op == "!":
            return self.bounds(node.expr, not negated)
        if kind(node) != "BinaryOp" or node.op not in OPPOSITE:
            return ()
        op = OPPOSITE[node.op] if negated else node.op
        quiet = [pure(side) for side in (node.left, node.right)]
        if not all(quiet):
            return ()
        with self.unseen():
            left, right = (self.value(side).affine for side in (node.left, node.right))
        if left is None or right is None:
            return ()
        more, less = affine.add(left, right, -1), affine.add(right, left, -1)
        one = Affine(1)
        forms = {
            "<": [affine.add(less, one, -1)],
            "<=": [less],
            ">": [affine.add(more, one, -1)],
            ">=": [more],
            "==": [more, less],
            "!=": [],
        }[op]
        return tuple(Bound(form) for form in forms)

    def unseen(self) -> Unseen:
        """While it lasts nothing is noted."""
        return Unseen(self)

    def switch(self, node: Node) -> None:
        """switch: each case is under a condition; scalars set in it are selected."""
        with self.drafting(line_of(node), f"switch ({text_of(node.cond)})") as draft:
            condition = self.value(node.cond)
            self.count("compare", condition.ctype)
        condition = Value(INT, sources=condition.after(f"compare.{condition.ctype.tag}", "compare"), key=self.fresh())
        loops = list(self.loops)
        leaving = [loop.leaves for loop in loops]
        for case in node.stmt.block_items or () if kind(node.stmt) == "Compound" else ():
            if kind(case) not in ("Case", "Default"):
                self.refuse(case, "a statement before the first case", "case and default")
            before = dict(self.state)
            self.conditions.append((self.fresh(), condition, ()))
            skips = self.skips
            self.block([each for each in case.stmts or () if kind(each) != "Break"])
            self.skips = skips
            self.conditions.pop()
            after, self.state = self.state, dict(before)
            self.meet(before, after, condition, draft, case)
        for loop, leaves in zip(loops, leaving, strict=True):
            loop.leaves = loop.leaves or leaves

    # calls
    def call(self, node: Node, arguments: list[Node]) -> Value | None:
        """A call of a function of the file: its body is read in place."""
        name = node.name.name if kind(node.name) == "ID" else ""
        if name not in self.functions:
            return None
        if name in self.calling:
            self.refuse(node, f"{name} calls itself", "functions without recursion")
        function = self.functions[name]
        declared = parameters(function)
        if len(declared) != len(arguments):
            self.refuse(node, f"{name} with {len(arguments)} arguments", f"{len(declared)} of them")
        given = []
        for parameter, argument in zip(declared, arguments, strict=True):
            ctype = self.types.of(parameter, self.constant)
            if isinstance(ctype, Number):
                held: State = self.convert(self.value(argument), ctype)
            else:
                place = self.place(argument)
                if isinstance(place, Scalar):
                    self.refuse(node, f"{text_of(argument)[:40]} given to {name} as a pointer", "an array")
                held = place
            given.append((parameter.name, ctype, held))
        outer, self.scopes = self.scopes, [self.scopes[0], {}]
        self.calling.append(name)
        self.returned.append([])
        self.frames.append((len(self.loops), len(self.conditions)))
        for each, ctype, held in given:
            self.bind(each, ctype, held)
        skips, drafts, addressing = self.skips, self.drafts, self.addressing
        self.drafts, self.addressing = [], 0
        self.block(function.body.block_items or ())
        self.drafts, self.addressing, self.skips = drafts, addressing, skips
        returned = self.returned.pop()
        self.frames.pop()
        self.calling.pop()
        self.leave_scope()
        self.scopes = outer
        values = [value for value in returned if value is not None]
        if not values:
            return Value(INT, key=self.fresh())
        kept = values[-1]
        for other in reversed(values[:-1]):
            way = f"select.{kept.ctype.tag}"
            sources = joined([kept.after(way, GUARD), other.after(way, GUARD)])
            kept = Value(kept.ctype, sources=sources, key=self.fresh())
        wanted = self.types.of(function.decl.type.type, self.constant)
        return self.convert(kept, wanted) if isinstance(wanted, Number) and wanted.bits else kept

    def leave(self, node: Node) -> None:
        """return: where it does not come last, what follows is under a condition."""
        value = None
        if node.expr is not None:
            with self.drafting(line_of(node), text_of(node)) as draft:
                value = self.value(node.expr)
            self.forget(draft)
            sources = joined([value.sources, *(condition.sources for _, condition, _ in self.conditions)])
            if self.conditions:
                value = replace(value, sources=sources, key=self.fresh())
        outside, conditions = self.frames[-1]
        for loop in self.loops[outside:]:
            loop.leaves = True
        self.returned[-1].append(value)
        self.skips += 1 if len(self.conditions) > conditions or len(self.loops) > outside else 0


class Unseen:
    """While it lasts, loads, operations and statements leave no trace."""

    def __init__(self, reader: Expressions) -> None:
        self.reader = reader

    def __enter__(self) -> None:
        reader = self.reader
        self.kept = (reader.items, reader.drafts, len(reader.events), dict(reader.state), dict(reader.versions))
        reader.items, reader.drafts = [[]], [Draft(0, "", (), 0)]

    def __exit__(self, *error: object) -> None:
        reader = self.reader
        reader.items, reader.drafts, events, reader.state, reader.versions = self.kept
        del reader.events[events:]


def pure(node: Node) -> bool:
    """Whether an expression has neither side effects nor calls."""
    return not any(
        kind(n) in ("Assignment", "FuncCall") or (kind(n) == "UnaryOp" and n.op in STEPS) for n in walk(node)
    )


def parameters(function: Node) -> list[Node]:
    """The declared parameters of a function definition; (void) has none."""
    args = function.decl.type.args
    found = list(args.params) if args is not None else []
    return [] if len(found) == 1 and found[0].name is None else found
