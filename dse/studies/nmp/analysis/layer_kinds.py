"""What each kind of layer has of the time of the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cost_model.nmp.analysis.time_breakdown import OperatorAccount
from design.nmp.workload import Workload


@dataclass(frozen=True)
class KindAccount:
    """Layers of one kind: `layers` of them, seconds of prefill and for each generated token (of all sequences) of one
    layer, and the `share` of all of them in the time of the model."""

    kind: str
    layers: int
    prefill_s: float
    token_s: float
    share: float

    @property
    def all_prefill_s(self) -> float:
        """Of all layers of the kind."""
        return self.layers * self.prefill_s

    @property
    def all_token_s(self) -> float:
        """Of all layers of the kind."""
        return self.layers * self.token_s


def kind_accounts(workload: Workload, operators: Sequence[OperatorAccount]) -> list[KindAccount]:
    """From the accounts of the operators, which are of the mean layer; none where the layers are of one kind."""
    if len(workload.sections) < 2 or not operators:
        return []
    total = sum(op.prefill_s + op.decode_s for op in operators) or 1.0
    found, first = [], 0
    for name, layers, count in workload.sections:
        own = operators[first : first + count]
        prefill, decode = sum(op.prefill_s for op in own), sum(op.decode_s for op in own)
        each = workload.layers / layers
        token_s = decode * each / max(workload.generated, 1)
        found.append(KindAccount(name, layers, prefill * each, token_s, (prefill + decode) / total))
        first += count
    return found
