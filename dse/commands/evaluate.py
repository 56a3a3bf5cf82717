"""Execution type `evaluate`: how well an evaluator knows the designs of kernels, measured against what a tool said.

Baselines are fitted on the kernels that are not judged and scored in the same run, by the same rules. The figures
are printed and written to `metrics.json`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from cost_model.corpus.hls.label_draws import LEAST_ROWS, seeds_of, truth_of, why_skipped, with_cycles
from cost_model.corpus.split import read_split
from cost_model.hls.estimate import EstimatePredictor
from cost_model.surrogates.checkpoints import language_model, transformer_h, with_intervals
from cost_model.surrogates.conformal.surrogate import ConformalPredictor
from cost_model.surrogates.predictor import METRICS, Predictor
from cost_model.surrogates.tables.transfer import baselines
from design.core import Floats
from design.errors import InputError
from design.hls.design import TARGETS
from design.hls.loop_nest import Kernel
from dse.options import Settings
from dse.records.directory import write_whole
from dse.report.scores import print_scores
from evaluators.scoring.asking import CHOICES
from evaluators.scoring.nearest import nearest_kernels
from evaluators.scoring.protocol import Choose, drawn
from evaluators.scoring.table import UNITS, blocks_by_labels, heading, places_by_labels, score_kernels
from frontends.hls_results.tables import KernelTable, family_of, read_kernels, read_results, result_names

FILE = "metrics.json"
FOLDS = 4  # in which baselines leave labels out: each costs as much as adapting them


@dataclass(frozen=True)
class Judged:
    """The tables that are scored, those that baselines may learn from, and why others are not scored; and all kernels
    of families that are not held out, those that were asked for too, by name."""

    tables: list[KernelTable]
    training: list[KernelTable]
    skipped: dict[str, str]
    programs: dict[str, Kernel]


PREDICTORS: dict[str, Callable[[Settings], Predictor]] = {
    "estimate": lambda settings: EstimatePredictor(),
    "lm": lambda settings: with_intervals(
        language_model(settings["checkpoint"], settings["base-model"]), settings["checkpoint"]
    ),
    "transformer-h": lambda settings: transformer_h(settings["checkpoint"]),
}


def evaluate_as(settings: Settings, out: Path) -> int:
    """Scores the evaluator that the settings name, as they say. Returns an exit code. Raises InputError as `evaluate`
    does, and for an evaluator that predicts no results of HLS tools."""
    name = "estimate" if settings["evaluator"] == "auto" else settings["evaluator"]
    if name not in PREDICTORS:
        raise InputError("--evaluator", f"{name} with --execution-type evaluate", f"one of {', '.join(PREDICTORS)}")
    if settings["data"] is None:
        raise InputError("--data", "is missing", "a folder or .tar.gz with sources/ and designs/TOOL/")
    return evaluate(
        data=Path(settings["data"]),
        tool_version=settings["tool-version"],
        kernels=settings["kernels"],
        label_counts=settings["labels"],
        seed=settings["seed"],
        out=out,
        predictor=PREDICTORS[name](settings),
        train_data=None if settings["train-data"] is None else Path(settings["train-data"]),
        quiet=settings["quiet"],
        pictures=settings["report"] != "none",
        labels_by=settings["label-choice"],
    )


def evaluate(
    data: Path,
    tool_version: str,
    kernels: Sequence[str] | None,
    label_counts: Sequence[int],
    seed: int,
    out: Path,
    predictor: Predictor,
    train_data: Path | None = None,
    quiet: bool = False,
    pictures: bool = False,
    labels_by: str = "random",
) -> int:
    """Scores a predictor and the baselines on kernels of a data set; prints the table, writes `out/metrics.json`.

    `kernels` None are all kernels of the test families of config/hls/split.json. Raises InputError for a data set
    that cannot be read, where no kernel can be judged, or where the predictor has no number for a design.
    """
    console = Console(stderr=True, quiet=quiet)
    _make_folder(out)
    with console.status("reading results") as status:
        judged = read_judged(data, tool_version, kernels, label_counts, train_data)
        result = scores(judged, tool_version, label_counts, seed, predictor, status.update, CHOICES[labels_by])
    result |= {"label_choice": labels_by, "data": str(data), "train_data": str(train_data or data)}
    try:
        write_whole(out / FILE, json.dumps(result, indent=1, allow_nan=False) + "\n")
    except OSError as error:
        raise InputError(str(error.filename), f"cannot be written ({error.strerror})", "a writable directory") from None
    if pictures:
        from dse.report.score_pictures import draw_scores  # imports matplotlib

        draw_agreement(judged, predictor, seed, out)
        draw_scores(result, [heading(count) for count in label_counts], out)
    if not quiet:
        print_scores(result, [heading(count) for count in label_counts])
        print(f"Scores are in {out / FILE}")
    return 0


def read_judged(
    data: Path, tool_version: str, kernels: Sequence[str] | None, label_counts: Sequence[int], train_data: Path | None
) -> Judged:
    """Reads the kernels to judge and all that may be learned from, of every known tool version."""
    there = result_names(data)
    if kernels is None:
        families = read_split().families
        kernels = [name for name in there.get(tool_version, ()) if family_of(name) in families]
        if tool_version in there and not kernels:
            found = f"has no results of {tool_version} for the test families {', '.join(families)}"
            raise InputError(str(data), found, "--kernels with the names of some that are there")
    asked = read_results(data, tool_version, list(kernels))
    skipped = {table.name: why for table in asked if (why := why_skipped(table, label_counts))}
    tables = [table for table in asked if table.name not in skipped]
    if not tables:
        reason = "; ".join(f"{name}: {why}" for name, why in skipped.items())
        raise InputError(str(data), f"has no kernel to judge ({reason})", f"one with {LEAST_ROWS} designs with cycles")
    # A kernel that was asked for keeps its family out even where it has too few designs to be judged.
    source, families_out = train_data or data, {table.family for table in asked}
    training: list[KernelTable] = []
    for tool, names in result_names(source).items():
        others = [name for name in names if family_of(name) not in families_out]
        if tool in TARGETS and others:
            training += read_results(source, tool, others)
    return Judged(tables, training, skipped, training_programs(source, training))


def training_programs(source: Path, training: Sequence[KernelTable]) -> dict[str, Kernel]:
    """Kernels with results, of a known tool version, whose family is not held out; those in `training` are read."""
    held_out, read = read_split().families, {table.name: table.kernel for table in training}
    names = {name for tool, there in result_names(source).items() if tool in TARGETS for name in there}
    wanted = sorted(name for name in names if family_of(name) not in held_out)
    return {name: read[name] for name in wanted if name in read} | read_kernels(source, sorted(set(wanted) - set(read)))


def scores(
    judged: Judged,
    tool_version: str,
    label_counts: Sequence[int],
    seed: int,
    predictor: Predictor,
    progress: Callable[[str], None] = lambda line: None,
    choose: Choose = drawn,
) -> dict[str, Any]:
    """What `metrics.json` holds but for the paths: the predictor's table by label counts, the same of each baseline and
    of the estimate, and what makes the figures repeatable. Intervals of baselines are conformal, from labels alone: a
    prior would take refits without each family, minutes of them."""
    scored = {predictor.name: score_kernels(predictor, judged.tables, label_counts, seed, progress, choose)}
    first = judged.tables[0]
    compared: dict[str, Any] | None = None
    why: str | None = None
    learned: set[str] = set()
    try:
        fitted = baselines(judged.training, judged.tables, seed, progress)
    except InputError as error:  # nothing is left to learn from
        why = str(error)
    else:
        rivals: list[Predictor] = [ConformalPredictor(one, folds=FOLDS) for one in fitted]
        if predictor.name != "estimate":
            rivals = [EstimatePredictor(), *rivals]
        compared = {}
        for rival in rivals:
            scored[rival.name] = score_kernels(rival, judged.tables, label_counts, seed, progress, choose)
            compared[rival.name] = blocks_by_labels(scored[rival.name])
        learned = set(fitted[0].fitted_on.families)
    fidelity = predictor.fitted(first.kernel, first.target, None, seed).fidelity
    places = {name: places_by_labels(found) for name, found in scored.items()}
    nearest = nearest_kernels(judged.tables, judged.programs)
    return blocks_by_labels(scored[predictor.name]) | {
        "evaluator": predictor.name,
        "evaluator_version": predictor.version,
        "fidelity": fidelity,
        "fitted_on": sorted(predictor.fitted_on.families),
        "seen": [t.name for t in judged.tables if predictor.fitted_on.saw(t.family, t.kernel.digest)],
        "tool_version": tool_version,
        "seeds": {heading(count): list(seeds_of(count, seed)) for count in label_counts},
        "skipped": judged.skipped,
        "baselines": compared,
        "baselines_absent": why,
        "baselines_fitted_on": sorted(learned),
        "units": UNITS,
        "digits": {name: found["digits"] for name, found in places.items()},
        "ranks": {name: found["ranks"] for name, found in places.items()},
        "distance": nearest,
    }


def draw_agreement(judged: Judged, predictor: Predictor, seed: int, out: Path) -> None:
    """Writes `agreement.png` and `.svg` to `out`: prediction without labels against truth, a colour for each kernel."""
    from dse.report.pictures.scores.agreement import Series, agreement_picture

    series: dict[str, dict[str, tuple[Floats, Floats]]] = {name: {} for name in METRICS}
    for table in judged.tables:
        rows = with_cycles(table)
        answer = predictor.fitted(table.kernel, table.target, None, seed).evaluate(table.batch.take(rows), seed=seed)
        for name, truth in truth_of(table).truth.items():
            if name in answer.metrics:
                known = np.isfinite(truth[rows]) & np.isfinite(answer.metrics[name])
                series[name][table.name] = truth[rows][known], answer.metrics[name][known]
    shown: list[Series] = [series[name] for name in series if series[name]]
    agreement_picture([name for name in series if series[name]], shown, "agreement", out)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(str(path), f"cannot be used ({error.strerror})", "a writable directory") from None
