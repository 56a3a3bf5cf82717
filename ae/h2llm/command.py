"""The published evaluation as the command line states it: which points, and what else belongs to an experiment."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ae.h2llm import architecture, evolution
from ae.h2llm.one import Row, done, explored
from ae.h2llm.points import ALL, BATCHES, DATA_SETS, DESIGNS, EVALUATORS, EXPERIMENTS, MODELS, Point, points, results_of
from ae.h2llm.table import write_table
from ae.job_pool import Piece, Say, work_off
from design.errors import InputError
from dse.options import choice, listing, whole

POINTS, EVOLUTION, ARCHITECTURE = "points", "evolution", "architecture"  # folders, and the tables beside them
TABLE = "table"
EVOLVED = ("H2-LLM",)  # designs whose dataflow is also searched by evolution alone


@dataclass(frozen=True)
class Evaluation:
    """What is to be run, and where to."""

    points: tuple[Point, ...]
    evaluator: str
    seed: int
    out: Path
    evolved: tuple[Point, ...] = ()
    seeds: tuple[int, ...] = ()
    studied: tuple[str, ...] = ()  # models
    marks: tuple[int, ...] = evolution.MARKS
    generations: int = architecture.GENERATIONS


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those of the published evaluation alone."""
    group = parser.add_argument_group("e2e, dataflow, arch, all")
    group.add_argument(
        "--evaluator", default="roofline", help="roofline, as published, or buffered (default: roofline)"
    )
    group.add_argument("--designs", help=f"of: {', '.join(DESIGNS)} (default: those of the experiment)")
    group.add_argument("--models", help=f"of: {', '.join(MODELS)} (default: all)")
    group.add_argument("--data-sets", help=f"of: {', '.join(DATA_SETS)} (default: all)")
    group.add_argument("--batches", help=f"of: {', '.join(map(str, BATCHES))} (default: all)")
    group.add_argument("--seed", default="114514", help="of the points (default: 114514)")


def evaluation_of(given: argparse.Namespace) -> Evaluation:
    """What the command line states. Raises InputError for what it cannot be."""
    kind = given.experiment_type
    designs = _listed("--designs", given.designs, EXPERIMENTS[kind], DESIGNS)
    models = _listed("--models", given.models, MODELS, MODELS)
    data_sets = _listed("--data-sets", given.data_sets, DATA_SETS, DATA_SETS)
    batches = _listed("--batches", given.batches, map(str, BATCHES), map(str, BATCHES))
    evaluator = choice(*EVALUATORS)("--evaluator", given.evaluator)
    wanted = points(designs, models, data_sets, tuple(map(int, batches)))
    return Evaluation(
        points=tuple(wanted),
        evaluator=evaluator,
        seed=whole(0, 2**63 - 1)("--seed", given.seed),
        out=results_of(evaluator, given.out),
        evolved=tuple(point for point in wanted if point.design in EVOLVED) if kind == ALL else (),
        seeds=tuple(range(whole(1, 1000)("--seeds", given.seeds))),
        studied=models if kind in (ALL, "arch") else (),
    )


def _listed(flag: str, text: str | None, usual: Any, known: Any) -> tuple[str, ...]:
    return tuple(usual) if text is None else listing(choice(*known))(flag, text)


def run_evaluation(asked: Evaluation, workers: int, say: Say, show: Callable[[str], None]) -> int:
    """Do what is not done yet, write the tables of all that is there, and `show` what came of it. Returns the exit
    code: 3 where something went wrong."""
    begin = time.monotonic()
    _make(asked.out)
    there = _done(asked)
    if odd := [row["seed"] for row in there.values() if row["seed"] != asked.seed]:
        raise InputError(
            "--seed", f"{asked.seed}, and {asked.out} has points of {odd[0]}", "the same, or another --out"
        )
    left = [point for point in asked.points if point.name not in there]
    say(f"{len(asked.points)} points, {len(asked.points) - len(left)} of them done before")
    try:
        _, wrong = work_off([*_pieces(asked, left)], workers, say)
    finally:  # interrupted or not
        rows = _write(asked)
    show(_told([rows[point.name] for point in asked.points if point.name in rows], wrong))
    show(f"{time.monotonic() - begin:.0f} s. Tables and runs are in {asked.out}")
    return 3 if wrong else 0


def _pieces(asked: Evaluation, left: Sequence[Point]) -> Iterator[Piece]:
    """Costs are about CPU-seconds. What else than points was done before is read there."""
    for model in asked.studied:
        place = (model, asked.out / ARCHITECTURE, asked.seed, asked.generations)
        yield Piece(f"{ARCHITECTURE}/{model}", architecture.studied, place, 30)
    for point in asked.evolved:
        given = (point, asked.out / EVOLUTION, asked.evaluator, asked.seeds, asked.marks)
        yield Piece(f"{EVOLUTION}/{point.name}", evolution.evolved, given, 1.2 * len(asked.seeds))
    for point in left:
        design = DESIGNS[point.design]
        cost = (8.0 if design.engines is None else 1.0) if design.explored else 0.1
        yield Piece(point.name, explored, (point, asked.out / POINTS, asked.evaluator, asked.seed), cost)


def _done(asked: Evaluation) -> dict[str, Row]:
    """All points that are done, whatever is asked for this time."""
    return {point.name: row for point in _every() if (row := done(point, asked.out / POINTS)) is not None}


def _every() -> list[Point]:
    return points(tuple(DESIGNS), tuple(MODELS), tuple(DATA_SETS), BATCHES)


def _write(asked: Evaluation) -> dict[str, Row]:
    """The tables of all that is there, whatever was asked for this time. Returns the rows of points by name."""
    rows = _done(asked)
    write_table(list(rows.values()), asked.out, TABLE)
    records = [record for point in _every() for record in evolution.kept(point, asked.out / EVOLUTION)]
    if records:
        write_table(_with_bounds(records, rows), asked.out, EVOLUTION)
    fronts = [front for model in MODELS for front in architecture.kept(model, asked.out / ARCHITECTURE) or ()]
    if fronts:
        write_table(fronts, asked.out, ARCHITECTURE)
    return rows


def _with_bounds(records: Sequence[Row], rows: dict[str, Row]) -> list[Row]:
    """With the bound of their point, and how far above it they are at most."""
    found = []
    for record in records:
        name = Point(record["design"], record["model"], record["data_set"], record["batch"]).name
        bound, latency = rows[name]["lower_bound"] if name in rows else None, record["latency"]
        gap = None if bound is None or latency is None else max(latency / bound - 1, 0.0)
        found.append({**record, "lower_bound": bound, "gap": gap})
    return found


def _told(rows: Sequence[Row], wrong: dict[str, str]) -> str:
    gaps = [row["gap"] for row in rows if row["gap"] is not None]
    worst = max(gaps, default=float("nan"))
    cpu = sum(row["cpu_seconds"] for row in rows)
    text = f"{len(rows)} points in {cpu:.0f} CPU-seconds; {sum(gap <= 1e-3 for gap in gaps)} proven within 0.1 %, "
    return text + f"the worst within {worst:.2%}; {len(rows) - len(gaps)} without a bound; {len(wrong)} went wrong"


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(str(out), f"cannot be made ({error.strerror})", "a writable folder") from None
