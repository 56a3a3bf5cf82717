"""The same loops and sums in other words: i < n and i <= n - 1, i++ and i += 1, a * b and b * a.

Swapped operands give the same bits: + and * commute, even where they do not associate, so that only the first two of a
row of terms change places.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from numpy.random import Generator

from cost_model.corpus.hls.rewrites.base import Rewritten
from cost_model.corpus.hls.rewrites.tokens import (
    ASSIGNMENTS,
    CLOSING,
    COMMENT,
    DIRECTIVE,
    KEYWORDS,
    NAME,
    NUMBER,
    SIGN,
    SPACE,
    TYPES,
    Token,
    Words,
    closing,
    tokens_of,
    words_of,
)
from design.hls.loop_nest import Kernel

SAME = ("++{0}", "{0}++", "{0} += 1")
BACK = ("--{0}", "{0}--", "{0} -= 1")
_STARTS = "( [ , ? : ; { } < > <= >= == != && ||"
STARTS = ASSIGNMENTS | frozenset(_STARTS.split())  # an operand stands alone after


def other_loop_forms(kernel: Kernel, rng: Generator) -> Rewritten:
    """Conditions and steps of for loops in another form, each by the toss of a coin.

    Bounds are sums of counters and constants. To take 1 from any other variable would be an operation more, and from an
    unsigned one it could give a very large number.
    """
    tokens = tokens_of(kernel.source)
    places, code, pieces = _code(tokens)
    words = words_of(code)
    whole = words.constants | (words.ints & {loop.variable.split(".")[-1] for loop in kernel.loops})
    for place, token in enumerate(code):
        if token.kind == NAME and token.text == "for" and place + 1 < len(code) and code[place + 1].text == "(":
            end = closing(code, place + 1)
            stops = [i for i in range(place + 2, end) if code[i].text == ";" and _level(code, place + 2, i) == 0]
            if len(stops) != 2 or end == len(code):
                continue
            for first, last, other in (
                (stops[0] + 1, stops[1], _other_condition(code[stops[0] + 1 : stops[1]], whole)),
                (stops[1] + 1, end, _other_step(code[stops[1] + 1 : end], rng)),
            ):
                if other and rng.random() < 0.5:
                    a, b = places[first], places[last - 1] + 1
                    pieces[a:b] = [other] + [""] * (b - a - 1)
    return Rewritten("".join(pieces))


def swapped_operands(kernel: Kernel, rng: Generator) -> Rewritten:
    """Operands of + and * swapped, each pair by the toss of a coin, none within another that was."""
    tokens = tokens_of(kernel.source)
    places, code, pieces = _code(tokens)
    words = words_of(code)
    done = -1
    for place, token in enumerate(code):
        if token.kind == SIGN and token.text in ("+", "*") and place > done:
            sides = _sides(code, place, words)
            if sides is None or sides[0] <= done or rng.random() < 0.5:
                continue
            a, b, c, d = places[sides[0]], places[place - 1] + 1, places[place + 1], places[sides[1]] + 1
            pieces[a:d] = [*pieces[c:d], *pieces[b:c], *pieces[a:b]]
            done = sides[1]
    return Rewritten("".join(pieces))


def _code(tokens: Sequence[Token]) -> tuple[list[int], list[Token], list[str]]:
    """Where code tokens are among all, they themselves, and the text of all."""
    places = [place for place, token in enumerate(tokens) if token.kind not in (SPACE, COMMENT)]
    return places, [tokens[place] for place in places], [token.text for token in tokens]


def _level(code: Sequence[Token], first: int, place: int) -> int:
    texts = [token.text for token in code[first:place] if token.kind == SIGN]
    return sum(t in ("(", "[", "{") for t in texts) - sum(t in CLOSING for t in texts)


def _other_condition(code: Sequence[Token], whole: AbstractSet[str]) -> str:
    """`x < n` and `x <= n - 1` turned into each other; "" where x is no name of `whole`, or n no sum of such names and
    numbers."""
    if len(code) < 3 or code[0].text not in whole or code[1].text not in ("<", "<="):
        return ""
    bound = code[2:]
    for token in bound:
        number = token.kind == NUMBER and token.text.isdigit() and int(token.text) < 2**30
        if not number and token.text not in whole | {"+", "-", "*", "(", ")"}:
            return ""
    said = " ".join(token.text for token in bound)
    if code[1].text == "<":
        return f"{code[0].text} <= {int(said) - 1 if _decimal(said) else said + ' - 1'}"
    if _decimal(said):
        return f"{code[0].text} < {int(said) + 1}"
    ends = [token.text for token in bound[-2:]] == ["-", "1"] and len(bound) > 2 and bound[-3].text not in "(+-*"
    return f"{code[0].text} < {' '.join(t.text for t in bound[:-2]) if ends else said + ' + 1'}"


def _decimal(text: str) -> bool:
    return text.isdigit() and text[0] != "0"


def _other_step(code: Sequence[Token], rng: Generator) -> str:
    """`i++`, `++i` and `i += 1` turned into one of the others, and the same downwards."""
    texts = [token.text for token in code]
    name = next((token.text for token in code if token.kind == NAME), "")
    for forms in (SAME, BACK):
        spelt = [form.format(name).split() for form in forms]
        spelt = [[name, form[0].replace(name, "")] if len(form) == 1 else form for form in spelt]
        spelt[0].reverse()
        if name and texts in spelt:
            others = [form for form, s in zip(forms, spelt, strict=True) if s != texts]
            return others[int(rng.integers(len(others)))].format(name)
    return ""


def _sides(code: Sequence[Token], place: int, words: Words) -> tuple[int, int] | None:
    """The first token of the operand before an operator and the last of that after it, if both are whole operands."""
    product = code[place].text == "*"
    first = _operand_before(code, place - 1, words)
    last = _operand_after(code, place + 1, words)
    if not product:  # a term of a sum may be a product
        while first is not None and first > 1 and code[first - 1].text in ("*", "/", "%"):
            first = _operand_before(code, first - 2, words)
        while last is not None and last + 2 < len(code) and code[last + 1].text in ("*", "/", "%"):
            last = _operand_after(code, last + 2, words)
    if first is None or last is None or first < 1 or last + 1 >= len(code):
        return None
    before = code[first - 1]
    if not (before.text in STARTS or before.text == "return" or (product and _binary(code, first - 1, words))):
        return None
    return first, last


def _binary(code: Sequence[Token], place: int, words: Words) -> bool:
    """Whether the + or - at `place` stands between two operands."""
    if code[place].text not in ("+", "-") or place < 1:
        return False
    return _operand_before(code, place - 1, words) is not None


def _operand_before(code: Sequence[Token], last: int, words: Words) -> int | None:
    """Where the operand that ends at `last` begins: a number, or a name or a bracket with its indices."""
    place = last
    while place >= 0 and code[place].text == "]":
        place = _opening(code, place) - 1
    if place < 0 or not _whole(code, place, last, words):
        return None
    start = _opening(code, place) if code[place].text == ")" else place
    if start < 0 or not _plain(code[start : last + 1], words):
        return None
    before = code[start - 1] if start else Token(SIGN, ";", 0)
    if code[place].text == ")" and (before.kind == NAME or before.text in (")", "]")):
        return None  # a call, or a cast before a bracket
    if before.text in (".", "->", "++", "--", "!", "~", "&") or (before.text == ")" and code[place].kind != SIGN):
        return None
    return start


def _operand_after(code: Sequence[Token], first: int, words: Words) -> int | None:
    """Where the operand that begins at `first` ends."""
    if first >= len(code):
        return None
    place = closing(code, first) if code[first].text == "(" else first
    last = place
    while last + 1 < len(code) and code[last + 1].text == "[":
        last = closing(code, last + 1)
    if last + 1 >= len(code) or not _whole(code, place, last, words) or not _plain(code[first : last + 1], words):
        return None
    after = code[last + 1]
    cast = code[first].text == "(" and (after.kind in (NAME, NUMBER) or after.text == "(")
    return None if cast or after.text in ("(", ".", "->", "++", "--") else last


def _whole(code: Sequence[Token], place: int, last: int, words: Words) -> bool:
    """Whether an operand may have its name, number or closing bracket at `place`."""
    token = code[place]
    if token.kind == NUMBER:
        return place == last
    if token.kind == NAME:
        return token.text not in KEYWORDS | words.types | words.macros and not token.text.endswith("_t")
    return token.text == ")"


def _plain(run: Sequence[Token], words: Words) -> bool:
    """Whether an operand does nothing but give a value, and is no type in brackets."""
    changes = ASSIGNMENTS | {"++", "--", ","}
    if any(t.kind == DIRECTIVE or (t.kind == SIGN and t.text in changes) or t.text in words.functions for t in run):
        return False
    if run[0].text != "(":
        return True
    inner = run[1].text if len(run) > 1 else ""
    return inner not in TYPES | words.types and len(run) > 3 and not inner.endswith("_t")


def _opening(code: Sequence[Token], last: int) -> int:
    """Where the bracket that closes at `last` opens; -1 where it does not."""
    depth = 0
    for place in range(last, -1, -1):
        if code[place].kind == SIGN:
            depth += (code[place].text in CLOSING) - (code[place].text in ("(", "[", "{"))
            if depth == 0:
                return place
    return -1
