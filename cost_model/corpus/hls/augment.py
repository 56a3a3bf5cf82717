"""More records of the same labels: a kernel's source in other words, each child naming what it was made from.

A tool's answer for a source in other words is taken to be that for the source; whether the front end reads the two
alike is checked for every child.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b

import numpy as np

from cost_model.corpus.hls.nest_form import form_of, renamed_by
from cost_model.corpus.hls.records import Record
from cost_model.corpus.hls.rewrites import REWRITES, Rewritten
from design.core import Batch
from design.errors import InputError
from design.hls.design import hls_schema
from design.hls.loop_nest import Kernel
from frontends.c_kernel import parse_kernel
from frontends.hls_results.tables import KernelTable


def augmented(record: Record, seed: int, ways: Sequence[str] = tuple(REWRITES)) -> Record:
    """A record of the same designs and labels whose kernel is written in other words, by the named REWRITES in their
    order. The same record, ways and seed give the same child. A rewrite that the front end would read as another kernel
    is not made. Its name is the parent's with the beginning of its digest, so that the family stays.

    Raises InputError for a way that is none.
    """
    for way in ways:
        if way not in REWRITES:
            raise InputError("augmentation", f"'{way}'", f"some of {', '.join(REWRITES)}")
    kernel = record.table.kernel
    rng = np.random.default_rng([seed, *blake2b(record.digest.encode(), digest_size=8).digest()])
    for way in (each for each in REWRITES if each in ways):
        other = same_kernel(kernel, REWRITES[way](kernel, rng))
        kernel = kernel if other is None else other
    ancestors = dict.fromkeys((record.digest, *record.likenesses, *record.ancestors))
    return Record(_with_kernel(record.table, kernel), record.fidelity, tuple(ancestors), record.bought_from)


def same_kernel(parent: Kernel, said: Rewritten) -> Kernel | None:
    """The kernel of a rewritten source; None where it does not parse or is another kernel than its parent."""
    try:
        child = parse_kernel(said.source, "rewritten source")
    except InputError:
        return None
    back = renamed_by(said.names, str)
    return child if form_of(child, back) == form_of(parent, str) else None


def _with_kernel(table: KernelTable, kernel: Kernel) -> KernelTable:
    """The same designs of a kernel that has the same parameters under other names."""
    pairs = zip(kernel.parameters, table.kernel.parameters, strict=True)
    columns = {new.name: table.batch.columns[old.name] for new, old in pairs}
    name = f"{table.name}-{kernel.digest[:8]}"
    return replace(table, kernel=kernel, name=name, batch=Batch(hls_schema(kernel, table.target), columns))
