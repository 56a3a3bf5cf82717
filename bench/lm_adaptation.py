"""Ways for the language model to learn from 20 labels of a kernel, on families that it has not seen:

    python -m bench.lm_adaptation --data hlsyn.tar.gz --models FOLDER [--ways itself,head,lora,all] [--kernels A,B]

FOLDER holds the models of `bench.lm_folds`. `itself` is what the evaluator does: forests beside the model, or labels in
its prompt if its recipe has shots. `head` trains the last norm and what answers are compared with, `lora` low-rank
additions to all layers (by peft), `all` everything, each with the loss of the training. Printed are means over kernels
of RMSE(y), Spearman, median APE and the share within 10 %, and CPU seconds a kernel.
"""

from __future__ import annotations

import time
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from bench import parser_of
from cost_model.corpus.hls.records import gather
from cost_model.corpus.label_draws import why_skipped
from cost_model.surrogates.lm.backbones.base import Backbone
from cost_model.surrogates.lm.examples import Examples
from cost_model.surrogates.lm.recipe import Recipe
from cost_model.surrogates.lm.surrogate import LmEvaluator, LmSurrogate
from cost_model.surrogates.lm.training import Trainer, lesson
from cost_model.training.calibrate import parts_of, some
from cost_model.training.checkpoint import Checkpoint
from cost_model.training.models import load
from cost_model.training.trainer import MODEL
from cost_model.views.hls.view import HlsView
from design.contracts import Dataset, Surrogate, Task
from design.metrics import HLS_METRICS
from evaluators.scoring.protocol import score_task

LABELS, SEED, VIEW = 20, 0, HlsView()
FIGURES = ("rmse_y", "spearman", "median_ape", "within_10")
RATES = {"head": 0.003, "lora": 0.003, "all": 0.0005}
STEPS = 30


class Adapted:
    """A surrogate whose model itself learns from labels."""

    name = "lm"

    def __init__(self, inner: LmSurrogate, way: str, times: float) -> None:
        self._inner, self._way, self._times = inner, way, times
        self.version, self.trained_on = inner.version, inner.trained_on

    def condition(self, task: Task, labels: Dataset | None, *, seed: int) -> LmEvaluator:
        """See `Surrogate`."""
        checkpoint = self._inner.checkpoint
        plain = LmEvaluator(task, VIEW, checkpoint)
        assert labels is not None
        prompts, _ = plain.prompter.prompts(labels.batch)
        truth = np.stack([labels.metric(metric) for metric in HLS_METRICS], axis=1)
        examples = Examples(task.name, "", prompts, truth, labels.feasible)
        return LmEvaluator(task, VIEW, taught(checkpoint, examples, self._way, self._times))


def taught(
    checkpoint: Checkpoint[Recipe, Backbone], examples: Examples, way: str, times: float
) -> Checkpoint[Recipe, Backbone]:
    """A copy of the model that has learned from examples."""
    recipe = checkpoint.recipe.model_copy(
        update={"number_steps": 0, "steps": STEPS, "designs": LABELS, "kernels": 1, "warmup": 3, "shots": 0}
        | {"rate": RATES[way] * times, "dropout": 0.0}
    )
    model = deepcopy(checkpoint.model)
    model.requires_grad_(way == "all")
    if way == "head":
        for part in (model.last, model.worth_out):
            part.requires_grad_(True)
    layers = []
    if way == "lora":
        from peft import LoraConfig, inject_adapter_in_model
        from peft.tuners.lora import LoraLayer

        torch.manual_seed(SEED)
        inject_adapter_in_model(LoraConfig(r=4, lora_alpha=8, target_modules=["attend", "out", "up", "down"]), model)
        layers = [layer for layer in model.modules() if isinstance(layer, LoraLayer)]
        assert layers
    trainer = Trainer(recipe, [lesson(examples, recipe.make_codec(), recipe.spread)], model=model)
    while trainer.step < trainer.last:
        trainer.advance()
    return replace(checkpoint, model=model.eval(), digest=f"{checkpoint.digest}-{way}")


def main() -> None:
    """The command."""
    parser = parser_of("lm_adaptation", __doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--parts", type=int, default=5)
    parser.add_argument("--ways", default="itself,head,lora,all")
    parser.add_argument("--kernels", default="")
    parser.add_argument("--times", type=float, default=1.0, help="the usual rates of learning")
    given = parser.parse_args()
    corpus = gather(given.data)
    found: dict[str, list[list[float]]] = {}
    for number, part in enumerate(parts_of(corpus.records, given.parts, SEED)):
        kept = [data for data in corpus.records if data.task.family in part and not why_skipped(data, (LABELS,))]
        tables = [some(data) for data in kept if not given.kernels or data.task.name in given.kernels.split(",")]
        if not tables:
            continue
        inner = LmSurrogate(load(given.models / f"{number + 1}-of-{given.parts}" / MODEL, "lm"), VIEW)
        for way in given.ways.split(","):
            surrogate: Surrogate = inner if way == "itself" else Adapted(inner, way, given.times)
            for table in tables:
                began = time.process_time()
                cycles = score_task(surrogate, table, LABELS, SEED).blocks["cycles"]
                spent = (time.process_time() - began) / 3  # draws of labels
                found.setdefault(way, []).append([*(cycles[name] or 0.0 for name in FIGURES), spent])
            print(f"part {number}, {way}: {np.round(np.mean(found[way][-len(tables) :], axis=0), 3)}", flush=True)
    for way, rows in found.items():
        told = "  ".join(f"{value:6.3f}" for value in np.mean(rows, axis=0))
        print(f"{way:8} {len(rows):3d} kernels  {told}")


if __name__ == "__main__":
    main()
