"""How far a judged kernel is from those that may have been learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cost_model.corpus.hls.distance import distances, features_of, spread_of
from design.contracts import Dataset
from design.hls.loop_nest import Kernel
from design.hls.task import family_of, hls_task_of


def nearest_kernels(judged: Sequence[Dataset], training: Mapping[str, Kernel]) -> dict[str, Any]:
    """{kernel: {"nearest": name, "distance": number, "of": how many} or None}: the nearest training kernel of another
    family, by name, in units of the training kernels' spread; None where there is none."""
    names = sorted(training)
    learned = features_of([training[name] for name in names])
    apart = (
        distances(features_of([hls_task_of(table).kernel for table in judged]), learned, spread_of(learned))
        if names
        else None
    )
    found: dict[str, Any] = {}
    for row, table in enumerate(judged):
        others = [place for place, name in enumerate(names) if family_of(name) != table.task.family]
        if apart is None or not others:
            found[table.task.name] = None
            continue
        best = min(others, key=lambda place: float(apart[row, place]))
        found[table.task.name] = {"nearest": names[best], "distance": float(apart[row, best]), "of": len(others)}
    return found
