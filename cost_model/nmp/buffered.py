"""Evaluator `buffered`: finite buffers, data read from where they lie, a growing context, energy and area."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

import numpy as np

from cost_model.nmp.evaluator import NmpEvaluator
from cost_model.nmp.layer_latency import Columns
from cost_model.nmp.operators.base import OperatorModel
from cost_model.nmp.operators.buffered import BufferedNmp, MeteredNpu
from cost_model.nmp.technology import Constants, nmp_area_mm2, static_w
from design.core import Floats, Ints
from design.metrics import METRICS
from design.nmp.device import Platform
from design.nmp.workload import Workload

NODES = 4  # contexts that the decode is priced at


class BufferedEvaluator(NmpEvaluator):
    """`roofline` with tiles that fit the buffers, the NPU part of a mixed operator read from the normal channels
    that hold it, the decode priced at `nodes` contexts along its growth, and `energy_j` and `area_mm2`.

    For large buffers, `nodes=None` and no mixed operator it is the roofline.
    """

    name = "buffered"

    def __init__(
        self,
        workload: Workload,
        platform: Platform,
        constants: Constants,
        npu: OperatorModel | None = None,
        nmp: OperatorModel | None = None,
        check_capacity: bool = True,
        nodes: int | None = NODES,
    ) -> None:
        self.constants = constants
        super().__init__(
            workload, platform, npu or MeteredNpu(constants), nmp or BufferedNmp(constants), check_capacity, nodes
        )
        stamp = blake2b(f"{constants!r}".encode(), digest_size=4).hexdigest()
        self.version += f",{nodes or 'final'} contexts,constants {stamp}"
        self.metrics: Mapping[str, str] = {**self.metrics, "area_mm2": METRICS["area_mm2"].unit}

    def decode_reach(self, nmp_units: Ints, held: Ints, normal: Ints) -> Ints:
        """See `NmpEvaluator`."""
        return np.where((nmp_units > 0) & (normal > 0), normal, held + normal)

    def _price(self, c: Columns) -> tuple[dict[str, Floats], dict[str, Floats]]:
        metrics, violation = super()._price(c)
        device = self.device(c)
        if "energy_j" in metrics:
            watts = static_w(self.constants, c["nmp_channels"], device)
            metrics["energy_j"] = metrics["energy_j"] + watts * metrics["latency_s"]
        metrics["area_mm2"] = nmp_area_mm2(self.constants, c["nmp_channels"], device)
        return metrics, violation
