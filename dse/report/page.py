"""The report of a run: one HTML page that needs nothing but itself, and its pictures as files."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from cost_model.nmp.operators.plugins import ModelFault
from design.core import Floats
from dse.records.archive import Progress, objective_values
from dse.records.directory import write_whole
from dse.report.acquired import acquired_pictures, acquired_table, acquired_words
from dse.report.figures import run_pictures
from dse.report.inline import inline_svg
from dse.report.knee import knee
from dse.report.repeat import command
from dse.report.tables import front_table, said_by
from dse.report.validation import error_card, validation_picture, validation_table
from dse.studies.outcome import Outcome
from dse.studies.study import Study

LOG = logging.getLogger("tilewright")
PAGE, PICTURES = "report.html", "pictures"
STUDIES = Path(__file__).parent.parent / "studies"  # where studies have their parts of the page


def write_report(
    folder: Path,
    study: Study,
    outcome: Outcome,
    history: Sequence[Progress],
    cloud: Floats,
    *,
    brief: bool = False,
) -> None:
    """Write `report.html` and `pictures/*.png|svg` into `folder`, each whole at any moment.

    `cloud` is (n, 1 + objectives): number and objective values of other feasible candidates, to draw behind. A
    `brief` report, for a run that still goes on, has convergence and fronts only.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    place, found = folder / PICTURES, outcome.findings
    signs = [objective.sign for objective in outcome.objectives]
    turn = knee(objective_values(outcome.answers, outcome.objectives), signs) if len(outcome.front) else None
    drawn = list(run_pictures(outcome, history, cloud, turn, place))
    checked, acquired = outcome.validation, outcome.acquired
    if found is not None and not brief:
        try:
            drawn.extend(study.pictures(outcome, place))
            drawn.extend([] if checked is None else validation_picture(checked, place))
            drawn.extend([] if acquired is None else acquired_pictures(acquired, place))
        except ModelFault as fault:  # a user's model is asked for more than the run needed
            LOG.warning("a report without all pictures: %s", fault)
    pictures = {p.name: {"svg": inline_svg(p.svg, p.name, p.label), "caption": p.caption} for p in drawn}

    environment = Environment(
        loader=FileSystemLoader([Path(__file__).parent, STUDIES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("page.html").render(
        outcome=outcome,
        study=study,
        found=found,
        brief=brief,
        running=outcome.ended == "running",
        pictures=pictures,
        cards=[*study.cards(outcome), *([] if checked is None else [error_card(checked)])],
        checks=validation_table(checked),
        checked_by="" if checked is None else checked.source,
        labels=([], []) if acquired is None else acquired_table(acquired),
        loop_words=[] if acquired is None else acquired_words(acquired),
        words=study.words(outcome),
        front=front_table(study, outcome, turn),
        command=command(outcome.settings),
        versions=outcome.versions,
        sources=said_by(outcome),
        **study.context(outcome),
    )
    write_whole(folder / PAGE, page)
