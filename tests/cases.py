"""What tests are about: the shipped models, small random design problems, and the way to the scalar reference.

`EXAMPLES=20 python -m pytest` hunts with 20 times as many random examples, drawn anew each time.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cost_model.nmp.operators.roofline import NmpRoofline, NpuRoofline
from cost_model.nmp.roofline import RooflineEvaluator
from design.core import Batch
from design.loader import read_content
from design.nmp import lowering
from design.nmp.device import HardwareSpace, Platform, Processors
from design.nmp.lowering import Usage
from design.nmp.model_files import read_model
from design.nmp.transformer import ModelShape, OperatorGraph, parse_shape, published_model
from design.nmp.workload import PROJECTION, Gemm, Operator, Workload, once
from dse.spaces.nmp import NmpSpace
from tests.reference import brute_force

ROOT = Path(__file__).resolve().parent.parent
MODELS = ("opt-6.7b", "llama3-8b", "palm-8b")
PROCESSORS = tuple(  # the two in-die designs with tabulated utilisation, one without, and others
    Processors(*triple)
    for triple in ((1, 1000, 6.4), (1, 200, 6.4), (1, 400, 6.4), (8, 400, 6.4), (8, 600, 25.6), (2, 1000, 51.2))
)
FACTOR = int(os.environ.get("EXAMPLES", "1"))


def examples(count: int) -> settings:
    """Hypothesis settings: `count` examples, the same ones every time unless EXAMPLES asks for more."""
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(
        max_examples=count * FACTOR,
        derandomize=FACTOR == 1,
        deadline=None,
        database=None,
        suppress_health_check=checks,
    )


def model_workload(model: str = "opt-6.7b", **usage: Any) -> Workload:
    """One layer of a shipped model; by default 4 sequences of 157 prompt and 67 generated tokens."""
    folder = ROOT / "config" / model
    use = Usage(**({"batch": 4, "prompt": 157, "generated": 67, "max_seq_len": 2048} | usage))
    return lowering.model_workload(read_model(model, folder / "shape.json", folder / "operator_graph.json"), use)


def read_shape(path: Path) -> ModelShape:
    """The model shape in a file of the published form."""
    return parse_shape(str(path), read_content(path))


def layer_workload(name: str, shape: ModelShape, graph: OperatorGraph, usage: Usage) -> Workload:
    """One layer of a model of the published form."""
    return lowering.model_workload(published_model(name, shape, graph), usage)


def hardware(
    nmp: tuple[int, ...] = (2, 4, 6),
    processors: tuple[Processors, ...] = (PROCESSORS[0], PROCESSORS[4]),
    input_kb: tuple[int, ...] = (32,),
) -> HardwareSpace:
    """Choices of hardware, with one choice of weight and output buffer."""
    return HardwareSpace(nmp, processors, input_kb, (32,), (64,))


def nmp_space(workload: Workload, platform: Platform, choices: HardwareSpace, specpim: bool = False) -> NmpSpace:
    """The NMP space, its cuts balanced by the roofline models."""
    return NmpSpace(workload, platform, choices, NpuRoofline(), NmpRoofline(), specpim)


def all_equal(left: Batch, right: Batch) -> bool:
    """Whether two batches hold the same candidates, column by column."""
    return all(np.array_equal(left.columns[name], right.columns[name]) for name in left.columns)


@st.composite
def genomes(draw: st.DrawFn, bounds: NDArray[np.int64], most: int = 8) -> NDArray[np.int64]:
    """One to `most` genomes of any genes within the bounds."""
    row = st.tuples(*(st.integers(int(low), int(high)) for low, high in bounds))
    return np.array(draw(st.lists(row, min_size=1, max_size=most)), dtype=np.int64)


def every_genome(bounds: NDArray[np.int64]) -> NDArray[np.int64]:
    """All genomes within the bounds, in lexicographic order."""
    low, high = bounds.T
    extents = tuple((high - low + 1).tolist())
    return np.stack(np.unravel_index(np.arange(np.prod(extents)), extents), axis=1).astype(np.int64) + low


def genome_count(bounds: NDArray[np.int64]) -> int:
    """How many genomes the bounds hold."""
    return int(np.prod([float(high - low + 1) for low, high in bounds]))


@dataclass(frozen=True)
class Case:
    """A design problem small enough for the scalar reference: one hardware point, a few operators."""

    workload: Workload
    nmp: int
    normal: int
    processors: Processors
    bank_bytes: int
    specpim: bool = False

    @property
    def platform(self) -> Platform:
        """The machine, with banks of a few bytes so that capacity may bind."""
        return Platform(total_channels=self.nmp + self.normal, bank_bytes=self.bank_bytes)

    @property
    def space(self) -> NmpSpace:
        """The space under test."""
        return nmp_space(self.workload, self.platform, hardware((self.nmp,), (self.processors,)), self.specpim)

    @property
    def evaluator(self) -> RooflineEvaluator:
        """The evaluator under test."""
        return RooflineEvaluator(self.workload, self.platform)

    @property
    def operators(self) -> tuple[brute_force.Operator, ...]:
        """The operators as the reference has them."""
        return tuple(
            brute_force.Operator(op.name, op.decode, op.prefill[0].gemm, op.stored_bytes, op.granule)
            for op in self.workload.operators
        )

    @property
    def device(self) -> brute_force.Device:
        """The hardware as the reference has it."""
        p = self.processors
        return brute_force.Device(
            self.nmp, self.normal, p.fpus, int(p.mhz), p.pe_gbps, bank_bytes=float(self.bank_bytes)
        )

    def designs(self, most: int) -> list[brute_force.Design]:
        """The reference's first `most` legal designs (all, where there are no more)."""
        found = brute_force.enumerate_designs(self.operators, self.workload.edges, self.nmp, self.normal, self.specpim)
        return list(islice(found, most))

    def is_legal(self, design: brute_force.Design) -> bool:
        """The reference's word on a design."""
        return brute_force.is_legal(design, self.operators, self.workload.edges, self.nmp, self.normal, self.specpim)

    def batch(self, designs: Sequence[brute_force.Design]) -> Batch:
        """The reference's designs as a batch."""
        extents = [op.extent for op in self.workload.operators]
        fields = [
            [
                (p.group, p.part, p.stratum, sum(1 << c for c in p.channels), p.normal, p.nmp_units, all_ - p.nmp_units)
                for p, all_ in zip(design, extents, strict=True)
            ]
            for design in designs
        ]
        names = ("group", "part", "stratum", "channels", "normal", "nmp_units", "npu_units")
        table = np.array(fields, dtype=np.int64).reshape(len(designs), len(self.workload.operators), len(names))
        one_row = self.space.decode(self.space.bounds[None, :, 0])
        schema = one_row.schema
        columns = {name: np.repeat(values, len(designs), axis=0) for name, values in one_row.columns.items()}
        return Batch(schema, columns | {name: table[:, :, i] for i, name in enumerate(names)})


def designs_of(batch: Batch) -> list[brute_force.Design]:
    """The rows of a batch as the reference writes designs."""
    c = {name: values.tolist() for name, values in batch.columns.items()}
    return [
        tuple(
            brute_force.Placed(
                c["group"][row][i],
                c["part"][row][i],
                c["stratum"][row][i],
                frozenset(b for b in range(64) if c["channels"][row][i] >> b & 1),
                bool(c["normal"][row][i]),
                c["nmp_units"][row][i],
            )
            for i in range(len(c["group"][row]))
        )
        for row in range(len(batch))
    ]


def nameless(design: brute_force.Design) -> tuple[Any, ...]:
    """What is left of a design when NMP channels lose their names: equal, and the designs differ in names only."""
    holders: dict[int, list[int]] = {}
    for i, placed in enumerate(design):
        for channel in placed.channels:
            holders.setdefault(channel, []).append(i)
    places = tuple((p.group, p.part, p.stratum, p.normal, p.nmp_units) for p in design)
    return places, tuple(sorted(map(tuple, holders.values())))


@st.composite
def cases(draw: st.DrawFn, operators: tuple[int, ...] = (1, 2, 2, 3, 3, 3, 4), nmp: int = 3, steps: int = 5) -> Case:
    """A random design problem: operators out of index order, batched or not, some in granules; small banks."""
    count = draw(st.sampled_from(operators))
    specpim = draw(st.booleans())
    nmp_channels = draw(st.integers(0, nmp))
    normal = draw(st.integers(1 if specpim or not nmp_channels else 0, 2))
    mixes = not specpim and nmp_channels > 0 and normal > 0
    order = draw(st.permutations(range(count)))
    pairs = [(order[i], order[j]) for i in range(count) for j in range(i + 1, count)]
    edges = tuple(pair for pair in pairs if draw(st.booleans()))
    bank_bytes = draw(st.sampled_from([1, 3, 1000, 2**20]))
    size = st.integers(1, 64) | st.sampled_from([128, 1000, 4096])
    made = []
    for number in range(count):
        granule = draw(st.sampled_from([1, 1, 2, 3]))
        extent = granule * draw(st.integers(2 if mixes else 1, steps))
        rows, inner, other = draw(size), draw(size), draw(size)
        batched = extent > 1 and draw(st.booleans())
        decode = Gemm(extent, rows, other, inner) if batched else Gemm(1, rows, extent, inner)
        prefill = Gemm(draw(st.integers(1, 4)), draw(size), draw(size), draw(size))
        stored = float(draw(st.integers(1, 60 * bank_bytes)))
        made.append(Operator(f"op{number}", PROJECTION, once(prefill), decode, stored, granule))
    workload = Workload(
        "small",
        tuple(made),
        edges,
        batch=draw(st.sampled_from([1, 2, 4, 16])),
        generated=draw(st.integers(0, 100)),
        bytes_per_element=draw(st.sampled_from([2.0, 1.0, 0.5])),
    )
    return Case(workload, nmp_channels, normal, draw(st.sampled_from(PROCESSORS)), bank_bytes, specpim)


@st.composite
def tiny_cases(draw: st.DrawFn, most: int = 60_000) -> Case:
    """A design problem whose every genome can be decoded: no more than `most` of them."""
    options = cases((1, 2, 2), 3, 4) | cases((3,), 1, 2)
    return draw(options.filter(lambda case: genome_count(case.space.bounds) <= most))
