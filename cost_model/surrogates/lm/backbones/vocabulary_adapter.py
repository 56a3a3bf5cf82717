"""Our small vocabulary in a model that knows another: each token begins as what its spelling means there.

So a prompt is as short as for `tiny`, a number of n digits is n tokens, and a digit starts out with what the model
knows of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import torch
from torch import Tensor

from cost_model.views.tokens import DIGITS, INDENT, NEWLINE, PAD, SYMBOLS, VOCABULARY, WORD

KINDS = {"f": " float", "i": " int"}
POWER = re.compile(r"E(\d+)")
OPERATION = re.compile(r"([a-z]+)\.([fi])(\d+)")
AS_THEY_ARE = frozenset((INDENT, NEWLINE, *DIGITS, *SYMBOLS))
SPELLINGS = {PAD: "", WORD: " name", "<end>": "\n"}

Pieces = Callable[[str], list[int]]  # a text as the other model's token numbers


def spelled(token: str) -> str:
    """A token of ours as text that other models have read: words as they stand within a line, digits as in a number."""
    if token in AS_THEY_ARE:
        return token
    if token in SPELLINGS:
        return SPELLINGS[token]
    if power := POWER.fullmatch(token):
        return f"e{power[1]}"
    if operation := OPERATION.fullmatch(token):
        return f" {operation[1]}{KINDS[operation[2]]}{operation[3]}"
    return f" {token}"


def transplanted(pieces: Pieces, rows: Callable[[Tensor], Tensor]) -> Tensor:
    """(vocabulary, width) means of the rows, as `rows` gives them for numbers (k,), of each token's pieces; of a token
    that has none, the mean of all that were found."""
    with torch.no_grad():
        found = [
            rows(torch.tensor(said)).mean(dim=0) if said else None for said in map(pieces, map(spelled, VOCABULARY))
        ]
        middle = torch.stack([row for row in found if row is not None]).mean(dim=0)
        return torch.stack([middle if row is None else row for row in found])
