"""C types as far as hardware cares: how many bits, floating or not, and what arithmetic makes of two of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Number:
    """A scalar type."""

    bits: int
    floating: bool = False
    signed: bool = True
    name: str = field(default="", compare=False)

    @property
    def tag(self) -> str:
        """'f64', 'i32' and the like, as in the names of operations."""
        return f"{'f' if self.floating else 'i'}{self.bits}"


@dataclass(frozen=True)
class Rows:
    """An array type, or a pointer (`size` None)."""

    element: CType
    size: int | None


@dataclass(frozen=True)
class Record:
    """A struct type."""

    name: str
    members: Mapping[str, CType] = field(hash=False)


CType = Number | Rows | Record
INT, LONG, DOUBLE, FLOAT = Number(32), Number(64), Number(64, True), Number(32, True)
VOID = Number(0, name="void")


def named(words: list[str]) -> Number | None:
    """The type that words such as 'unsigned long' name; None where they name none."""
    known = set(words)
    signed = "unsigned" not in known
    text = " ".join(words)
    if "void" in known:
        return VOID
    if "double" in known:
        return Number(64, True, True, text)
    if "float" in known:
        return Number(32, True, True, text)
    if "_Bool" in known:
        return Number(8, False, False, text)
    if "char" in known:
        return Number(8, False, signed, text)
    if "short" in known:
        return Number(16, False, signed, text)
    if "long" in known:
        return Number(64, False, signed, text)
    if known & {"int", "signed", "unsigned"}:
        return Number(32, False, signed, text)
    return None


def promoted(one: Number) -> Number:
    """What a type becomes in arithmetic: nothing is narrower than int."""
    return INT if not one.floating and one.bits < 32 else one


def common(one: Number, two: Number) -> Number:
    """The type two operands meet in."""
    if one.floating or two.floating:
        return Number(max(n.bits for n in (one, two) if n.floating), True)
    one, two = promoted(one), promoted(two)
    bits = max(one.bits, two.bits)
    return Number(bits, False, all(n.signed for n in (one, two) if n.bits == bits))


def size_in_bytes(ctype: CType) -> int:
    """As sizeof says, but for padding; a pointer or an array of unknown length has 8."""
    if isinstance(ctype, Number):
        return max(1, ctype.bits // 8)
    if isinstance(ctype, Record):
        return sum(size_in_bytes(member) for member in ctype.members.values())
    return 8 if ctype.size is None else ctype.size * size_in_bytes(ctype.element)
