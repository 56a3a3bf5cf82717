"""Other names for everything that a kernel names itself: variables, arrays, labels, functions, types, macros, and the
parameters of its directives. Comments go, for they speak of the old names."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from string import ascii_lowercase, ascii_uppercase

from numpy.random import Generator

from cost_model.corpus.hls.rewrites.base import Rewritten
from cost_model.corpus.hls.rewrites.tokens import COMMENT, DIRECTIVE, KEYWORDS, NAME, SPACE, Token, tokens_of, words_of
from design.hls.loop_nest import Kernel

WORD = re.compile(r"[A-Za-z_]\w*")
AUTO = re.compile(r"(auto\s*\{\s*)(\w+)", re.IGNORECASE)
SAID = re.compile(r"=\s*[A-Za-z_]\w*(?:\s*,\s*[A-Za-z_]\w*)*")  # in pragmas variables stand after a =
NOT_OURS = frozenset(("bool", "true", "false", "NULL", "defined", "main", "jn", "yn"))


def other_names(kernel: Kernel, rng: Generator) -> Rewritten:
    """Every name replaced, the same everywhere. Names that the file takes from elsewhere stay: called functions that it
    does not define, standard types, names that begin with two underscores. A file that makes names of pieces of text
    (## in macros) stays as it is."""
    tokens = tokens_of(kernel.source)
    if any(token.kind == DIRECTIVE and "##" in token.text for token in tokens):
        return Rewritten(kernel.source, {})
    names = _own_names(tokens)
    autos = list(dict.fromkeys(match[2] for t in tokens if t.kind == DIRECTIVE for match in AUTO.finditer(t.text)))
    everything = {match[0] for token in tokens for match in WORD.finditer(token.text)} | KEYWORDS | NOT_OURS
    fresh = dict(zip(names, _fresh(len(names), ascii_lowercase, everything, rng), strict=True))
    choices = dict(zip(autos, _fresh(len(autos), ascii_uppercase, everything, rng), strict=True))
    said = "".join(_said(token, fresh, choices) for token in tokens)
    return Rewritten(said, {new: old for old, new in fresh.items()})


def _own_names(tokens: list[Token]) -> list[str]:
    """Names to replace, by first appearance."""
    code = [token for token in tokens if token.kind not in (SPACE, COMMENT)]
    words = words_of(code)
    defined = {m[1] for t in code if (m := re.match(r"\s*#\s*define\s+(\w+)", t.text)) and t.kind == DIRECTIVE}
    kept = set(KEYWORDS | NOT_OURS)
    for token, after in zip(code, [*code[1:], Token(SPACE, "", 0)], strict=True):
        called = after.text == "(" and token.text not in words.functions | defined
        if token.kind == NAME and (called or token.text.startswith("__")):
            kept.add(token.text)
        if token.kind == NAME and token.text.endswith("_t") and token.text not in words.types | defined:
            kept.add(token.text)
    found = dict.fromkeys(token.text for token in code if token.kind == NAME)
    for token in code:
        if token.kind == DIRECTIVE and not re.match(r"\s*#\s*pragma", token.text):
            found |= dict.fromkeys(name for name in defined if re.search(rf"\b{name}\b", token.text))
    return [name for name in found if name not in kept]


def _fresh(count: int, letters: str, taken: Collection[str], rng: Generator) -> list[str]:
    """So many different short names."""
    found: dict[str, None] = {}
    while len(found) < count:
        length = int(rng.integers(1, 4))
        name = "".join(letters[i] for i in rng.integers(0, len(letters), min(length, 2)))
        name += str(rng.integers(0, 10)) if length == 3 else ""
        if name not in taken:
            found[name] = None
        elif length == 3 and len(taken) + len(found) > 26**2:  # short ones run out
            found[f"{name}{len(found)}"] = None
    return list(found)


def _said(token: Token, names: Mapping[str, str], autos: Mapping[str, str]) -> str:
    if token.kind == COMMENT:
        return "\n" * token.text.count("\n") or " "
    if token.kind == NAME:
        return names.get(token.text, token.text)
    if token.kind != DIRECTIVE:
        return token.text
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", token.text, flags=re.DOTALL)
    head = re.match(r"\s*#\s*\w*", text)
    word = head[0].split("#")[1].strip() if head else ""
    if word == "pragma":
        text = AUTO.sub(lambda m: m[1] + autos[m[2]], text)
        return SAID.sub(lambda m: _replaced(m[0], names), text)
    if word in ("include", "error", "warning", "line") or head is None:
        return text
    return head[0] + _replaced(text[head.end() :], names)


def _replaced(text: str, names: Mapping[str, str]) -> str:
    return WORD.sub(lambda match: names.get(match[0], match[0]), text)
