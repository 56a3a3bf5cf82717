"""The labels that an active loop acquired: which designs, why each was queried, how well each was predicted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from design.core import Batch, Evaluation, Genomes, Objective, Status
from dse.active.loop import PREDICTED, QUERY, TIERS
from dse.active.prospective import Prospective, prospective_errors
from dse.records.store import Store


@dataclass(frozen=True)
class Acquired:
    """n designs in the order in which their labels came: how they read, `provenances` (`Query.provenance`) and the
    truth's `answers`. `prospective` errors by objective; `expected` are designs that were not labelled (see
    `ActiveRun`), `tiers` counts scored rows by who answered the first objective."""

    objectives: Sequence[Objective]
    texts: list[str]
    provenances: list[Mapping[str, Any]]
    answers: Evaluation
    prospective: Mapping[str, Prospective]
    expected: list[Mapping[str, Any]]
    tiers: Mapping[str, int]


def acquired_of(store: Store, objectives: Sequence[Objective], decode: Callable[[Genomes], Batch]) -> Acquired | None:
    """Of a run's store; None where there was none. `decode` makes a batch of genomes."""
    stored = store.answers(0)
    notes = {store.facts[name]["key"]: store.facts[name]["why"] for name in store.facts if name.startswith(QUERY)}
    if stored is None or not notes:
        return None
    batch = decode(stored.genomes)
    provenances = [notes[key.hex()] for key in stored.keys]
    return Acquired(
        objectives=objectives,
        texts=[batch.schema.text(batch, row) for row in range(len(batch))],
        provenances=provenances,
        answers=stored.evaluation,
        prospective={o.metric: prospective_errors(provenances, stored.evaluation, o.metric) for o in objectives},
        expected=store.facts.get(PREDICTED, {"designs": []})["designs"],
        tiers=store.facts.get(TIERS, {}),
    )


def acquired_summary(found: Acquired) -> dict[str, Any]:
    """For programs."""
    errors = {
        name: {"median_ape": f.error, "held": f.held[0], "of": f.held[1]} for name, f in found.prospective.items()
    }
    labels = [
        {"design": text, "why": dict(why), "status": Status(int(found.answers.status[row])).name}
        for row, (text, why) in enumerate(zip(found.texts, found.provenances, strict=True))
    ]
    return {"tiers": dict(found.tiers), "fresh_labels": errors, "labels": labels, "expected": found.expected}
