"""What HLS tools are asked and answer: designs as pragmas write them, cycles and resources back.

Beside what `design/tool_form.py` asks of any tool, a tool gets {"kernel": name, "source": "kernel.c", "tool", "device",
"design": {parameter: "off" | "" | "flatten" | factor}}, and kernel.c stands in its working directory. It answers in the
standard form, or with one object:
  cycles                 a number above 0, or null: it gave none for this design (the design is infeasible)
  lut, ff, dsp, bram     numbers of at least 0; what is missing or null is unknown
  valid                  true or false; true where missing
  reason                 a text, why the design is not valid or has no cycles
At least cycles or one resource must be there. Any other field is an error, so that a misspelt one is not lost.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import numpy as np

from cost_model.hls.tool_answer import UNITS, ToolResults, hls_evaluation, shares_of
from design.contracts import Dataset, Provenance
from design.core import Batch, Bools, Evaluation, Floats
from design.hls.design import FLATTEN, OFF, points_of
from design.hls.loop_nest import PIPELINE
from design.hls.task import HlsTask, hls_task_of
from design.metrics import CYCLES, HLS_METRICS, RESOURCES
from design.tool_form import StandardForm, ToolAnswer, is_number, one_line, with_words

SOURCE = "kernel.c"
FIELDS = (*HLS_METRICS, "valid", "reason")
ABOVE = "a number above 0 or null"


class HlsToolForm(StandardForm):
    """See `ToolForm`."""

    def __init__(self, task: HlsTask) -> None:
        super().__init__(task, "hls", {"kernel": (SOURCE, task.kernel.source)})
        self._kernel, self._target = task.kernel, task.target
        self.metrics: Mapping[str, str] = UNITS

    def accepts(self, batch: Batch) -> Bools:
        """See `ToolForm`: values that directives take at all."""
        found = np.ones(len(batch), dtype=bool)
        for parameter in self._kernel.parameters:
            values = batch.columns[parameter.name]
            pipeline = parameter.kind == PIPELINE
            found &= (values >= OFF) & (values <= FLATTEN) if pipeline else values >= 1
        return found

    def request(self, one: Batch, key: str, seed: int) -> dict[str, Any]:
        """See `ToolForm`."""
        (point,) = points_of(self._kernel, one)
        about = {"kernel": self._kernel.name, "source": SOURCE}
        aim = {"tool": self._target.tool, "device": self._target.device.name}
        return super().request(one, key, seed) | {**about, **aim, "design": dict(point)}

    def read(self, given: Mapping[str, Any]) -> ToolAnswer:
        """See `ToolForm`."""
        if "metrics" in given:
            answer, metrics = super().read(given), given["metrics"]
            if answer.fault:
                return answer
            if answer.metrics[CYCLES] == 0:
                return ToolAnswer(fault=f"the tool said {CYCLES} {json.dumps(metrics[CYCLES])}, not {ABOVE}")
            return replace(answer, none=CYCLES in metrics and metrics[CYCLES] is None)
        if unknown := sorted(set(given) - set(FIELDS)):
            return ToolAnswer(fault=f"the tool said {one_line(unknown[0])[:40]}, which is none of {', '.join(FIELDS)}")
        numbers = {}
        for name in HLS_METRICS:
            value = given.get(name)
            if value is not None and (not is_number(value) or (name == CYCLES and value == 0)):
                least = ABOVE if name == CYCLES else "a number of at least 0"
                return ToolAnswer(fault=f"the tool said {name} {one_line(json.dumps(value))[:40]}, not {least}")
            numbers[name] = math.nan if value is None else float(value)
        none = CYCLES in given and given[CYCLES] is None
        return replace(with_words(given, numbers, none), none=none)

    def evaluation(self, answers: Sequence[ToolAnswer], seconds: Floats, source: str) -> Evaluation:
        """See `hls_evaluation`."""
        columns = {
            n: np.array([one.metrics.get(n, math.nan) for one in answers], dtype=np.float64) for n in HLS_METRICS
        }
        counts = {name: columns[name] for name in RESOURCES}
        found = ToolResults(
            cycles=columns[CYCLES],
            counts=counts,
            shares=shares_of(counts, self._target.device),
            valid=np.array([one.valid for one in answers], dtype=bool),
            none=np.array([one.none for one in answers], dtype=bool),
            reason=np.array([one.reason for one in answers], dtype=str),
            fault=np.array([one.fault for one in answers], dtype=str),
            cost_s=seconds,
        )
        return hls_evaluation(found, self._target.device, source)


def recorded_truth(data: Dataset) -> Dataset:
    """Results of a tool as a truth answers: a design without cycles, that the tool did not call valid or that takes
    more than is usable of the device is INFEASIBLE. A design with cycles and none of any resource was not reported
    on."""
    task = hls_task_of(data)
    silent = np.all([np.nan_to_num(data.metric(name)) == 0 for name in RESOURCES], axis=0)
    counts = {name: np.where(silent, np.nan, data.metric(name)) for name in RESOURCES}
    shares = {name: np.where(silent, np.nan, data.metric(f"{name}_share")) for name in RESOURCES}
    cycles, valid = data.metric(CYCLES), data.feasible
    state = blake2b(f"{data.batch.schema.context}\n{task.target.device}".encode(), digest_size=4)
    for array in (*data.batch.columns.values(), cycles, valid, *counts.values(), *shares.values()):
        state.update(np.ascontiguousarray(array).tobytes())
    source = f"recorded-{task.target.tool}/{state.hexdigest()}"
    nothing = np.full(len(data), "")
    results = ToolResults(cycles, counts, shares, valid, np.isnan(cycles), nothing, nothing, np.zeros(len(data)))
    evaluation = hls_evaluation(results, task.target.device, source)
    return Dataset(task, data.batch, evaluation, data.fidelity, Provenance(data.provenance.where, (source,)))
