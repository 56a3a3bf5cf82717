"""What reports say of an active loop: which labels it acquired and why, and how well they were predicted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from design.core import LEVEL, Status
from design.metrics import metric_unit
from dse.active.acquired import Acquired
from dse.records.archive import objective_values
from dse.report.terminal import Cells

if TYPE_CHECKING:  # it draws with matplotlib, which is loaded only to draw
    from dse.report.figures import Picture


def acquired_words(found: Acquired) -> list[str]:
    """Who was asked what, and how well labels were foretold: a sentence each."""
    tiers = ", ".join(f"{count:,} by {who}" for who, count in found.tiers.items())
    words = [f"{len(found.provenances)} designs were bought. Designs were scored {tiers or 'by nobody'}."]
    for metric, prospective in found.prospective.items():
        if prospective.error is not None:
            held, stated = prospective.held
            words.append(
                f"Labels of {metric} before they were known: median error {prospective.error:.1%}, "
                f"{held} of {stated} in their {LEVEL:.0%} intervals."
            )
    if found.expected:
        count = len(found.expected)
        more = f"{count} designs that were not bought are" if count > 1 else "One design that was not bought is"
        words.append(f"{more} expected on the front.")
    return words


def acquired_table(found: Acquired) -> Cells:
    """The labels: what each was bought for, what had been said of it, and what the truth was."""
    names = [o.metric for o in found.objectives]
    headings = ["#", "model", "expected gain", "sound"]
    for name in names:
        headings += [name, "was expected"]
    rows = []
    for row, why in enumerate(found.provenances):
        gain = why["expected_gain"]
        cells = [str(row + 1), str(why["version"]), "first" if gain is None else f"{gain:.2%}", f"{why['sound']:.0%}"]
        for name in names:
            said = why["said"].get(name)
            cells += [_number(found.answers.metrics[name][row]), "-" if said is None else _expected(said)]
        status = Status(int(found.answers.status[row]))
        cells.append("OK" if status is Status.OK else str(found.answers.reason[row])[:60])
        rows.append([*cells, found.texts[row]])
    return [*headings, "status", "design"], rows


def acquired_pictures(found: Acquired, folder: Path) -> Iterator[Picture]:
    """The front with what is expected beyond it, and the calibration of prospective labels."""
    from dse.report.figures import Picture
    from dse.report.pictures.active.front import loop_front_picture
    from dse.report.pictures.active.prospective import fresh_labels_picture

    names, signs = [o.metric for o in found.objectives], [o.sign for o in found.objectives]
    if len(names) > 1:
        values = objective_values(found.answers, found.objectives)
        counts = (found.answers.status == Status.OK) & np.isfinite(values.sum(axis=1))
        values = values[counts]
        from moocore import is_nondominated

        front = is_nondominated(values * np.array(signs)) if len(values) else np.zeros(0, dtype=bool)
        expected = [one["said"] for one in found.expected if all(name in one["said"] for name in names)]
        medians = np.array([[said[name]["median"] for name in names] for said in expected]).reshape(-1, len(names))
        ends = [[said[name]["interval"] for name in names] for said in expected]
        interval = np.array(ends, dtype=np.float64).reshape(-1, len(names), 2)
        units = [metric_unit(name) for name in names]
        svg = loop_front_picture(values, front, medians, interval, names, units, signs, folder)
        text = (
            f"Full marks are designs that were bought; hollow ones were not, bars are their {LEVEL:.0%} intervals: the "
            "model expects them on the front, and only the tool can tell."
        )
        yield Picture("loop_front", svg, "Designs that were bought and designs that the model expects", text)
    shown = [name for name in names if found.prospective[name].known.any()][:3]
    if shown:
        prospective = found.prospective
        svg = fresh_labels_picture(
            shown,
            {name: prospective[name].truth for name in shown},
            {name: prospective[name].said for name in shown},
            {name: prospective[name].low for name in shown},
            {name: prospective[name].high for name in shown},
            LEVEL,
            prospective[shown[0]].version,
            folder,
        )
        text = (
            "What the model had said of each design just before its label was bought. On the right, how many of these "
            "labels lie in intervals of each level: on the diagonal, intervals hold what they promise."
        )
        yield Picture(
            "fresh_labels", svg, "Prospective labels against what was expected, and the calibration curve", text
        )


def _expected(said: Mapping[str, Any]) -> str:
    low, high = said["interval"]
    ends = "" if low is None or high is None else f" ({_number(low)} to {_number(high)})"
    return f"{_number(said['median'])}{ends}"


def _number(value: float | None) -> str:
    if value is None or not np.isfinite(value):
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
