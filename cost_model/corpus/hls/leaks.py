"""Which results may teach a model of a kernel: none of the kernel's own, under whatever name they come.

A kernel is known by its family's name, by its digest and by its likenesses, so that a copy with other names is still a
copy.
"""

from __future__ import annotations

from collections.abc import Sequence

from cost_model.corpus.hls.fingerprint import marks_of
from frontends.hls_results.tables import KernelTable


def apart(training: Sequence[KernelTable], judged: Sequence[KernelTable]) -> list[KernelTable]:
    """The tables that share neither family nor content with any judged one, in both tool versions at once."""
    families = {table.family for table in judged}
    marks = {mark for table in judged for mark in marks_of(table.kernel)}
    # A family is out as a whole if one of its kernels is a copy under another name.
    families |= {table.family for table in training if not marks.isdisjoint(marks_of(table.kernel))}
    return [table for table in training if table.family not in families]
