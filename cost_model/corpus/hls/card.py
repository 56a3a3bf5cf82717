"""A corpus on one page, for people: what is in it, what is held out and why, who made the labels, by which hashes it is
known.

    python -m cost_model.corpus.hls.card --data hlsyn.tar.gz
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cost_model.corpus.hls.records import Corpus, gather
from cost_model.corpus.split import SPLIT, read_split
from design.contracts import ESTIMATE, TOOL, Dataset
from design.errors import InputError
from design.hls.design import TARGETS
from design.hls.task import hls_task_of
from design.metrics import CYCLES

HLSYN = (
    "HLSyn (Bai, Sohrabizadeh, Qin, Hu, Sun, Cong: Towards a Comprehensive Benchmark for High-Level Synthesis Targeted"
    " to FPGAs, NeurIPS 2023, Datasets and Benchmarks), CC BY-SA 4.0"
)
SAID_BY = {TOOL: "the tool itself", ESTIMATE: "an estimate, not the tool"}
HEADINGS = ("tool", "family", "kernels", "designs", "with cycles", "valid", "cycles")


def data_card(corpus: Corpus, source: str = HLSYN) -> str:
    """The card, lines of text. `source` is whose data they are, and under what licence."""
    lines = [
        f"Corpus {corpus.digest}: {corpus.rows} designs in {len(corpus.records)} records",
        f"Source: {source}",
        "",
        *_table([HEADINGS, *_families(corpus)]),
        "",
        "Labels",
        *(f"  {who}: {_count(corpus, fidelity)}" for fidelity, who in SAID_BY.items()),
        f"  Records made from others by rewriting, with their labels: {_rewritten(corpus)}",
        "  Cycles and counts are as the tool's table has them. Where it has no cycles they are not known, never 0.",
        *_bought(corpus),
        "",
        f"Held out, in all tool versions: {', '.join(corpus.split.families)}",
        f"  {corpus.split.why}",
        f"  Also known by {len(corpus.split.likenesses)} hashes of the split file.",
        f"  There, and not read: {', '.join(corpus.left_out) or 'none'}",
        "",
        "Kernels by the hash of their source",
        *(f"  {digest}  {name} ({', '.join(tools)})" for (name, digest), tools in _kernels(corpus).items()),
    ]
    return "\n".join(lines) + "\n"


def _families(corpus: Corpus) -> list[tuple[str, ...]]:
    """A row a tool version and family, and one for each tool version as a whole."""
    rows = []
    for tool in sorted({_tool(record) for record in corpus.records}):
        records = [record for record in corpus.records if _tool(record) == tool]
        for family in sorted({record.task.family for record in records}):
            rows.append((tool, family, *_figures([r for r in records if r.task.family == family])))
        rows.append((tool, f"all ({TARGETS[tool].name})", *_figures(records)))
    return rows


def _figures(records: Sequence[Dataset]) -> tuple[str, ...]:
    cycles = np.concatenate([record.metric(CYCLES) for record in records])
    known = cycles[~np.isnan(cycles)]
    valid = sum(int(record.feasible.sum()) for record in records)
    between = f"{known.min():.0f} .. {known.max():.0f}" if len(known) else "-"
    return str(len({r.task.name for r in records})), str(len(cycles)), str(len(known)), str(valid), between


def _count(corpus: Corpus, fidelity: str) -> str:
    records = [record for record in corpus.records if record.fidelity == fidelity]
    return f"{len(records)} records, {sum(len(record) for record in records)} designs"


def _bought(corpus: Corpus) -> list[str]:
    """A line a file of labels that were bought and do not come from the source; nothing where there are none."""
    records = [record for record in corpus.records if record.provenance.sources]
    return ["", "Acquired labels, which are not of the source above"] * bool(records) + [
        f"  {r.provenance.where}: {len(r)} designs of {r.task.name} ({_tool(r)}), said by "
        f"{', '.join(r.provenance.sources)}"
        for r in records
    ]


def _kernels(corpus: Corpus) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for record in sorted(corpus.records, key=lambda r: (r.task.name, _tool(r))):
        found.setdefault((record.task.name, record.task.digest), []).append(_tool(record))
    return found


def _rewritten(corpus: Corpus) -> int:
    return sum(bool(record.provenance.ancestors) for record in corpus.records)


def _tool(record: Dataset) -> str:
    return hls_task_of(record).target.tool


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Words to the left, numbers to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m cost_model.corpus.hls.card", description="Print a data card.")
    parser.add_argument("--data", type=Path, required=True, help="folder or archive of tool results")
    parser.add_argument("--split", type=Path, default=SPLIT, help="file of held-out families")
    parser.add_argument("--source", default=HLSYN, help="whose data they are, and under what licence")
    given = parser.parse_args(arguments)
    sys.stdout.write(data_card(gather(given.data, read_split(given.split)), given.source))


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(str(error))
