"""The augmentation file of a run: every label that was bought, with where it comes from and why it was bought."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cost_model.corpus.hls.acquired import BoughtLabel, augmentation_text
from design.contracts import labelled
from design.core import Batch, Evaluation
from design.hls.design import points_of
from design.hls.task import HlsTask
from design.metrics import CYCLES, RESOURCES
from dse.active.policy import Query
from dse.records.directory import write_whole

AUGMENTATION = "augmentation.json"


class AugmentationFile:
    """Writes `path` anew after each label, so that it is whole at any moment. `truth` is whose word the labels are.
    A design that FAILED is no label."""

    def __init__(self, path: Path, task: HlsTask, truth: str) -> None:
        self._path, self._task, self._truth = path, task, truth

    def write(self, queries: Sequence[Query], answers: Evaluation) -> None:
        """All labels so far, in the order in which they came. Raises OSError where the file cannot be written."""
        rows = np.flatnonzero(labelled(answers)).tolist()
        if not rows:
            return
        kernel, target = self._task.kernel, self._task.target
        points = points_of(kernel, Batch.concat([queries[row].batch for row in rows]))
        found = []
        for row, point in zip(rows, points, strict=True):
            said = {name: float(values[row]) for name, values in answers.metrics.items()}
            found.append(
                BoughtLabel(
                    point=point,
                    cycles=said[CYCLES],
                    counts={name: said[name] for name in RESOURCES},
                    shares={name: said[f"{name}_share"] for name in RESOURCES},
                    valid=bool(answers.violation["tool"][row] == 0.0),
                    reason=str(answers.reason[row]),
                    truth=self._truth,
                    key=queries[row].key.hex(),
                    why=queries[row].provenance,
                )
            )
        write_whole(self._path, augmentation_text(kernel, target, found))
