"""An evaluator that counts rows by who answered them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from design.contracts import Evaluator
from design.core import Batch, Evaluation, Rows


class CountingEvaluator:
    """Answers as `inner` does; `scored` counts rows by the name of who said `metric`."""

    def __init__(self, inner: Evaluator, metric: str, scored: Counter[str]) -> None:
        self._inner, self._metric, self._scored = inner, metric, scored
        self.name, self.version, self.fidelity, self.metrics = inner.name, inner.version, inner.fidelity, inner.metrics

    def evaluate(self, batch: Batch, *, seed: int) -> Evaluation:
        """See `Evaluator`."""
        return self._counted(self._inner.evaluate(batch, seed=seed))

    def stream(self, batch: Batch, *, seed: int) -> Iterator[tuple[Rows, Evaluation]]:
        """See `Evaluator`."""
        for rows, answer in self._inner.stream(batch, seed=seed):
            yield rows, self._counted(answer)

    def _counted(self, answer: Evaluation) -> Evaluation:
        if self._metric in answer.source:
            self._scored.update(str(said).partition("/")[0] for said in answer.source[self._metric])
        return answer
