"""A layer and devices small enough that every optimum is solved in a tenth of a second."""

from __future__ import annotations

import numpy as np

from cost_model.nmp.buffered import BufferedEvaluator
from cost_model.nmp.evaluator import NmpEvaluator
from cost_model.nmp.roofline import RooflineEvaluator
from cost_model.nmp.technology import read_technology
from design.core import Batch
from design.nmp.device import HardwareSpace, Platform, Processors
from design.nmp.lowering import Usage
from design.nmp.transformer import ModelShape, OperatorGraph
from dse.spaces.nmp import NmpSpace
from tests.cases import ROOT, layer_workload

TECHNOLOGY = ROOT / "config" / "technology" / "hybrid-bonding.json"
CONSTANTS = read_technology(TECHNOLOGY).constants()
SHAPE = ModelShape("llama", layer_num=2, hidden_dim=256, intermediate_dim=512, q_head_num=8, kv_head_num=4)
LAYER = layer_workload(
    "small",
    SHAPE,
    OperatorGraph(("q", "k", "qk"), ((0, 2), (1, 2))),
    Usage(batch=2, prompt=48, generated=8, max_seq_len=64),
)
PLATFORM = Platform(total_channels=4)
FAST, SLOW = Processors(8, 600, 25.6), Processors(1, 300, 3.2)
ROOFLINE = RooflineEvaluator(LAYER, PLATFORM)
BUFFERED = BufferedEvaluator(LAYER, PLATFORM, CONSTANTS)
EVALUATORS = [ROOFLINE, BUFFERED]


def devices(
    nmp: tuple[int, ...] = (2,),
    processors: tuple[Processors, ...] = (FAST,),
    input_kb: tuple[int, ...] = (4,),
    weight_kb: tuple[int, ...] = (4,),
    output_kb: tuple[int, ...] = (8,),
) -> HardwareSpace:
    """Choices of hardware; by default a single device."""
    return HardwareSpace(nmp, processors, input_kb, weight_kb, output_kb)


def space_for(evaluator: NmpEvaluator, hardware: HardwareSpace, specpim: bool = False) -> NmpSpace:
    """The NMP space as a run of that evaluator makes it."""
    e = evaluator
    return NmpSpace(e.workload, e.platform, hardware, e.npu, e.nmp, specpim, e.decode_reach)


def sampled(space: NmpSpace, rows: int, seed: int = 0) -> Batch:
    """Random designs."""
    return space.decode(space.sample(rows, np.random.default_rng(seed)))
