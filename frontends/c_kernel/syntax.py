"""C text -> syntax tree. The only file that knows the preprocessor (pcpp) and the parser (pycparser).

Macros and conditions are worked out (but for macros in pragmas), pragmas kept, `#include <...>` left out (types of
stdint.h, stddef.h and stdbool.h are known), line numbers are those of the file. The rest of the package tells nodes by
their class's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import StringIO
from typing import Any

from design.errors import InputError

MOST_BYTES = 1 << 20  # of source text, and of eight times as much once macros are expanded
PRELUDE = " ".join(
    f"typedef {meaning} {name};"
    for name, meaning in {
        **{f"int{bits}_t": kind for bits, kind in ((8, "signed char"), (16, "short"), (32, "int"), (64, "long"))},
        **{
            f"uint{bits}_t": f"unsigned {kind}"
            for bits, kind in ((8, "char"), (16, "short"), (32, "int"), (64, "long"))
        },
        "size_t": "unsigned long",
        "ptrdiff_t": "long",
        "bool": "_Bool",
    }.items()
)
DEFINED = (
    "__attribute__(x)",
    "__restrict",
    "__restrict__",
    "__inline",
    "__inline__",
    "__extension__",
    "true 1",
    "false 0",
)
ONE_FILE = "one self-contained file; only #include <...> is left out"

Node = Any  # of pycparser


def at(where: str, line: int | None) -> str:
    """How a place in a source file is named in errors."""
    return f"{where} line {line}" if line else where


def parse(text: str, where: str) -> Node:
    """The syntax tree of a file. Raises InputError naming line and token where it is not C."""
    if len(text) > MOST_BYTES:
        raise InputError(where, f"{len(text)} characters", f"a kernel of at most {MOST_BYTES}")
    from pycparser.c_parser import CParser, ParseError

    expanded = preprocess(text, where)
    parser = CParser()
    try:
        return parser.parse(f'{PRELUDE}\n#line 1 "{NAME}"\n{expanded}', NAME)
    except ParseError as error:
        message = str(error)
        match = re.match(rf"{NAME}:(\d+)(?::\d+)?: *(.*)", message, re.DOTALL)
        line, rest = (int(match[1]), match[2]) if match else (None, message.removeprefix(f"{NAME}: "))
        if line is None and (token := parser._peek()) is not None:  # its message does not always say where
            line, rest = token.lineno, f"{rest} before {token.value}"
        raise InputError(at(where, line), f"does not parse ({rest[:80]})", "C source text") from None
    except RecursionError:
        raise InputError(where, "is nested too deeply", "a loop nest that people could write") from None


NAME = "kernel.c"  # for the parser; errors name the file as the user did


def preprocess(text: str, where: str) -> str:
    """Macros expanded. Raises InputError for what the preprocessor refuses."""
    from pcpp.preprocessor import Action, OutputDirective, Preprocessor

    class Quiet(Preprocessor):
        """Raises what the library would print, and opens no file."""

        def on_error(self, file: str, line: int, msg: str) -> None:
            raise InputError(at(where, line), f"the preprocessor stopped ({msg[:80]})", "C source text")

        def on_directive_handle(self, directive: Any, toks: Any, ifpassthru: Any, precedingtoks: Any) -> Any:
            if directive.value == "include":
                said = "".join(token.value for token in toks).strip()
                if not said.startswith("<"):
                    raise InputError(at(where, directive.lineno), f"#include {said[:40]}", ONE_FILE)
                raise OutputDirective(Action.IgnoreAndRemove)
            return super().on_directive_handle(directive, toks, ifpassthru, precedingtoks)

        def on_directive_unknown(self, directive: Any, toks: Any, ifpassthru: Any, precedingtoks: Any) -> Any:
            if directive.value in ("error", "warning"):
                said = "".join(token.value for token in toks).strip()
                if directive.value == "error":
                    raise InputError(at(where, directive.lineno), f"#error {said[:60]}", "a source without it")
                return True
            return None

    reader = Quiet()
    for macro in DEFINED:
        reader.define(macro)
    out = StringIO()
    try:
        reader.parse(text if text.endswith("\n") else text + "\n", NAME)
        reader.write(out)
    except RecursionError:
        raise InputError(where, "has macros nested too deeply", "C source text") from None
    except (IndexError, ValueError, AssertionError) as error:  # what the library makes of some broken macro calls
        raise InputError(where, "does not parse (the preprocessor failed)", "C source text") from error
    if out.tell() > 8 * MOST_BYTES:
        raise InputError(where, "is too long once macros are expanded", f"at most {8 * MOST_BYTES} characters")
    return out.getvalue()


def kind(node: Node) -> str:
    """The class of a node by name: 'For', 'Assignment', .. ('' for None)."""
    return "" if node is None else type(node).__name__


def line_of(node: Node) -> int:
    """Line of a node in the file, 0 where the parser does not say."""
    return int(node.coord.line) if getattr(node, "coord", None) is not None else 0


def text_of(node: Node) -> str:
    """A node as C text on one line."""
    from pycparser.c_generator import CGenerator

    return " ".join(CGenerator().visit(node).split())


def walk(node: Node) -> Iterator[Node]:
    """A node and all below it, outside in."""
    waiting = [node]
    while waiting:
        found = waiting.pop()
        if found is not None:
            yield found
            waiting += [child for _, child in reversed(found.children())]
