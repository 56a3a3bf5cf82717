"""What reports say of designs of the front that a truth was asked about."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from design.core import Status
from dse.active.validation import Validation
from dse.report.terminal import Cells

if TYPE_CHECKING:  # these draw with matplotlib, which is loaded only to draw
    from dse.report.figures import Picture
    from dse.report.pictures.scores.agreement import Series


def validation_table(found: Validation | None) -> Cells:
    """Prediction and truth of the first metric, and the truth's others."""
    if found is None:
        return [], []
    first, *others = found.truth
    headings = ["#", first, "estimate", "error", *(name.upper() for name in others), "status"]
    rows = []
    for i, row in enumerate(found.rows.tolist()):
        truth, guess = float(found.truth[first][i]), float(found.estimate[first][i])
        known = math.isfinite(truth) and truth > 0
        rows.append(
            [str(row + 1), _number(truth if known else math.nan), _number(guess)]
            + [f"{guess / truth - 1:+.1%}" if known else "-"]
            + [_number(float(found.truth[name][i])) for name in others]
            + ["OK" if found.status[i] == Status.OK else found.reason[i][:60]]
        )
    return headings, rows


def error_card(found: Validation) -> tuple[str, str, str]:
    """How far predictions of the first metric were off."""
    error = "nothing to compare" if found.error is None else f"{found.error:,.1%}"
    return f"error of estimated {found.metric}", error, f"median of {len(found.rows)} checked designs"


def validation_picture(found: Validation, folder: Path) -> Iterator[Picture]:
    """Truth against prediction of each metric; none where no truth is known."""
    from dse.report.figures import Picture
    from dse.report.pictures.scores.agreement import agreement_picture

    compared: dict[str, Series] = {}
    for name in found.truth:
        known = (found.status == Status.OK) & np.isfinite(found.truth[name]) & np.isfinite(found.estimate[name])
        if known.any():
            compared[name] = {"front designs": (found.truth[name][known], found.estimate[name][known])}
    if not compared:
        return
    svg = agreement_picture(list(compared), list(compared.values()), "agreement", folder)
    text = "Designs of the front that were checked: what the tool says against what the estimate said."
    yield Picture("agreement", svg, "Estimate against truth of the designs that were checked", text)


def validation_summary(found: Validation, ids: Sequence[int]) -> dict[str, Any]:
    """For programs; `ids` are the numbers of the front's designs."""
    designs = [
        {
            "id": int(ids[row]),
            "status": Status(int(found.status[i])).name,
            "reason": found.reason[i],
            "truth": {n: _known(float(v[i])) for n, v in found.truth.items()},
            "estimate": {n: _known(float(v[i])) for n, v in found.estimate.items()},
        }
        for i, row in enumerate(found.rows.tolist())
    ]
    error = {f"median_ape_{found.metric}": found.error}
    return {"by": found.source, "calls": found.calls, **error, "designs": designs}


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "-"
    return f"{value:,.0f}" if value >= 100 or value == round(value) else f"{value:.4g}"


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
