"""What the published evaluation consists of: designs, workloads, and which experiment looks at which (section 6 of the
H2-LLM reference)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from dse.options import PROCESSORS, Settings, read_settings

ALL = "all"
Engines = tuple[int, float, float]  # FPUs a PE, MHz, GB/s of a PE


@dataclass(frozen=True)
class Design:
    """An accelerator: choices of NMP channels and of engines, and the dataflow it is used with. `plotted` is the share
    of its peak that the published figures grant it."""

    channels: tuple[int, ...]
    engines: tuple[Engines, ...] | None  # None: all of the published list
    dataflow: str
    plotted: float = 1.0

    @property
    def explored(self) -> bool:
        """Whether a dataflow is searched for."""
        return self.dataflow in ("no", "specpim")


BONDED, IN_DIE, IN_DIE_PLUS = (8, 600, 25.6), (1, 200, 6.4), (1, 1000, 6.4)
DESIGNS: Mapping[str, Design] = {
    "CP": Design((0,), (BONDED,), "2x_npu_only"),
    "ID-NMP": Design((8,), (IN_DIE,), "no"),
    "ID-NMP+": Design((8,), (IN_DIE_PLUS,), "no"),
    "Attn-NMP": Design((6,), (BONDED,), "attention_offloading", 0.85),
    "Attn-NMP-Split": Design((6,), (BONDED,), "attention_offloading_with_ffn_splitting", 0.85),
    "FC-NMP": Design((6,), (BONDED,), "fc_offloading", 0.95),
    "CC-NMP": Design((6,), (BONDED,), "specpim", 0.90),
    "H2-LLM": Design((6,), (BONDED,), "no", 0.95),
    "H2-LLM-Full": Design((2, 4, 6, 8), None, "no", 0.95),
}
EXPERIMENTS: Mapping[str, tuple[str, ...]] = {
    "e2e": ("CP", "ID-NMP", "ID-NMP+", "H2-LLM"),
    "dataflow": ("ID-NMP+", "Attn-NMP", "Attn-NMP-Split", "FC-NMP", "CC-NMP", "H2-LLM"),
    "arch": ("H2-LLM", "H2-LLM-Full"),
    ALL: tuple(DESIGNS),
}
MODELS: Mapping[str, str] = {"opt": "OPT-6.7B", "llama": "LLaMA3-8B", "palm": "PaLM-8B"}
DATA_SETS: Mapping[str, tuple[int, int]] = {"he": (157, 67), "sg": (783, 209), "lb": (1886, 97), "lg": (1971, 17)}
BATCHES = (1, 4, 16)
EVALUATORS = ("roofline", "buffered")  # the published one first
BUFFERS = {"input-buffer-size-space": 32, "weight-buffer-size-space": 32, "output-buffer-total-size-space": 64}  # KB


@dataclass(frozen=True)
class Point:
    """One design on one workload."""

    design: str
    model: str
    data_set: str
    batch: int

    @property
    def name(self) -> str:
        """Fit for a folder."""
        return f"{self.design}.{self.model}.{self.data_set}.b{self.batch}"

    def settings(self, evaluator: str, seed: int, folder: Path, more: Mapping[str, object] | None = None) -> Settings:
        """As on the command line, run from the folder of the program: all dataflows that the design allows, solved, and
        `more`."""
        prompt, generated = DATA_SETS[self.data_set]
        design = DESIGNS[self.design]
        engines = design.engines
        given: dict[str, object] = {
            "model-type": self.model,
            "max-batch-size": self.batch,
            "input-seq-len": prompt,
            "max-gen-len": generated,
            "nmp-channel-num-space": ",".join(map(str, design.channels)),
            "fpu-pe-bw-space": PROCESSORS
            if engines is None
            else ",".join(f"({','.join(map(str, e))})" for e in engines),
            "is-dataflow-fixed": design.dataflow,
            "evaluator": evaluator,
            "algorithm": "exact",
            "seed": seed,
            "report": "none",
            "quiet": "true",
            "resume": "true",
            "dse-output-dir": folder,
        }
        said = BUFFERS | given | dict(more or {})
        return read_settings({name: (self.name, str(value)) for name, value in said.items()})


def results_of(evaluator: str, out: Path) -> Path:
    """The folder of all that has to do with an evaluator, below that of all results."""
    return out / f"h2llm-{evaluator}"


def points(
    designs: tuple[str, ...], models: tuple[str, ...], data_sets: tuple[str, ...], batches: tuple[int, ...]
) -> list[Point]:
    """All of them, in the order of the tables."""
    return [Point(*one) for one in product(designs, models, data_sets, batches)]
