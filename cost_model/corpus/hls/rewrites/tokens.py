"""C text as tokens that put together again are the text, and what can be told of it without parsing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

SPACE, COMMENT, DIRECTIVE, TEXT, NUMBER, NAME, SIGN = "space", "comment", "directive", "text", "number", "name", "sign"
_TOKENS = re.compile(
    r"""(?P<comment>/\*.*?\*/|//[^\n]*)
      | (?P<directive>\#(?:/\*.*?\*/|[^\n\\]|\\.)*)
      | (?P<space>\s+)
      | (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<number>\.?\d(?:[eEpP][+-]|[\w.])*)
      | (?P<name>[A-Za-z_]\w*)
      | (?P<sign><<=|>>=|\.\.\.|->|\+\+|--|&&|\|\||<<|>>|[-+*/%&|^<>=!]=|.)""",
    re.DOTALL | re.VERBOSE,
)
_TYPES = "char short int long float double void signed unsigned _Bool _Complex struct union enum const volatile"
TYPES = frozenset(_TYPES.split())
_OTHERS = """
    auto break case continue default do else extern for goto if inline register restrict return sizeof static switch
    typedef while
"""
KEYWORDS = TYPES | frozenset(_OTHERS.split())
_ASSIGNMENTS = "= += -= *= /= %= &= |= ^= <<= >>="
ASSIGNMENTS = frozenset(_ASSIGNMENTS.split())
OPENING, CLOSING = frozenset("([{"), frozenset(")]}")


@dataclass(frozen=True)
class Token:
    """A piece of text of one `kind`, on a line of the file (counted from 1)."""

    kind: str
    text: str
    line: int


@dataclass(frozen=True)
class Words:
    """Names of a file by what they stand for: functions that it defines, types that it defines, macros that stand for
    more than a number, variables that are plain ints wherever they are declared, and macros and enumerators that are
    whole numbers."""

    functions: frozenset[str]
    types: frozenset[str]
    macros: frozenset[str]
    ints: frozenset[str]
    constants: frozenset[str]


def tokens_of(source: str) -> list[Token]:
    """All tokens, white space and comments too."""
    found, line = [], 1
    for match in _TOKENS.finditer(source):
        found.append(Token(str(match.lastgroup), match[0], line))
        line += match[0].count("\n")
    return found


def code_of(source: str) -> list[Token]:
    """Tokens without white space and comments."""
    return [token for token in tokens_of(source) if token.kind not in (SPACE, COMMENT)]


def closing(code: Sequence[Token], start: int) -> int:
    """Where the bracket that opens at `start` closes; the end of the text where it does not."""
    depth = 0
    for place in range(start, len(code)):
        if code[place].kind == SIGN:
            depth += (code[place].text in OPENING) - (code[place].text in CLOSING)
            if depth == 0:
                return place
    return len(code)


def words_of(code: Sequence[Token]) -> Words:
    """See `Words`."""
    functions, types, macros = set[str](), set[str](), set[str]()
    ints, others, constants = set[str](), set[str](), set[str]()
    depth, brackets = 0, 0
    for place, token in enumerate(code):
        after = code[place + 1].text if place + 1 < len(code) else ""
        if token.kind == DIRECTIVE:
            match = re.match(r"\s*#\s*define\s+(\w+)(.*)", token.text, re.DOTALL)
            if match and not re.fullmatch(r"\s*[-+(]*\d\w*\)*\s*", match[2]):
                macros.add(match[1])
            elif match and re.fullmatch(r"\s*\(*[-+]?\d+\)*\s*", match[2]):
                constants.add(match[1])
        elif token.kind == SIGN:
            depth += (token.text == "{") - (token.text == "}")
            brackets += (token.text == "(") - (token.text == ")")
        elif token.kind == NAME and token.text not in KEYWORDS:
            if depth == 0 and after == "(" and (end := closing(code, place + 1)) + 1 < len(code):
                if code[end + 1].text == "{":
                    functions.add(token.text)
            elif _declared(code, place, after, brackets, types):
                (ints if _plain_int(code, place) else others).add(token.text)
        if token.text == "typedef" and token.kind == NAME:
            end = place
            while end < len(code) and code[end].text != ";":
                end = closing(code, end) if code[end].text == "{" else end + 1
            types |= {t.text for t in code[max(place, end - 1) : end] if t.kind == NAME}
        if token.text == "enum" and token.kind == NAME:
            start = next((i for i in (place + 1, place + 2) if i < len(code) and code[i].text == "{"), len(code))
            inside = code[start : closing(code, start)] if start < len(code) else []
            constants |= {t.text for before, t in pairwise(inside) if t.kind == NAME and before.text in ("{", ",")}
    sets = functions, types, macros, ints - others, constants - others - ints
    return Words(*map(frozenset, sets))


def _declared(code: Sequence[Token], place: int, after: str, brackets: int, types: set[str]) -> bool:
    """Whether the name at `place` may be declared there, within so many brackets; too often is safe."""
    if place < 1 or after not in ("=", ";", ",", ")", "["):
        return False
    before, further = code[place - 1], code[place - 2].text if place > 1 else ""
    if before.text == "*":
        return further in TYPES | types | {"*"} or further.endswith("_t")
    if before.text == ",":
        return brackets == 0
    return before.kind == NAME and before.text not in ("return", "else", "case", "goto", "do", "sizeof")


def _plain_int(code: Sequence[Token], place: int) -> bool:
    """Whether the name at `place` is declared as `int NAME`, with nothing before the int that could be part of it."""
    if place < 1 or code[place - 1].text != "int":
        return False
    return place < 2 or code[place - 2].text in (";", "{", "}", "(", ",") or code[place - 2].kind == DIRECTIVE
