"""Which results may teach a model of a kernel: none of the kernel's own, under whatever name they come.

A kernel is known by its family's name, by its digest, and by its text with every name replaced by the order of its
first appearance, so that a copy with other names is still a copy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b

from frontends.hls_results import KernelTable

COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
TOKEN = re.compile(r"[A-Za-z_]\w*|\d[\w.]*|\S")


def likeness(source: str) -> str:
    """Hash of a program but for names, comments and white space."""
    order: dict[str, int] = {}
    tokens = TOKEN.findall(COMMENT.sub(" ", source))
    told = [f"n{order.setdefault(t, len(order))}" if t[0].isalpha() or t[0] == "_" else t for t in tokens]
    return blake2b(" ".join(told).encode(), digest_size=16).hexdigest()


def apart(training: Sequence[KernelTable], judged: Sequence[KernelTable]) -> list[KernelTable]:
    """The tables that share neither family nor content with any judged one, in both tool versions at once."""
    families = {table.family for table in judged}
    digests = {table.kernel.digest for table in judged}
    likenesses = {likeness(table.kernel.source) for table in judged}
    # A family is out as a whole if one of its kernels is a copy under another name.
    families |= {
        table.family
        for table in training
        if table.kernel.digest in digests or likeness(table.kernel.source) in likenesses
    }
    return [table for table in training if table.family not in families]
