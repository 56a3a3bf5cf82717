"""How learners see loop directives: what they do to a loop nest, the analytic estimate, the device's limits."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist

import numpy as np

from cost_model.hls.adapt import local_features
from cost_model.hls.estimate import EstimateEvaluator
from cost_model.hls.estimator import Estimator
from cost_model.hls.rows import add_shares, answered, faults, sound_columns
from cost_model.hls.store import Fitted, read_fitted
from cost_model.views.hls.design import design_tokens
from cost_model.views.hls.directive_features import directive_features
from cost_model.views.hls.estimate_features import estimate_features
from cost_model.views.hls.nest_features import nest_features
from cost_model.views.hls.program import program_text
from cost_model.views.plain import PlainView, Texts, logs
from cost_model.views.tokens import encode
from design.contracts import Prediction, Task
from design.core import Batch, Bools, Evaluation, Floats, Ints
from design.hls.task import HlsTask, hls_task
from design.metrics import CYCLES, HLS_METRICS, RESOURCES, UTILISATION, VALID, metric_unit


class HlsView(PlainView):
    """See `View`. `fitted` are the constants of the estimate by tool; by default those of config/hls/estimate.json.
    A kernel that they were fitted on is estimated by constants that have not seen its family."""

    def __init__(self, fitted: Mapping[str, Fitted] | None = None) -> None:
        self._fitted = dict(fitted or {})

    def fitted(self, tool: str) -> Fitted:
        """The constants of a tool."""
        if tool not in self._fitted:
            self._fitted[tool] = read_fitted(tool)
        return self._fitted[tool]

    def features(self, task: Task, batch: Batch) -> Floats:
        """The values of the directives, with no look at the program."""
        one = hls_task(task)
        return directive_features(one.kernel, one.target, batch.columns)

    def structure(self, task: Task, batch: Batch) -> Floats:
        """What the directives do to the loop nest."""
        return nest_features(hls_task(task).kernel, batch.columns)

    def local(self, task: Task, batch: Batch) -> Floats:
        """Each directive of the kernel: its factor, whether it is the whole loop, whether it leaves a remainder."""
        return local_features(hls_task(task).kernel, batch.columns)

    def reference(self, task: Task) -> EstimateEvaluator:
        """The analytic estimate."""
        one = hls_task(task)
        return EstimateEvaluator(one.kernel, one.target, self.fitted(one.target.tool))

    def reference_features(self, task: Task, batch: Batch) -> Floats:
        """The estimate by constants that were not fitted: fitted ones have seen results of kernels."""
        one = hls_task(task)
        return estimate_features(one.kernel, one.target, batch.columns)

    def prompts(self, task: Task, ancestor: str | None = None) -> HlsPrompts:
        """See `PlainView`."""
        one = hls_task(task)
        return HlsPrompts(one, self.fitted(one.target.tool), ancestor)

    def metrics(self, task: Task) -> dict[str, str]:
        """See `PlainView`."""
        shares = [f"{name}_share" for name in hls_task(task).target.device.resources]
        return {name: metric_unit(name) for name in (*HLS_METRICS, *shares, UTILISATION, VALID)}

    def faults(self, task: Task, batch: Batch) -> Texts:
        """Which directive its loop cannot have."""
        return faults(hls_task(task).kernel, batch.columns)

    def sound(self, task: Task, batch: Batch, sound: Bools) -> Batch:
        """See `PlainView`; the kernel without directives."""
        return Batch(batch.schema, sound_columns(hls_task(task).kernel, batch.columns, sound))

    def least_reported(self, task: Task) -> dict[str, float]:
        """Tools leave out counts below a share of the device."""
        device = hls_task(task).target.device
        return {name: device.reported * has for name, has in device.resources.items()}

    def derive(self, task: Task, values: dict[str, Floats], interval: dict[str, Floats]) -> None:
        """Shares of the device, and the largest of them."""
        add_shares(values, interval, hls_task(task).target.device)

    def derive_intervals(self, task: Task, metrics: Mapping[str, Floats], interval: dict[str, Floats]) -> None:
        """Intervals of shares go with those of counts."""
        resources = hls_task(task).target.device.resources
        for name, has in resources.items():
            if f"{name}_share" in metrics and name in interval:
                interval[f"{name}_share"] = interval[name] / has
        shares = [f"{name}_share" for name in resources]
        if UTILISATION in metrics and set(shares) <= set(interval):
            interval[UTILISATION] = np.max([interval[share] for share in shares], axis=0)

    def derived_sources(
        self, task: Task, values: Mapping[str, Floats], source: Mapping[str, Texts]
    ) -> dict[str, Texts]:
        """Shares are said by who said the counts, the largest by who said that one."""
        names = list(hls_task(task).target.device.resources)
        table = np.nan_to_num(np.stack([values[f"{name}_share"] for name in names]))
        most = np.choose(np.argmax(table, axis=0), [source[name] for name in names]) if table.size else source[names[0]]
        return {f"{name}_share": source[name] for name in names} | {UTILISATION: most}

    def fits(self, task: Task, values: Mapping[str, Floats], interval: Mapping[str, Floats], level: float) -> Floats:
        """How likely designs are to take less than is usable of the device, given the median of their largest share and
        its interval: normal in the logarithm on either side. 1 where the share is unknown."""
        from scipy.special import ndtr

        usable, share = hls_task(task).target.device.usable, values[UTILISATION]
        with np.errstate(all="ignore"):
            way, room = np.log(interval[UTILISATION] / share[:, None]), np.log(usable / share)
        side = np.where(room > 0, way[:, 1], -way[:, 0]) / NormalDist().inv_cdf((1 + level) / 2)
        with np.errstate(all="ignore"):
            scores = np.where(side > 0, room / side, np.sign(room) * np.inf)
        likely = np.maximum(ndtr(scores), 1e-3)  # nothing is certain
        found: Floats = np.where(np.isfinite(share) & (share > 0), likely, 1.0)
        return found

    def feasibility_features(self, task: Task, batch: Batch, estimated: Evaluation) -> Floats:
        """Directives, and cycles and resources as estimated."""
        share = np.log2(np.maximum(np.nan_to_num(estimated.metrics[UTILISATION]), 1e-4))
        return np.column_stack([logs(task, estimated.metrics), self.local(task, batch), share])

    def complete(self, task: Task, prediction: Prediction) -> Evaluation:
        """A design whose median takes more than the device's usable share is INFEASIBLE by as much."""
        return answered(prediction, hls_task(task).target)


class HlsPrompts:
    """See `Prompts`. The estimate in prompts is by constants that never saw results of the kernel's family, or of that
    of its `ancestor`."""

    def __init__(self, task: HlsTask, fitted: Fitted, ancestor: str | None) -> None:
        self._task = task
        self.estimator = Estimator(task.kernel, fitted.constants_of(ancestor or task.digest))
        self.program = encode(program_text(task.kernel))
        self.version = f"{task.target.tool} constants {self.estimator.constants.digest()}"

    def designs(self, batch: Batch) -> tuple[Ints, Ints, Mapping[str, Floats]]:
        """See `Prompts`; beside the metrics `code`, the operations after unrolling."""
        estimate = self.estimator.estimate(batch.columns)
        return *design_tokens(self._task.kernel, self._task.target, batch.columns, estimate), estimate

    def units(self, reference: Mapping[str, Floats]) -> Floats:
        """See `Prompts`."""
        device = self._task.target.device
        least = {name: device.reported * device.resources[name] for name in RESOURCES} | {CYCLES: 1.0}
        return np.stack([np.maximum(reference[name], least[name]) for name in HLS_METRICS], axis=1)
