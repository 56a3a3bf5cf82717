"""Execution type `evaluate`: how well a surrogate knows the designs of tasks, measured against what a truth answered.

Baselines are fitted on the tasks that are not judged and scored in the same run, by the same rules. The figures are
printed and written to `metrics.json`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from cost_model.corpus.label_draws import answered_rows, seeds_of
from cost_model.surrogates.conformal.surrogate import ConformalSurrogate
from cost_model.surrogates.tables.transfer import baselines
from cost_model.views.plain import PlainView
from design.contracts import Surrogate
from design.core import Floats
from design.errors import InputError
from dse.options import Settings
from dse.records.directory import make_folder, write_whole
from dse.report.scores.table import print_scores
from dse.studies.learning import Judged
from dse.studies.registry import learning_of
from dse.studies.surrogates import SURROGATES
from evaluators.scoring.asking import choice
from evaluators.scoring.protocol import Choose, drawn
from evaluators.scoring.table import UNITS, blocks_by_labels, heading, places_by_labels, score_tasks

FILE = "metrics.json"
FOLDS = 4  # in which baselines leave labels out: each costs as much as adapting them


def evaluate_as(settings: Settings, out: Path) -> int:
    """Scores the surrogate that the settings name, as they say. Returns an exit code. Raises InputError for an
    evaluator that is no surrogate, data that cannot be read, where no task can be judged, or where the surrogate has no
    number for a design."""
    learning = learning_of(settings)
    name = learning.default["evaluate"] if settings["evaluator"] == "auto" else settings["evaluator"]
    if name not in SURROGATES:
        raise InputError("--evaluator", f"{name} with --execution-type evaluate", f"one of {', '.join(SURROGATES)}")
    counts, seed, view = settings["labels"], settings["seed"], learning.domain.view
    surrogate, reference = SURROGATES[name](learning.domain), learning.domain.reference()
    headings = [heading(count) for count in counts]
    with Console(stderr=True, quiet=settings["quiet"]).status("reading results") as status:
        judged = learning.read_judged(counts)
        make_folder(out)
        rivals: list[Surrogate] = [] if name == "estimate" else [reference]
        choose = choice(settings["label-choice"], view)
        result = scores(judged, counts, seed, surrogate, rivals, view, status.update, choose)
    result["label_choice"] = settings["label-choice"]
    try:
        write_whole(out / FILE, json.dumps(result, indent=1, allow_nan=False) + "\n")
    except OSError as error:
        raise InputError(str(error.filename), f"cannot be written ({error.strerror})", "a writable directory") from None
    if settings["report"] != "none":
        from dse.report.scores.pictures import draw_scores  # imports matplotlib

        draw_agreement(judged, surrogate, seed, out)
        draw_scores(result, headings, out)
    if not settings["quiet"]:
        print_scores(result, headings)
        print(f"Scores are in {out / FILE}")
    return 0


def scores(
    judged: Judged,
    label_counts: Sequence[int],
    seed: int,
    surrogate: Surrogate,
    rivals: Sequence[Surrogate],
    view: PlainView,
    progress: Callable[[str], None] = lambda line: None,
    choose: Choose = drawn,
) -> dict[str, Any]:
    """What `metrics.json` holds: the surrogate's table by label counts, the same of each baseline and of `rivals`, and
    what makes the figures repeatable. Intervals of baselines are conformal, from labels only: a prior would take refits
    without each family, minutes of them."""
    scored = {surrogate.name: score_tasks(surrogate, judged.tables, label_counts, seed, progress, choose)}
    first = judged.tables[0]
    metrics = first.task.metrics
    compared: dict[str, Any] | None = None
    why: str | None = None
    learned: set[str] = set()
    try:
        fitted = baselines(judged.training, judged.tables, view, seed, progress)
    except InputError as error:  # nothing is left to learn from
        why = str(error)
    else:
        compared = {}
        for rival in [*rivals, *(ConformalSurrogate(one, view, folds=FOLDS) for one in fitted)]:
            scored[rival.name] = score_tasks(rival, judged.tables, label_counts, seed, progress, choose)
            compared[rival.name] = blocks_by_labels(scored[rival.name], metrics)
        learned = set(fitted[0].trained_on.families)
    places = {name: places_by_labels(found) for name, found in scored.items()}
    known = surrogate.trained_on
    return blocks_by_labels(scored[surrogate.name], metrics) | {
        "evaluator": surrogate.name,
        "evaluator_version": surrogate.version,
        "fidelity": surrogate.condition(first.task, None, seed=seed).fidelity,
        "fitted_on": sorted(known.families),
        "seen": [t.task.name for t in judged.tables if known.contains(t.task.family, t.task.digest)],
        "seeds": {heading(count): list(seeds_of(count, seed)) for count in label_counts},
        "skipped": dict(judged.skipped),
        "baselines": compared,
        "baselines_absent": why,
        "baselines_fitted_on": sorted(learned),
        "units": UNITS,
        "metrics": list(metrics),
        "digits": {name: found["digits"] for name, found in places.items()},
        "ranks": {name: found["ranks"] for name, found in places.items()},
        **judged.about,
    }


def draw_agreement(judged: Judged, surrogate: Surrogate, seed: int, out: Path) -> None:
    """Writes `agreement.png` and `.svg` to `out`: prediction without labels against truth, a colour for each task; of
    metrics where both are known."""
    from dse.report.pictures.scores.agreement import Series, agreement_picture

    series: dict[str, dict[str, tuple[Floats, Floats]]] = {}
    for table in judged.tables:
        rows = answered_rows(table)
        answer = surrogate.condition(table.task, None, seed=seed).evaluate(table.batch.take(rows), seed=seed)
        for name in table.task.metrics:
            if name in answer.metrics:
                truth = table.metric(name)[rows]
                known = np.isfinite(truth) & np.isfinite(answer.metrics[name])
                if known.any():
                    series.setdefault(name, {})[table.task.name] = truth[known], answer.metrics[name][known]
    shown: list[Series] = list(series.values())
    if shown:
        agreement_picture(list(series), shown, "agreement", out)
