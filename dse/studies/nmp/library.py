"""Exploration from Python: a model, a space of devices, explore, look at the front.

from design.nmp.device import HardwareSpace, Processors
from dse.studies.nmp.library import explore_designs, load_layer

layer = load_layer("config/llama3-8b", batch=4, prompt=783, generated=209)
devices = HardwareSpace((4, 6, 8), (Processors(8, 600, 25.6), Processors(4, 800, 51.2)), (32,), (32,), (64,))
front = explore_designs(layer, devices, "latency_s,energy_j,area_mm2", generations=20)
print(front)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cost_model.nmp.buffered import BufferedEvaluator
from cost_model.nmp.technology import read_technology
from design.core import Batch, Evaluation, Objective
from design.metrics import metric_values, parse_objectives
from design.nmp.device import HardwareSpace, Platform
from design.nmp.lowering import Usage, model_workload
from design.nmp.workload import Workload
from dse.search.engine import Effort, make_search
from dse.search.explore import explore
from dse.spaces.nmp import NmpSpace
from dse.studies.nmp.models.find import described_model, model_file

TECHNOLOGY = Path(__file__).parents[3] / "config" / "technology" / "hybrid-bonding.json"


@dataclass(frozen=True)
class Front:
    """The best designs found, the best of the first objective first; `evaluation` has their metrics per layer."""

    designs: Batch
    evaluation: Evaluation
    objectives: tuple[Objective, ...]

    def __len__(self) -> int:
        return len(self.designs)

    def __str__(self) -> str:
        names = [objective.metric for objective in self.objectives]
        values = [metric_values(name, self.evaluation.metrics) for name in names]
        lines = ["  ".join(f"{name:>12}" for name in names) + "  design"]
        for row in range(len(self)):
            text = self.designs.schema.text(self.designs, row)
            lines.append("  ".join(f"{value[row]:12.6g}" for value in values) + f"  {text}")
        return "\n".join(lines)


def load_layer(
    path: str | Path,
    *,
    batch: int = 1,
    prompt: int = 1024,
    generated: int = 128,
    max_seq_len: int = 2048,
    precision: str = "fp16",
    latent: str = "absorbed",
    head: bool = False,
) -> Workload:
    """The mean layer of a model, used with so many sequences and tokens: of a shape, the config.json of a Hugging Face
    model, or a folder with either.

    Raises InputError naming file and field where it is unusable.
    """
    shape = model_file(Path(path))
    usage = Usage(batch, prompt, generated, max_seq_len, precision)
    return model_workload(described_model(shape, shape.parent, latent, head), usage)


def explore_designs(
    layer: Workload,
    devices: HardwareSpace,
    objectives: str = "latency_s,energy_j,area_mm2",
    *,
    generations: int = 10,
    population: int = 100,
    seed: int = 0,
    platform: Platform | None = None,
    technology: str | Path = TECHNOLOGY,
) -> Front:
    """The Pareto front of near-memory designs, hardware and dataflow explored together, priced by `buffered`.

    `objectives` as on the command line. Raises InputError for unusable input.
    """
    platform = platform or Platform()
    evaluator = BufferedEvaluator(layer, platform, read_technology(Path(technology)).constants())
    goals = parse_objectives(objectives, list(evaluator.metrics), evaluator.name)
    space = NmpSpace(layer, platform, devices, evaluator.npu, evaluator.nmp, reach=evaluator.decode_reach)
    effort = Effort(population, max(population // 2, 2), 1.0, seed)
    search = make_search(space, effort, "auto", len(goals), generations * population)
    archive, _ = explore(search, evaluator, goals, generations, seed)
    genomes = space.starts()[:0] if archive.genomes is None else archive.genomes
    designs = space.decode(genomes)
    return Front(designs, evaluator.evaluate(designs, seed=seed), goals)
