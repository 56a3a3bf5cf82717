"""The pictures of loop directives: the best design's source, what the front takes of the device, estimate and truth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from design.core import Status
from dse.records.outcome import Outcome
from dse.report.figures import Picture
from dse.report.pictures.hls.listing import listing_picture
from dse.report.pictures.hls.shares import shares_picture
from dse.report.pictures.scores.agreement import Series, agreement_picture
from dse.studies.hls.checked import COMPARED, Checked
from dse.studies.hls.listing import marked_lines
from dse.studies.hls.problem import HlsProblem


def best_pictures(problem: HlsProblem, outcome: Outcome, checked: Checked | None, folder: Path) -> Iterator[Picture]:
    """Of the front, and of its first design."""
    best = {name: int(values[0]) for name, values in outcome.front.columns.items()}
    svg = listing_picture(*marked_lines(problem.kernel, best), folder)
    text = (
        "The kernel as it was read, without comments. Each bar is a loop, coloured by how it runs in the best design; "
        "its directives stand beside its first line. Loops without directives are left to the tool."
    )
    yield Picture("listing", svg, f"Source of {problem.kernel.name} with the directives of the best design", text)
    shares = {name: outcome.answers.metrics[f"{name}_share"] for name in problem.target.device.resources}
    if len(outcome.front) > 1 and all(np.isfinite(values).all() for values in shares.values()):
        svg = shares_picture(outcome.answers.metrics["cycles"], shares, problem.target.device.usable, folder)
        text = "What the designs of the front take of the device. The resource on top is the one that limits."
        yield Picture("shares", svg, "Resources of the front's designs as shares of the device", text)
    compared = {} if checked is None else _compared(checked)
    if compared:
        svg = agreement_picture(list(compared), list(compared.values()), "agreement", folder)
        text = "Designs of the front that were checked: what the tool says against what the estimate said."
        yield Picture("agreement", svg, "Estimate against truth of the designs that were checked", text)


def _compared(checked: Checked) -> dict[str, Series]:
    """Truth and estimate by metric, where a truth is known."""
    found: dict[str, Series] = {}
    for name in COMPARED:
        known = (checked.status == Status.OK) & np.isfinite(checked.truth[name])
        if known.any():
            found[name] = {"front designs": (checked.truth[name][known], checked.estimate[name][known])}
    return found
