"""Say point by point what moved against the results that were kept, and whether any is worse than the published search.

    python ae/check.py

Exit codes: 0 nothing moved for the worse, 1 something did, 2 unusable input. Points that have not been run are counted
and not held against the rest: a part of the evaluation can be checked by itself.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from anywhere

from ae.h2llm.command import TABLE
from ae.h2llm.one import COLUMNS, Row
from ae.h2llm.points import EVALUATORS, results_of
from ae.h2llm.ratios import Key, key_of, table_of
from ae.h2llm.table import read_table
from design.errors import InputError

EXPECTED = Path(__file__).parent / "expected.json"
SAME = 1e-9  # relative: sums in another order
# What the published search gets after 25,000 candidates, seconds a layer.
PUBLISHED = {
    ("H2-LLM", "llama", "sg", 4): 0.058038,
    ("CC-NMP", "llama", "sg", 4): 0.060287,
    ("ID-NMP", "llama", "sg", 4): 0.668672,
}
ROUNDED = 5e-7  # of the last printed digit
WORSE, BOUND_LOST = "worse", "bound lower"
WAYS = {  # by column, and whether it rose
    ("latency", True): WORSE,
    ("latency", False): "better",
    ("lower_bound", True): "bound higher",
    ("lower_bound", False): BOUND_LOST,
}


def moved(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, str] | None:
    """In which way a point moved, and by how much in words; None where it did not."""
    for column in ("latency", "lower_bound"):
        a, b = (float("nan") if row[column] is None else row[column] for row in (old, new))
        if a == b or abs(b - a) <= SAME * abs(a) or (isnan(a) and isnan(b)):
            continue
        if isnan(a) or isnan(b):
            return (BOUND_LOST if isnan(b) else "bound found"), f"{column} {a:.9g} -> {b:.9g}"
        return WAYS[column, b > a], f"{column} {a:.9g} -> {b:.9g} ({b / a - 1:+.3g})"
    for column in ("prefill", "energy", "hardware"):
        a, b = old[column], new[column]
        near = isinstance(a, float) and isinstance(b, float) and abs(b - a) <= 1e-6 * abs(a)
        if a != b and not near:
            return "another design, as fast", f"{column} {a} -> {b}"
    return None


def compare(kept: Sequence[Row], rows: Sequence[Row]) -> Iterator[tuple[Key, str, str]]:
    """Point, way and words for each point that moved, is new, or has not been run."""
    old, new = table_of(kept), table_of(rows)
    for key in dict.fromkeys([*old, *new]):
        if key not in new:
            yield key, "not run", ""
        elif key not in old:
            yield key, "new", ""
        elif (found := moved(old[key], new[key])) is not None:
            yield key, *found


def against_published(rows: Sequence[Row]) -> Iterator[str]:
    """A line for each point of which the published search's result is known."""
    for row in rows:
        if row["evaluator"] == "roofline" and (seconds := PUBLISHED.get(key_of(row))) is not None:
            off = row["latency"] - seconds
            said = "as" if abs(off) <= ROUNDED else "WORSE than" if off > 0 else f"{-off / seconds:.2%} below"
            yield f"{_name(key_of(row))}: {row['latency']:.6f}, {said} the published search's {seconds:.6f}"


def _name(key: Key) -> str:
    return f"{key[0]}, {key[1]}, {key[2]}, batch {key[3]}"


def main(arguments: list[str]) -> int:
    """Run the command line. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="ae/check.py", description="Compare results with those that were kept.")
    parser.add_argument("--evaluator", choices=EVALUATORS, default=EVALUATORS[0])
    parser.add_argument("--out", type=Path, default=Path("ae/results"), help="as given to run_experiments.py")
    parser.add_argument("--expected", type=Path, default=EXPECTED, help="a table as run_experiments.py writes it")
    given = parser.parse_args(arguments)
    try:
        kept = [r for r in read_table(given.expected, COLUMNS) if r["evaluator"] == given.evaluator]
        rows = read_table(results_of(given.evaluator, given.out) / f"{TABLE}.json", COLUMNS)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    ways: Counter[str] = Counter()
    for key, way, words in compare(kept, rows):
        ways[way] += 1
        if words:
            print(f"{_name(key)}: {way}, {words}")
    published = list(against_published(rows))
    print("\n".join(published), end="\n" if published else "")
    same = len(rows) - sum(count for way, count in ways.items() if way != "not run")
    told = "".join(f", {count} {way}" for way, count in ways.items())
    print(f"{len(rows)} points: {same} the same{told}")
    return 1 if ways[WORSE] or ways[BOUND_LOST] or any("WORSE" in line for line in published) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
