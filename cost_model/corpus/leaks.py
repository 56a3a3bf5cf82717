"""Which results may teach a model of a task: none of the task's own, under whatever name they come.

A task is known by its family's name and by its fingerprints, so that a copy with other names is still a copy.
"""

from __future__ import annotations

from collections.abc import Sequence

from design.contracts import Dataset


def apart(training: Sequence[Dataset], judged: Sequence[Dataset]) -> list[Dataset]:
    """The data sets that share neither family nor content with any judged one, by all tools at once."""
    families = {data.task.family for data in judged}
    marks = {mark for data in judged for mark in data.task.fingerprints}
    # A family is out as a whole if one of its tasks is a copy under another name.
    families |= {data.task.family for data in training if not marks.isdisjoint(data.task.fingerprints)}
    return [data for data in training if data.task.family not in families]
