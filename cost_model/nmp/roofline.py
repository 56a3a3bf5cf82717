"""Evaluator `roofline`: the published model of H2-LLM (ISCA '25), sections 3 and 4 of its reference."""

from __future__ import annotations

from cost_model.nmp.evaluator import NmpEvaluator
from cost_model.nmp.operators.base import OperatorModel
from cost_model.nmp.operators.roofline import NmpRoofline, NpuRoofline
from design.core import Ints
from design.nmp.device import Platform
from design.nmp.workload import Workload


class RooflineEvaluator(NmpEvaluator):
    """Every token at the final context; the NPU part of an operator reads from all of the operator's channels,
    wherever its data lie. Buffers do not matter; energy is unknown unless the operator models know it."""

    name = "roofline"

    def __init__(
        self,
        workload: Workload,
        platform: Platform,
        npu: OperatorModel | None = None,
        nmp: OperatorModel | None = None,
        check_capacity: bool = True,
    ) -> None:
        super().__init__(workload, platform, npu or NpuRoofline(), nmp or NmpRoofline(), check_capacity, nodes=None)

    def decode_reach(self, nmp_units: Ints, held: Ints, normal: Ints) -> Ints:
        """See `NmpEvaluator`."""
        return held + normal
