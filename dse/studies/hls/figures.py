"""The pictures of loop directives: the best design's source, and what the front takes of the device."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from design.metrics import CYCLES
from dse.report.figures import Picture
from dse.report.pictures.hls.listing import listing_picture
from dse.report.pictures.hls.shares import shares_picture
from dse.studies.hls.listing import marked_lines
from dse.studies.hls.problem import HlsProblem
from dse.studies.outcome import Outcome


def best_pictures(problem: HlsProblem, outcome: Outcome, folder: Path) -> Iterator[Picture]:
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
        svg = shares_picture(outcome.answers.metrics[CYCLES], shares, problem.target.device.usable, folder)
        text = "What the designs of the front take of the device. The resource on top is the one that limits."
        yield Picture("shares", svg, "Resources of the front's designs as shares of the device", text)
