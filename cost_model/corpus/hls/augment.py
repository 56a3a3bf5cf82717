"""More records of the same labels: a kernel's source in other words, each child naming what it was made from.

A tool's answer for a source in other words is taken to be that for the source; whether the front end reads the two
alike is checked for every child.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b

import numpy as np

from cost_model.corpus.hls.rewrites import REWRITES, Rewritten
from design.contracts import Dataset
from design.core import Batch
from design.errors import InputError
from design.hls.loop_nest import Kernel
from design.hls.nest_form import form_of, renamed_by
from design.hls.task import HlsTask, hls_task_of
from frontends.c_kernel import parse_kernel


def augmented(record: Dataset, seed: int, ways: Sequence[str] = tuple(REWRITES)) -> Dataset:
    """A record of the same designs and labels whose kernel is written in other words, by the named REWRITES in their
    order. The same record, ways and seed give the same child. A rewrite that the front end would read as another kernel
    is not made. Its name is the parent's with the beginning of its digest, so that the family stays.

    Raises InputError for a way that is none.
    """
    for way in ways:
        if way not in REWRITES:
            raise InputError("augmentation", f"'{way}'", f"some of {', '.join(REWRITES)}")
    task = hls_task_of(record)
    kernel = task.kernel
    rng = np.random.default_rng([seed, *blake2b(task.digest.encode(), digest_size=8).digest()])
    for way in (each for each in REWRITES if each in ways):
        other = same_kernel(kernel, REWRITES[way](kernel, rng))
        kernel = kernel if other is None else other
    child = HlsTask(kernel, task.target, f"{task.name}-{kernel.digest[:8]}")
    pairs = zip(kernel.parameters, task.kernel.parameters, strict=True)  # the same parameters under other names
    columns = {new.name: record.batch.columns[old.name] for new, old in pairs}
    ancestors = tuple(dict.fromkeys((*task.fingerprints, *record.provenance.ancestors)))
    provenance = replace(record.provenance, ancestors=ancestors)
    return replace(record, task=child, batch=Batch(child.schema, columns), provenance=provenance)


def same_kernel(parent: Kernel, said: Rewritten) -> Kernel | None:
    """The kernel of a rewritten source; None where it does not parse or is another kernel than its parent."""
    try:
        child = parse_kernel(said.source, "rewritten source")
    except InputError:
        return None
    back = renamed_by(said.names, str)
    return child if form_of(child, back) == form_of(parent, str) else None
