"""Adjacent assignments swapped where neither needs the other.

Two things must agree. In the text neither may name what the other writes; and in the loop nest, where calls are inlined
and pointers followed, no variable that one of them writes may be touched by the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from numpy.random import Generator

from cost_model.corpus.hls.rewrites.base import Rewritten
from cost_model.corpus.hls.rewrites.tokens import (
    ASSIGNMENTS,
    COMMENT,
    DIRECTIVE,
    KEYWORDS,
    NAME,
    SIGN,
    SPACE,
    Token,
    Words,
    closing,
    tokens_of,
    words_of,
)
from design.hls.loop_nest import Kernel, Statement


@dataclass(frozen=True)
class Assignment:
    """Of code tokens `first` to `last`, the semicolon: to the variable `target`, naming `names` in all."""

    first: int
    last: int
    target: str
    names: frozenset[str]
    lines: frozenset[int]


def other_order(kernel: Kernel, rng: Generator) -> Rewritten:
    """Each pair of neighbours that may be swapped is swapped by the toss of a coin, none twice."""
    tokens = tokens_of(kernel.source)
    places = [place for place, token in enumerate(tokens) if token.kind not in (SPACE, COMMENT)]
    code = [tokens[place] for place in places]
    if any(token.text == "volatile" for token in code):  # the order itself has a meaning
        return Rewritten(kernel.source)
    pieces = [token.text for token in tokens]
    swapped = -1
    found = assignments(code, words_of(code))
    for one, two in pairwise(found):
        if one.first <= swapped or two.first != one.last + 1 or not independent(one, two, kernel.statements):
            continue
        if rng.random() < 0.5:
            a, b = places[one.first], places[one.last] + 1
            c, d = places[two.first], places[two.last] + 1
            first, second = pieces[a:b], pieces[c:d]
            pieces[a:d] = [*second, *pieces[b:c], *first]
            swapped = two.last
    return Rewritten("".join(pieces))


def assignments(code: Sequence[Token], words: Words) -> list[Assignment]:
    """Statements of the form NAME[..].. = value; that stand alone in a block, without calls of functions of this file,
    further assignments or pointers."""
    found: list[Assignment] = []
    start, depth = 0, 0
    for place, token in enumerate(code):
        if token.kind == DIRECTIVE:
            start = place + 1
        elif token.kind == SIGN and token.text in "()[]":
            depth += 1 if token.text in "([" else -1
        elif token.kind == SIGN and depth == 0 and token.text in "{};":
            if token.text == ";" and (one := _assignment(code, start, place, words)) is not None:
                found.append(one)
            start = place + 1
    return found


def independent(one: Assignment, two: Assignment, statements: Sequence[Statement]) -> bool:
    """Whether neither needs the other."""
    if one.target in two.names or two.target in one.names:
        return False
    touched = [_touched(each, statements) for each in (one, two)]
    (read, written), (other_read, other_written) = touched
    return not (written & (other_read | other_written) or other_written & read)


def _assignment(code: Sequence[Token], start: int, last: int, words: Words) -> Assignment | None:
    run = code[start:last]
    if len(run) < 3 or run[0].kind != NAME or run[0].text in KEYWORDS:
        return None
    place = start + 1
    while place < last and code[place].text == "[":
        place = closing(code, place) + 1
    if place >= last or code[place].text not in ASSIGNMENTS:
        return None
    rest = [*code[start + 1 : place], *code[place + 1 : last]]
    loose = {"++", "--", "&", "->", ".", "{"} | ASSIGNMENTS
    if any(t.kind == SIGN and t.text in loose for t in rest) or any(t.kind == DIRECTIVE for t in run):
        return None
    names = frozenset(token.text for token in run if token.kind == NAME)
    if names & (words.functions | words.macros):
        return None
    lines = frozenset(range(run[0].line, code[last].line + 1))
    return Assignment(start, last, run[0].text, names, lines)


def _touched(one: Assignment, statements: Sequence[Statement]) -> tuple[set[str], set[str]]:
    """Variables that statements of these lines read and write, as the loop nest calls them."""
    read, written = set[str](), set[str]()
    for statement in statements:
        if statement.line in one.lines:
            read |= {*statement.reads, *(a.array for a in statement.accesses if not a.write)}
            written |= {*statement.writes, *(a.array for a in statement.accesses if a.write)}
    return read, written
