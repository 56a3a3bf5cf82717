"""The vocabulary of prompts: one token a symbol, a word or a digit, so that a number of n digits is n tokens.

It is closed: the words of the prompt's own language, names by number, operations. What else a program says is <word>.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from design.core import Ints
from design.metrics import HLS_METRICS

PAD, WORD = "<pad>", "<word>"
INDENT, NEWLINE = "  ", "\n"
DIGITS = tuple("0123456789")
SYMBOLS = tuple("+-*/%=<>!&|^~()[]{}?:;,.'\"#")
NAMES = tuple(f"{kind}{number}" for kind, most in (("L", 32), ("a", 32), ("s", 64)) for number in range(most))
TYPES = tuple(f"{kind}{bits}" for kind, sizes in (("f", (32, 64)), ("i", (1, 8, 16, 32, 64))) for bits in sizes)
OPERATIONS = ("add", "mul", "div", "mod", "sqrt", "pow", "call", "compare", "logic", "shift", "select", "cast")
WORDS = (
    *("array", "scalar", "argument", "local", "constant", "loop", "triangular", "unknown", "recurrence", "reduction"),
    *("used", "guards", "pipeline", "tile", "parallel", "off", "coarse", "flatten", "x", "estimate", "code", "answer"),
    *HLS_METRICS,
    *("valid", "power", "area", "yes", "no", "v18", "v20"),
    *("if", "while", "switch", "return", "int", "char", "short", "long", "float", "double", "unsigned", "signed"),
)
ANSWERS = ("zero", "<end>", *(f"E{power}" for power in range(16)))  # of number codecs, beside digits and signs
VOCABULARY = (
    *(PAD, WORD, INDENT, NEWLINE, *DIGITS, *SYMBOLS, *NAMES, *TYPES),
    *(f"{operation}.{kind}" for operation in OPERATIONS for kind in TYPES),
    *WORDS,
    *ANSWERS,
)
IDS = {token: number for number, token in enumerate(VOCABULARY)}
LEXEME = re.compile(r"\n|  |[A-Za-z_<][A-Za-z_]*\d*(?:\.[a-z]\d+)?>?|\d|\S")


def split(text: str) -> list[str]:
    """A text as tokens; what is not in the vocabulary as <word>."""
    return [lexeme if lexeme in IDS else WORD for lexeme in LEXEME.findall(text)]


def numbers_of(tokens: Iterable[str]) -> list[int]:
    """Tokens as numbers. Raises KeyError for one that is not in the vocabulary."""
    return [IDS[token] for token in tokens]


def encode(text: str) -> Ints:
    """A text as token numbers, (tokens,)."""
    return np.array(numbers_of(split(text)), dtype=np.int64)


def padded(rows: Sequence[Sequence[int]]) -> tuple[Ints, Ints]:
    """Rows of token numbers as one table (n, longest), padded on the right, and their lengths (n,)."""
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    table = np.full((len(rows), int(lengths.max(initial=0))), IDS[PAD], dtype=np.int64)
    for place, row in enumerate(rows):
        table[place, : len(row)] = row
    return table, lengths
