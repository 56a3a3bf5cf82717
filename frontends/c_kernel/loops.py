"""Loops: which counter they have, from where to where it runs, what an iteration hands to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from design.errors import InputError
from design.hls.loop_nest import Affine
from frontends.c_kernel.analysis import affine
from frontends.c_kernel.c_types import Number
from frontends.c_kernel.declarations import Types
from frontends.c_kernel.directives import Pragma
from frontends.c_kernel.drafts import LoopDraft, Snapshot, Span
from frontends.c_kernel.places import State
from frontends.c_kernel.statements import STEPS, Statements, pure
from frontends.c_kernel.syntax import Node, at, kind, line_of, text_of, walk
from frontends.c_kernel.values import Path, Region, Source, Value, joined

TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "!=": "!="}


@dataclass
class Head:
    """What stands in a loop's head: `steps` are what variables gain per iteration, `counting` the one that it is
    about, tested against `bound` before each iteration (or, with `countdown`, counted down to 0 in the test)."""

    counting: str = ""
    relation: str = ""
    bound: Node = None
    steps: dict[str, int] | None = None
    countdown: str = ""


class Loops(Statements):
    """Reads whole functions."""

    def __init__(self, types: Types, functions: dict[str, Node]) -> None:
        super().__init__(types, functions)
        self.all_loops: list[LoopDraft] = []
        self.snapshots: list[Snapshot] = []
        self.starts: dict[tuple[str, int], Affine] = {}  # of counters, by variable and loop

    # directives
    def inside(self, pragma: Pragma) -> None:
        self.attach(self.loops[-1], pragma)

    def attach(self, loop: LoopDraft, pragma: Pragma) -> None:
        """Puts what a pragma says on a loop."""
        if pragma.directive is None:
            loop.tripcount.update(pragma.tripcount)
            return
        name = pragma.directive.kind
        if name in loop.directives:
            place = at(self.where, pragma.line)
            raise InputError(place, f"{pragma.text} is a second {name} of one loop", f"one {name} a loop")
        loop.directives[name] = pragma.directive

    # loops
    def loop(self, node: Node, label: str, pragmas: Sequence[Pragma]) -> None:
        what = kind(node)
        self.scopes.append({})
        if what == "For" and node.init is not None:
            self.statement_quietly(node.init)
        parent = self.loops[-1].number if self.loops else None
        draft = LoopDraft(len(self.all_loops), label, line_of(node), parent, {}, {}, len(self.conditions))
        self.all_loops.append(draft)
        for pragma in pragmas:
            self.attach(draft, pragma)
        body = self.body_of(node)
        head, body = self.head(node, body)
        changed = self.changed([*body, node.cond, getattr(node, "next", None)])
        self.measure(draft, head, changed, node)
        entry = dict(self.state)
        for name in head.steps or {}:
            held = self.state[name]
            if isinstance(held, Value) and held.affine is not None:
                self.starts[name, draft.number] = held.affine
        self.enter(draft, head, changed)
        if (what != "For" and not head.counting and not head.countdown) or (
            node.cond is not None and not self.simple(head)
        ):
            self.note(node.cond)
        self.loops.append(draft)
        self.items.append(draft.body)
        first = len(self.events)
        self.scopes.append({})
        self.block(body)
        self.leave_scope()
        if what == "For" and node.next is not None and head.steps is None:
            self.statement(node.next)
        self.items.pop()
        self.loops.pop()
        self.items[-1].append(draft)
        self.finish(draft, head, entry, changed, first)
        self.leave_scope()

    def simple(self, head: Head) -> bool:
        """Whether the head was understood (its arithmetic is then not counted)."""
        return bool(head.counting or head.countdown)

    def note(self, condition: Node) -> None:
        """A head's condition that is worked out in every iteration."""
        if condition is not None and pure(condition):
            with self.drafting(line_of(condition), text_of(condition)) as draft:
                self.value(condition)
            self.forget(draft)

    def statement_quietly(self, node: Node) -> None:
        """The start of a loop's counter: read, and no statement unless it loads something."""
        before = len(self.items[-1])
        self.statement(node)
        kept = [d for d in self.items[-1][before:] if isinstance(d, LoopDraft) or d.accesses or d.operations]
        self.items[-1][before:] = kept

    def body_of(self, node: Node) -> list[Node]:
        body = node.stmt
        while kind(body) == "Compound" and len(body.block_items or ()) == 1 and kind(body.block_items[0]) == "Compound":
            body = body.block_items[0]
        return list(body.block_items or ()) if kind(body) == "Compound" else [body]

    def head(self, node: Node, body: list[Node]) -> tuple[Head, list[Node]]:
        """What the head says, and the body without what belongs to the head."""
        what = kind(node)
        condition = _bare(node.cond)
        if what == "DoWhile":
            return Head(), body
        following = node.next if what == "For" else None
        countdown = self.countdown(condition) if following is None else None
        if countdown is not None:
            return countdown, body
        if what == "While" and body and not any(kind(n) == "Continue" for s in body for n in walk(s)):
            steps = self.steps(body[-1])
            if steps is not None and len(steps) == 1:
                head = self.test(condition, steps)
                if head.counting and not self.changed(body[:-1]) & set(steps):
                    return head, body[:-1]
            return Head(), body
        steps = self.steps(following)
        if steps is None:
            return Head(), body
        return self.test(condition, steps), body

    def test(self, condition: Node, steps: dict[str, int]) -> Head:
        """A comparison of a variable that steps with something else."""
        if kind(condition) == "BinaryOp" and condition.op == "&&":
            for side in (condition.left, condition.right):
                found = self.test(_bare(side), steps)
                if found.counting:
                    return replace(found, relation=found.relation + "?")
            return Head(steps=steps)
        if kind(condition) != "BinaryOp" or condition.op not in TURNED:
            return Head(steps=steps)
        left, right = _bare(condition.left), _bare(condition.right)
        for side, other, relation in ((left, right, condition.op), (right, left, TURNED[condition.op])):
            name = self.find(side.name) if kind(side) == "ID" else None
            if name in steps and name is not None:
                return Head(name, relation, other, steps)
        return Head(steps=steps)

    def steps(self, node: Node) -> dict[str, int] | None:
        """What a step adds to which variables, None where it does anything else."""
        found: dict[str, int] = {}
        for each in node.exprs if kind(node) == "ExprList" else [node]:
            if kind(each) == "UnaryOp" and each.op in STEPS and kind(each.expr) == "ID":
                name, by = self.find(each.expr.name), 1 if "+" in each.op else -1
            elif kind(each) == "Assignment" and kind(each.lvalue) == "ID" and pure(each.rvalue):
                name = self.find(each.lvalue.name)
                gain = self.gain(each)
                if gain is None:
                    return None
                by = gain
            else:
                return None
            if name is None or not isinstance(self.state[name], Value) or name in found or not by:
                return None
            found[name] = by
        return found

    def gain(self, node: Node) -> int | None:
        """c of i += c, i -= c, i = i + c, i = c + i and i = i - c."""
        with self.unseen():
            if node.op in ("+=", "-="):
                known = self.value(node.rvalue).known
                return None if known is None else int(known) * (1 if node.op == "+=" else -1)
            right = _bare(node.rvalue)
            if node.op != "=" or kind(right) != "BinaryOp" or right.op not in "+-":
                return None
            one, two = _bare(right.left), _bare(right.right)
            if kind(two) == "ID" and two.name == node.lvalue.name and right.op == "+":
                one, two = two, one
            if kind(one) != "ID" or one.name != node.lvalue.name:
                return None
            known = self.value(two).known
            return None if known is None else int(known) * (1 if right.op == "+" else -1)

    def countdown(self, condition: Node) -> Head | None:
        """i-- or --i, as a whole or compared with 0: tested and counted down in one."""
        if kind(condition) == "BinaryOp" and condition.op in (">", "!="):
            zero = _bare(condition.right)
            if kind(zero) == "Constant" and self.constant(zero) == 0:
                condition = _bare(condition.left)
        if kind(condition) == "UnaryOp" and condition.op in ("p--", "--") and kind(condition.expr) == "ID":
            name = self.find(condition.expr.name)
            if name is not None and isinstance(self.state[name], Value):
                return Head(countdown=name, relation=condition.op, steps={name: -1})
        return None

    def measure(self, draft: LoopDraft, head: Head, changed: set[str], node: Node) -> None:
        """The draft's counter and span."""
        name = head.counting or head.countdown
        if not name and head.steps:
            name = next(iter(head.steps))
        draft.variable = (
            name.rsplit(".", 1)[-1] if name.rsplit(".", 1)[-1].isidentifier() else name.split(".")[-2] if name else ""
        )
        if kind(node) == "DoWhile":
            draft.span = Span(None, atleast=1)
        again = self.changed([*self.body_of(node)]) if name else set()
        start = self.state.get(name)
        first = start.affine if isinstance(start, Value) else None
        if not (head.counting or head.countdown) or (name in again and kind(node) != "While"):
            if name in again:
                head.counting = head.countdown = ""
                head.steps = None
            draft.span = replace(draft.span, span=None, from_unknown=first is None)
            return
        if head.countdown:
            if first is not None:
                span = first if head.relation == "p--" else affine.add(first, Affine(1), -1)
                draft.span = Span(span)
            return
        assert head.steps is not None
        step = head.steps[name]
        last = None
        if pure(head.bound) and not self.changed([head.bound]) and not self.varies(head.bound, changed):
            with self.drafting(line_of(node), text_of(node.cond)) as noted:
                last = self.value(head.bound).affine
            if not noted.accesses and not noted.operations:
                self.items[-1].remove(noted)
        if first is None or last is None:
            draft.span = Span(None, from_unknown=first is None)
            return
        up = step > 0
        span = affine.add(last, first, -1) if up else affine.add(first, last, -1)
        relation = head.relation.rstrip("?")
        if relation in ("<=", ">="):
            span = affine.add(span, Affine(1))
        if relation != "!=" and (relation in ("<", "<=")) != up:
            refuse = f"a loop that counts {'up' if up else 'down'} while {text_of(node.cond)[:40]}"
            self.refuse(node, refuse, "a loop that ends")
        draft.span = Span(span, abs(step))
        draft.leaves = draft.leaves or head.relation.endswith("?")

    def varies(self, node: Node, changed: set[str]) -> bool:
        """Whether an expression reads what the loop changes."""
        return any(kind(n) == "ID" and self.find(n.name) in changed for n in walk(node))

    # what a loop changes
    def changed(self, nodes: Sequence[Node], seen: frozenset[str] = frozenset()) -> set[str]:
        """Variables that may be assigned in some statements, calls included."""
        found: set[str] = set()
        for top in nodes:
            for node in walk(top) if top is not None else ():
                what = kind(node)
                if what == "Assignment":
                    found |= self.targets(node.lvalue)
                elif what == "UnaryOp" and node.op in STEPS:
                    found |= self.targets(node.expr)
                elif what == "FuncCall":
                    for argument in node.args.exprs if node.args is not None else ():
                        for inner in walk(argument):
                            if kind(inner) == "ID" and (name := self.find(inner.name)) is not None:
                                held = self.state.get(name)
                                if getattr(held, "name", None) is not None:
                                    found.add(held.name)  # type: ignore[union-attr]
                            if kind(inner) == "UnaryOp" and inner.op == "&":
                                found |= self.targets(inner.expr)
                    callee = node.name.name if kind(node.name) == "ID" else ""
                    if callee in self.functions and callee not in seen:
                        scopes, self.scopes = self.scopes, self.scopes[:1]
                        found |= self.changed([self.functions[callee].body], seen | {callee})
                        self.scopes = scopes
        return found

    def targets(self, node: Node) -> set[str]:
        """Scalars and pointers that an assignment to an lvalue changes."""
        base = node
        inner = {"ArrayRef": "name", "StructRef": "name", "UnaryOp": "expr", "Cast": "expr", "BinaryOp": "left"}
        while kind(base) in inner:
            base = getattr(base, inner[kind(base)])
        name = self.find(base.name) if kind(base) == "ID" else None
        if name is None:
            return set()
        held = self.state.get(name)
        if isinstance(held, Value):
            return {name}
        if isinstance(held, Region):
            if base is node:
                return {name}
            return {
                scalar for scalar in self.state if scalar.startswith(f"{held.array}.") and kind(node) == "StructRef"
            }
        return {held.name} if held is not None else set()

    # what iterations hand on
    def enter(self, draft: LoopDraft, head: Head, changed: set[str]) -> None:
        """The state as an iteration begins."""
        for name in changed:
            held = self.state.get(name)
            if isinstance(held, Value):
                ctype = self.ctypes[name]
                assert isinstance(ctype, Number)
                source: Source = (name, draft.number)
                self.state[name] = Value(ctype, sources={source: Path()}, key=self.fresh())
            elif isinstance(held, Region):
                self.state[name] = replace(held, offset=None)
        for name, step in (head.steps or {}).items():
            start, ctype = self.starts.get((name, draft.number)), self.ctypes[name]
            assert isinstance(ctype, Number)
            if start is None:
                key = self.fresh()  # a counter that starts somewhere
                self.state[name] = Value(ctype, key=key)
                self.walkers[key] = draft
            else:
                begin = affine.add(start, Affine(1), -1) if head.countdown else start
                self.state[name] = self.integer(ctype, affine.counter(draft.number, begin, step))

    def finish(self, draft: LoopDraft, head: Head, entry: dict[str, State], changed: set[str], first: int) -> None:
        """The state after the loop; what scalars hand on from iteration to iteration is noted."""
        ends = {name: held for name in changed if isinstance(held := self.state.get(name), Value) and name in entry}
        for name in head.steps or {}:
            ends.pop(name, None)
        used: dict[Source, int] = {}
        for event in self.events[first:]:
            for source in event.sources:
                used[source] = used.get(source, 0) + 1
        carried = {name: (name, draft.number) for name in ends}
        live = {name for name, source in carried.items() if source in used}
        live |= {name for name, source in carried.items() if any(source in end.sources for end in ends.values())}
        alone = {
            name
            for name, source in carried.items()
            if source not in used
            and not any(source in other.sources for each, other in ends.items() if each != name and each in live)
        }
        stores = {event.number: event.sources for event in self.events[first:] if event.write}
        sources = {name: end.sources for name, end in ends.items()}
        self.snapshots.append(Snapshot(draft.number, stores, sources, frozenset(alone)))
        origin: dict[Source, dict[Source, Path]] = {}
        for name in ends:
            origin[carried[name]] = self.origin(name, entry, ends, carried)
        for event in self.events[first:]:
            event.sources = _replaced(event.sources, origin)
        for name, end in ends.items():
            self.state[name] = Value(end.ctype, sources=_replaced(end.sources, origin), key=self.fresh())
        for name in head.steps or {}:
            self.state[name] = self.final(name, draft, head, self.ctypes[name])

    def origin(
        self, name: str, entry: dict[str, State], ends: dict[str, Value], carried: dict[str, tuple[str, int]]
    ) -> dict[Source, Path]:
        """Where a scalar's value as an iteration begins may come from: before the loop, or the last iteration."""
        before, inside = entry[name], set(carried.values())
        assert isinstance(before, Value)
        last = {source: path for source, path in ends[name].sources.items() if source not in inside}
        return joined([before.sources, last])

    def final(self, name: str, draft: LoopDraft, head: Head, ctype: object) -> Value:
        """A counter's value after its loop, where the trips are constant."""
        assert isinstance(ctype, Number)
        start, span = self.starts.get((name, draft.number)), draft.span.span
        if start is None or span is None or span.terms or draft.leaves or head.countdown:
            return Value(ctype, key=self.fresh())
        trips = max(0, -(-span.constant // draft.span.step))
        form = affine.add(start, Affine(trips * (head.steps or {})[name]))
        return self.number(ctype, form.constant) if not form.terms else self.integer(ctype, form)


def _replaced(sources: object, origin: dict[Source, dict[Source, Path]]) -> dict[Source, Path]:
    """Sources with the scalars of an inner loop put down to where they come from."""
    assert isinstance(sources, dict)
    parts: list[dict[Source, Path]] = [{s: p for s, p in sources.items() if s not in origin}]
    for source, path in sources.items():
        if source in origin:
            parts.append({deeper: before.on(path) for deeper, before in origin[source].items()})
    return joined(parts)


def _bare(node: Node) -> Node:
    """Without casts."""
    while kind(node) == "Cast":
        node = node.expr
    return node
