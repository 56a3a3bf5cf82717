"""One step in each hardware parameter: which there are, on which device each is priced, and at what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cost_model.nmp.buffered import BufferedEvaluator
from cost_model.nmp.evaluator import NmpEvaluator
from design.contracts import Space
from design.core import Batch, Objective, Status
from design.nmp.design import HARDWARE
from design.nmp.device import HardwareSpace, Processors
from dse.search.engine import Effort, make_search
from dse.search.explore import explore
from dse.spaces.nmp.fixed import FixedSpace
from dse.studies.nmp.analysis import sensitivity
from dse.studies.nmp.analysis.sensitivity import Step, base_metrics, steps
from dse.studies.nmp.exact.prove import prove
from tests.dse.nmp.small import BUFFERED, CONSTANTS, FAST, LAYER, PLATFORM, ROOFLINE, devices, sampled, space_for

LATENCY, ENERGY = Objective("latency_s"), Objective("energy_j")
BUFFERS = ("input_kb", "weight_kb", "output_kb")
Device = dict[str, float]
BASE: Device = {
    "nmp_channels": 2,
    "fpus": 8,
    "mhz": 600.0,
    "pe_gbps": 25.6,
    "input_kb": 4,
    "weight_kb": 4,
    "output_kb": 8,
}
AROUND = {  # what each parameter of the base steps to
    "nmp_channels": [1, 3],
    "fpus": [4, 16],
    "mhz": [300, 1200],
    "pe_gbps": [12.8, 51.2],
    "input_kb": [2, 8],
    "weight_kb": [2, 8],
    "output_kb": [4, 16],
}


def one_device(d: Device) -> HardwareSpace:
    """The hardware space of one device."""
    return devices(
        (int(d["nmp_channels"]),),
        (Processors(int(d["fpus"]), d["mhz"], d["pe_gbps"]),),
        (int(d["input_kb"]),),
        (int(d["weight_kb"]),),
        (int(d["output_kb"]),),
    )


def device_of(hardware: HardwareSpace) -> Device:
    """The one device of a hardware space."""
    (nmp,), (p,), (input_kb,), (weight_kb,), (output_kb,) = hardware.choices
    values = (nmp, p.fpus, p.mhz, p.pe_gbps, input_kb, weight_kb, output_kb)
    return dict(zip((column.name for column in HARDWARE), values, strict=True))


class Maker:
    """Makes NMP spaces, or those of a fixed dataflow, and remembers the devices that it made them of."""

    def __init__(self, evaluator: NmpEvaluator, dataflow: str = "no") -> None:
        self.evaluator, self.dataflow = evaluator, dataflow
        self.asked: list[Device] = []

    def __call__(self, hardware: HardwareSpace) -> Space:
        space = self.make(hardware)
        self.asked.append(device_of(hardware))
        return space

    def make(self, hardware: HardwareSpace) -> Space:
        """The space of any hardware."""
        if self.dataflow in ("no", "specpim"):
            return space_for(self.evaluator, hardware, self.dataflow == "specpim")
        return FixedSpace(self.dataflow, self.evaluator.workload, self.evaluator.platform, hardware)

    def design(self, device: Device = BASE) -> Batch:
        """Some design on a device."""
        space = self.make(one_device(device))
        return space.decode(space.sample(1, np.random.default_rng(0)))


def walk(
    make: Maker, objective: Objective = LATENCY, base: Device = BASE, hardware: HardwareSpace | None = None
) -> list[Step]:
    """All steps from a device; each was priced on the device that it names, and differs from the base in that only."""
    found = list(steps(make, hardware or one_device(base), make.evaluator, objective, make.design(base)))
    assert [base | {step.parameter: step.after} for step in found] == make.asked
    assert all(step.before == base[step.parameter] != step.after for step in found)
    return found


def places(found: list[Step]) -> dict[str, list[float]]:
    """What each parameter steps to."""
    return {c.name: [step.after for step in found if step.parameter == c.name] for c in HARDWARE}


def solved(evaluator: NmpEvaluator, device: Device, metric: str = "latency_s") -> dict[str, float]:
    """Metrics of the best design on a device by the exact solver."""
    space = space_for(evaluator, one_device(device))
    proof = prove(space, evaluator, space.genes.decode(np.zeros((1, 5), dtype=np.int64)), metric)
    assert proof.design is not None and proof.lower_bound == pytest.approx(proof.value, rel=1e-9)
    return {name: float(v[0]) for name, v in evaluator.evaluate(proof.design, seed=0).metrics.items()}


@pytest.fixture(scope="module")
def walked() -> list[Step]:
    """All steps from the base."""
    return walk(Maker(BUFFERED))


def test_every_step_is_the_optimum_there(walked: list[Step]) -> None:
    """One step down and one up in each parameter; the metrics are those of the solver, and no sample is faster."""
    assert places(walked) == AROUND
    for step in walked:
        device = BASE | {step.parameter: step.after}
        assert step.metrics == solved(BUFFERED, device)
        others = BUFFERED.evaluate(sampled(space_for(BUFFERED, one_device(device)), 200), seed=0)
        assert (others.metrics["latency_s"] >= step.metrics["latency_s"] * (1 - 1e-12)).all()
    assert len({step.metrics["latency_s"] for step in walked}) > 3


def test_area_grows_with_every_buffer(walked: list[Step]) -> None:
    """A larger buffer is more area and a smaller one less; the clock and the banks' rate are none."""
    make = Maker(BUFFERED)
    base = base_metrics(make, BUFFERED, LATENCY, make.design())
    assert base is not None
    found = {(step.parameter, step.after): step.metrics["area_mm2"] for step in walked}
    for name in (*BUFFERS, "nmp_channels", "fpus"):
        down, up = AROUND[name]
        assert found[name, down] < base["area_mm2"] < found[name, up], name
    for name in ("mhz", "pe_gbps"):
        assert all(found[name, value] == base["area_mm2"] for value in AROUND[name])


@pytest.mark.parametrize("metric", ["prefill_s", "decode_s"])
def test_the_objective_decides(metric: str) -> None:
    """The optimum is that of the metric that was asked for."""
    make = Maker(BUFFERED)
    found = base_metrics(make, BUFFERED, Objective(metric), make.design())
    latency = base_metrics(make, BUFFERED, LATENCY, make.design())
    assert found is not None and latency is not None
    assert found[metric] == solved(BUFFERED, BASE, metric)[metric] <= latency[metric] * (1 + 1e-12)
    assert found["latency_s"] > latency["latency_s"] or metric == "decode_s"


def test_the_base_is_the_optimum() -> None:
    """The device's mapping made anew: the best of its space, whatever design one comes from."""
    make = Maker(BUFFERED)
    found = base_metrics(make, BUFFERED, LATENCY, make.design())
    assert make.asked == [BASE] and found == solved(BUFFERED, BASE)
    space = space_for(BUFFERED, one_device(BASE))
    search = make_search(space, Effort(100, 50, 1.0, 0), "auto", 1, 1000)
    archive, _ = explore(search, BUFFERED, [LATENCY], 10, 0)
    assert archive.genomes is not None
    assert archive.values[0, 0] == pytest.approx(found["latency_s"], rel=1e-9)
    assert base_metrics(make, BUFFERED, LATENCY, space.decode(archive.genomes)) == found


def test_steps_outside_the_machine_are_left_out() -> None:
    """No channel beyond the last, none below the first, and no half of 1 FPU, 1 KB or 1 channel."""
    lowest = BASE | dict.fromkeys(("fpus", *BUFFERS), 1)
    found = places(walk(Maker(BUFFERED, "fc_offloading"), base=lowest | {"nmp_channels": PLATFORM.total_channels}))
    assert found == AROUND | {"nmp_channels": [3], "fpus": [2]} | {name: [2] for name in BUFFERS}
    odd = BASE | {"nmp_channels": 1, "fpus": 3, "input_kb": 5, "mhz": 25.0}
    found = places(walk(Maker(BUFFERED, "fc_offloading"), base=odd))
    assert found == AROUND | {"nmp_channels": [2], "fpus": [6], "input_kb": [10], "mhz": [12.5, 50.0]}


def test_choices_are_stepped_along() -> None:
    """To the neighbours in the list, in the order of their sizes, and no further than its ends."""
    hardware = devices((3, 1), (FAST,), (64, 4, 2), (4, 32), (8,))
    found = walk(Maker(BUFFERED, "fc_offloading"), hardware=hardware, base=BASE | {"nmp_channels": 1})
    assert places(found) == AROUND | {"nmp_channels": [3], "input_kb": [2, 64], "weight_kb": [32]}


@pytest.mark.parametrize("dataflow", ["npu_only", "fc_offloading", "attention_offloading"])
@pytest.mark.parametrize("objective", [LATENCY, ENERGY, Objective("edp")], ids=lambda o: o.metric)
def test_fixed_dataflows(dataflow: str, objective: Objective) -> None:
    """There is one design on each device, whatever the objective; one without NMP has no steps that matter."""
    make = Maker(BUFFERED, dataflow)
    found = walk(make, objective)
    assert places(found) == AROUND
    for device, step in zip(make.asked, found, strict=True):
        answer = BUFFERED.evaluate(make.design(device), seed=0)
        assert step.metrics == {name: float(v[0]) for name, v in answer.metrics.items()}
    assert (len({step.metrics["latency_s"] for step in found}) == 1) == (dataflow == "npu_only")


def test_an_objective_without_a_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Energy is searched for, with the same effort on every device, the base included."""
    effort, generations = Effort(20, 10, 1.0, 1), 2
    monkeypatch.setattr(sensitivity, "SEARCH", effort)
    monkeypatch.setattr(sensitivity, "GENERATIONS", generations)

    def searched(device: Device) -> dict[str, float]:
        space = space_for(BUFFERED, one_device(device))
        search = make_search(space, effort, "ga", 1, effort.population * generations)
        archive, _ = explore(search, BUFFERED, [ENERGY], generations, effort.seed)
        assert archive.genomes is not None and archive.candidates == 40
        answer = BUFFERED.evaluate(space.decode(archive.genomes), seed=0)
        assert answer.metrics["energy_j"][0] == archive.values[0, 0]
        return {name: float(v[0]) for name, v in answer.metrics.items()}

    make = Maker(BUFFERED)
    found = walk(make, ENERGY)
    assert places(found) == AROUND
    assert all(step.metrics == searched(device) for device, step in zip(make.asked, found, strict=True))
    assert base_metrics(make, BUFFERED, ENERGY, make.design()) == searched(BASE)
    larger = Maker(BUFFERED)
    maximised = base_metrics(larger, BUFFERED, Objective("energy_j", -1), larger.design())
    assert maximised is not None and maximised["energy_j"] > searched(BASE)["energy_j"]


def test_a_step_where_nothing_fits() -> None:
    """Half the output buffer holds not one sum for each of 256 PEs, and the dataflow is fixed: no metrics."""
    evaluator = BufferedEvaluator(LAYER, replace(PLATFORM, banks_per_channel=256), CONSTANTS)
    make, base = Maker(evaluator, "fc_offloading"), BASE | {"output_kb": 2}
    found = {(step.parameter, step.after): step.metrics for step in walk(make, base=base)}
    assert evaluator.evaluate(make.design(base | {"output_kb": 1}), seed=0).status[0] == Status.FAILED
    assert [key for key in found if not found[key]] == [("output_kb", 1)] and len(found) == 14
    assert base_metrics(make, evaluator, LATENCY, make.design(base | {"output_kb": 1})) == {}


@pytest.mark.parametrize("dataflow", ["specpim", "attention_offloading_with_ffn_splitting"])
def test_a_dataflow_that_needs_a_normal_channel(dataflow: str) -> None:
    """The step that would take its last normal channel is no design, and is left out or empty."""
    make = Maker(ROOFLINE, dataflow)
    base = BASE | {"nmp_channels": PLATFORM.total_channels - 1}
    found = list(steps(make, one_device(base), make.evaluator, LATENCY, make.design(base)))
    last = [step for step in found if step.after == PLATFORM.total_channels and step.parameter == "nmp_channels"]
    assert not any(step.metrics for step in last) and places(found) | {"nmp_channels": [1, 3]} == AROUND


def test_processors_step_along_their_list() -> None:
    """A parameter of the PE moves to the next listed value, and doubles or halves where the list ends."""
    listed = (Processors(8, 600.0, 25.6), Processors(4, 800.0, 25.6), Processors(8, 400.0, 51.2))
    hardware = devices((2,), listed, (4,), (4,), (8,))
    found = places(walk(Maker(ROOFLINE), hardware=hardware))
    assert found["fpus"] == [4, 16]
    assert found["mhz"] == [400, 800]
    assert found["pe_gbps"] == [12.8, 51.2]
