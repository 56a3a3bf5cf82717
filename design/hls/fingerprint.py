"""How a copy of a kernel is known under other names.

By its text with names replaced by the order of their first appearance and numbers by their values, pragmas and comments
left out; and by what its loops do, so that other declarations, macros, forms of loops or an order of statements that
does not matter hide nothing.
"""

from __future__ import annotations

import re

from design.hls.loop_nest import Kernel
from design.hls.nest_form import body_form, by_use, recurrence_form, short_hash

LEFT_OUT = re.compile(r"/\*.*?\*/|//[^\n]*|^[ \t]*#[ \t]*pragma\b(?:[^\n]*\\\n)*[^\n]*", re.DOTALL | re.MULTILINE)
TOKEN = re.compile(r"[A-Za-z_]\w*|\.?\d(?:[eEpP][+-]|[\w.])*|\S")
SUFFIX = "uUlLfF"


def likeness(source: str) -> str:
    """Hash of a program but for names, spelling of numbers, pragmas, comments and white space."""
    order: dict[str, int] = {}
    tokens = TOKEN.findall(LEFT_OUT.sub(" ", source))
    told = [f"n{order.setdefault(t, len(order))}" if t[0].isalpha() or t[0] == "_" else _plain(t) for t in tokens]
    return short_hash(" ".join(told))


def nest_likeness(kernel: Kernel) -> str:
    """Hash of a kernel's loops, statements and recurrences but for names, directives and the order of statements."""
    naming = by_use(kernel)
    return short_hash(repr((body_form(kernel, naming, directives=False), recurrence_form(kernel, naming))))


def likenesses(kernel: Kernel) -> tuple[str, str]:
    """Both: a kernel that shares either with another is a copy of it."""
    return likeness(kernel.source), nest_likeness(kernel)


def marks_of(kernel: Kernel) -> tuple[str, str, str]:
    """All hashes that a kernel or a copy of it is known by: of the source as it is, and both likenesses."""
    return kernel.digest, *likenesses(kernel)


def _plain(token: str) -> str:
    """A number by its value, whatever its base, its suffixes and the zeros behind its point; other tokens as they are.
    1 and 1.0 stay apart, for in C they are."""
    if not token[0].isdigit() and not (token[0] == "." and len(token) > 1):
        return token
    base16 = token[:2].lower() == "0x"
    bare = token.rstrip("uUlL") if base16 else token.rstrip(SUFFIX)
    try:
        if base16:
            return str(int(bare, 16))
        if bare.isdigit() and "f" not in token.lower():
            return str(int(bare, 8 if len(bare) > 1 and bare[0] == "0" else 10))
        return f"{float(bare)!r}f"
    except ValueError:
        return token
