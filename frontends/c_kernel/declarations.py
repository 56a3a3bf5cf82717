"""What C declarations say: typedefs, structs, enumerators and the types of variables."""

from __future__ import annotations

from collections.abc import Callable

from design.errors import InputError
from frontends.c_kernel.c_types import INT, VOID, CType, Number, Record, Rows, named
from frontends.c_kernel.syntax import Node, at, kind, line_of, text_of


class Types:
    """The types of a file. `constant` works out a constant expression (an array's size)."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.typedefs: dict[str, CType] = {}
        self.structs: dict[str, Record] = {}
        self.enumerators: dict[str, int] = {}

    def of(self, node: Node, constant: Callable[[Node], int | None]) -> CType:
        """The type of a declarator's type node. Raises InputError for types that no hardware has here."""
        what = kind(node)
        if what in ("Typename", "Decl", "Typedef"):
            return self.of(node.type, constant)
        if what == "TypeDecl":
            return self.of(node.type, constant)
        if what == "IdentifierType":
            words = list(node.names)
            if len(words) == 1 and words[0] in self.typedefs:
                return self.typedefs[words[0]]
            if (found := named(words)) is not None:
                return found
        if what == "PtrDecl":
            return Rows(self.of(node.type, constant), None)
        if what == "ArrayDecl":
            size = constant(node.dim) if node.dim is not None else None
            if node.dim is not None and size is not None and size < 1:
                raise InputError(at(self.where, line_of(node)), f"an array of {size} elements", "at least one")
            return Rows(self.of(node.type, constant), size)
        if what == "Struct":
            return self._struct(node, constant)
        if what == "Enum":
            self._enumerate(node, constant)
            return INT
        if what == "FuncDecl":
            return VOID
        raise InputError(at(self.where, line_of(node)), f"type {text_of(node)[:60]}", "numbers, arrays and structs")

    def _struct(self, node: Node, constant: Callable[[Node], int | None]) -> Record:
        name = node.name or f"struct at {line_of(node)}"
        if node.decls is not None:
            self.structs[name] = Record(name, {member.name: self.of(member, constant) for member in node.decls})
        if name not in self.structs:
            raise InputError(at(self.where, line_of(node)), f"struct {name}", "one whose members are declared")
        return self.structs[name]

    def _enumerate(self, node: Node, constant: Callable[[Node], int | None]) -> None:
        following = 0
        for entry in node.values.enumerators if node.values is not None else ():
            said = constant(entry.value) if entry.value is not None else following
            self.enumerators[entry.name] = following if said is None else said
            following = self.enumerators[entry.name] + 1


def literal(node: Node) -> tuple[Number, float]:
    """Type and number of a Constant node."""
    text = node.value
    if "float" in node.type or "double" in node.type:
        single = text[-1] in "fF" and not text.lower().startswith("0x")
        digits = text.rstrip("fFlL") if not text.lower().startswith("0x") else text.rstrip("lL")
        return Number(32 if single else 64, True), (
            float.fromhex(digits) if digits.lower().startswith("0x") else float(digits)
        )
    if node.type == "char" or text.startswith("'"):
        return INT, _character(text)
    digits = text.rstrip("uUlL")
    suffix = text[len(digits) :].lower()
    low = digits.lower()
    octal = low.startswith("0") and low.isdigit() and low != "0"
    value = int(low[1:] or "0", 8) if octal else int(low, 0)
    wide = "l" in suffix or value >= 2**31
    return Number(64 if wide else 32, False, "u" not in suffix), value


def _character(text: str) -> int:
    inside = text[text.index("'") + 1 : -1]
    named_ones = {"\\n": 10, "\\t": 9, "\\r": 13, "\\0": 0, "\\\\": 92, "\\'": 39, '\\"': 34, "\\a": 7, "\\b": 8}
    if inside in named_ones:
        return named_ones[inside]
    if inside.startswith("\\x"):
        return int(inside[2:], 16)
    return int(inside[1:], 8) if inside.startswith("\\") else ord(inside[0])
