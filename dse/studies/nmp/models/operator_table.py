"""A model in use as a table: what each operator computes and reads in one layer, and what the whole model comes to."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from design.nmp.lowering import Usage, decode_calls, prefill_calls
from design.nmp.model import HEAD, LayerKind, LayerOperator, Model
from design.nmp.workload import ATTENTION, Call, Gemm
from dse.records.directory import write_whole

if TYPE_CHECKING:
    from rich.table import Table

PREFILL, DECODE = PHASES = ("prefill", "decode")
EMBEDDING = "embedding"
HEADINGS = ("phase", "layers", "op", "B", "M", "N", "K", "calls", "MACs", "weights", "cache", "MAC/B")
LEFT = 3  # of the headings stand over words, the others over numbers


@dataclass(frozen=True)
class OperatorRow:
    """One distinct GEMM of an operator in a phase: (M, K) . (K, N), `B` at once, `calls` times in one layer of a kind.

    All figures are of one layer, of which there are `layer_count`: multiply-accumulates, bytes of weights and of
    key-value cache that are read, and multiply-accumulates for each byte of both operands. K is 0 where nothing is
    multiplied.
    """

    phase: str
    layer_kind: str
    layer_count: int
    op: str
    B: int
    M: int
    N: int
    K: int
    calls: int
    macs: int
    weight_bytes: int
    kv_bytes: int
    intensity: float


COLUMNS = tuple(field.name for field in fields(OperatorRow))
SUMMED = ("macs", "weight_bytes", "kv_bytes")


def size_in_bytes(elements: int, usage: Usage) -> int:
    """Bytes of so many elements, of which two may share one; the last one is counted whole."""
    return -(-elements * round(8 * usage.bytes_per_element) // 8)


def calls_of(op: LayerOperator, phase: str, usage: Usage) -> tuple[Call, ...]:
    """The GEMMs of an operator in one layer: in all of prefill, or in a decode step at the final context."""
    return prefill_calls(op, usage) if phase == PREFILL else decode_calls(op, usage)


def tokens_of(phase: str, usage: Usage) -> int:
    """New tokens of each sequence."""
    return usage.prompt if phase == PREFILL else 1


def operator_rows(model: Model, usage: Usage) -> list[OperatorRow]:
    """Prefill, then one decode step at the final context: kinds, operators and their GEMMs in the model's order.

    A mixture of experts, and attention in a prefill of several chunks, have several GEMMs. The embedding, which only
    looks up a row for each token, is a kind of layer of its own.
    """
    rows: list[OperatorRow] = []
    for phase in PHASES:
        if model.embedding is not None:
            rows.append(_embedding_row(phase, model.embedding.width, usage))
        for kind in model.kinds:
            for op in kind.operators:
                rows += (_row(phase, kind, op, call, usage) for call in calls_of(op, phase, usage))
    return rows


def _row(phase: str, kind: LayerKind, op: LayerOperator, call: Call, usage: Usage) -> OperatorRow:
    gemm, times = call.gemm, int(call.times)
    B, M, N, K = gemm
    second = size_in_bytes(B * N * K * times, usage)
    # As the published roofline counts (H2-LLM, ISCA '25): both operands come in, what goes out is not counted.
    intensity = gemm.macs / (usage.bytes_per_element * B * (M * K + K * N))
    weights, cache = second if op.weights else 0, second if op.kind == ATTENTION else 0
    figures = (times, gemm.macs * times, weights, cache)
    return OperatorRow(phase, kind.name, kind.count, op.name, *gemm, *figures, intensity)


def _embedding_row(phase: str, width: int, usage: Usage) -> OperatorRow:
    rows = usage.batch * tokens_of(phase, usage)
    gemm, read = Gemm(1, rows, width, 0), size_in_bytes(rows * width, usage)
    return OperatorRow(phase, EMBEDDING, 1, EMBEDDING, *gemm, 1, 0, read, 0, 0.0)


@dataclass(frozen=True)
class Totals:
    """A whole model in use.

    `parameters` are all of them, the embedding's and those of all experts included; `active_parameters` leave out the
    experts that a token does not choose. Every token adds `cache_bytes_per_token` to the key-value cache while the
    context is within all windows; the cache of all sequences at the final context has `cache_bytes`. MACs are
    multiply-accumulates of the whole batch: of prefill, and of the last decode step.
    """

    parameters: int
    active_parameters: int
    cache_bytes_per_token: int
    cache_bytes: int
    prefill_macs: int
    decode_macs: int

    def __str__(self) -> str:
        active = f" ({counted(self.active_parameters)} active)" if self.active_parameters != self.parameters else ""
        return (
            f"{counted(self.parameters)} parameters{active}; cache {human_bytes(self.cache_bytes_per_token)} a token, "
            f"{human_bytes(self.cache_bytes)} at the final context; MACs {counted(self.prefill_macs)} in prefill, "
            f"{counted(self.decode_macs)} in a decode step"
        )


def totals(model: Model, usage: Usage) -> Totals:
    """What all layers of all kinds come to."""
    macs: Counter[str] = Counter()
    for row in operator_rows(model, usage):
        macs[row.phase] += row.macs * row.layer_count
    # A tied table is the output head's, and counted there where there is one.
    shared = model.embedding is not None and model.embedding.tied and any(k.name == HEAD for k in model.kinds)
    parameters = active = 0 if model.embedding is None or shared else model.embedding.rows * model.embedding.width
    cache_of_token = cache = 0
    for kind in model.kinds:
        for op in kind.operators:
            parameters += kind.count * op.weights
            active += kind.count * _active_weights(op)
            cache_of_token += kind.count * op.cache
            cache += kind.count * op.cache * cached_tokens(op, usage)
    return Totals(
        parameters,
        active,
        size_in_bytes(cache_of_token, usage),
        size_in_bytes(cache, usage),
        macs[PREFILL],
        macs[DECODE],
    )


def cached_tokens(op: LayerOperator, usage: Usage) -> int:
    """Tokens of all sequences that an operator's cache holds at the final context: a window keeps no more than it
    sees."""
    return usage.batch * op.seen(usage.last_context)


def _active_weights(op: LayerOperator) -> int:
    return op.weights if op.experts is None else op.weights // op.experts.total * op.experts.chosen


def write_operators(rows: Iterable[OperatorRow], path: Path) -> None:
    """The rows as CSV with a heading, whole at any moment. Raises OSError, naming the file, where the disk does not
    take it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        values = (getattr(row, name) for name in COLUMNS)
        writer.writerow([f"{value:.6g}" if isinstance(value, float) else value for value in values])
    write_whole(path, text.getvalue())


def operator_table(rows: Sequence[OperatorRow]) -> Table:
    """The rows for a terminal of 120 columns: one layer of each kind, and at the end of a phase the whole model."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    title = "Operators, of one layer each"
    table = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE, collapse_padding=True)
    for place, heading in enumerate(HEADINGS):
        words = place < LEFT
        table.add_column(heading, justify="left" if words else "right", no_wrap=not words, overflow="fold")
    for cells, style in _lines(rows):
        # Names are no markup.
        table.add_row(*map(Text, cells), style=style, end_section=bool(style))
    return table


def _lines(rows: Sequence[OperatorRow]) -> Iterator[tuple[list[str], str]]:
    """(cells, style) of every line: what is as in the line above is said once."""
    for phase in dict.fromkeys(row.phase for row in rows):
        mine = [row for row in rows if row.phase == phase]
        above = None
        for row in mine:
            layers = f"{row.layer_kind} x {row.layer_count}" if row.layer_count > 1 else row.layer_kind
            same_kind = above is not None and above.layer_kind == row.layer_kind
            same_op = same_kind and above is not None and above.op == row.op
            names = ["" if above else phase, "" if same_kind else layers, "" if same_op else row.op]
            sizes = [f"{value:,}" for value in (row.B, row.M, row.N, row.K, row.calls)]
            yield [*names, *sizes, *_costs(row.macs, row.weight_bytes, row.kv_bytes), _three(row.intensity)], ""
            above = row
        whole = [sum(getattr(row, name) * row.layer_count for row in mine) for name in SUMMED]
        yield ["", "whole model", *[""] * 6, *_costs(*whole), ""], "bold"


def _costs(macs: int, weight_bytes: int, kv_bytes: int) -> list[str]:
    return [counted(macs), *(human_bytes(size) if size else "-" for size in (weight_bytes, kv_bytes))]


def human_bytes(size: int) -> str:
    """Three digits and a decimal unit: 1 MB is 1e6 bytes."""
    number, prefix = _scaled(size, ("", "K", "M", "G", "T", "P", "E"))
    return f"{number} {prefix}B"


def counted(number: int) -> str:
    """Three digits and a decimal prefix."""
    return " ".join(_scaled(number, ("", "k", "M", "G", "T", "P", "E"))).rstrip()


def _scaled(number: int, prefixes: Sequence[str]) -> tuple[str, str]:
    value, place = float(number), 0
    # What would be rounded to 1000 is 1 of the next prefix.
    while value >= 999.5 and place < len(prefixes) - 1:
        value, place = value / 1000, place + 1
    return (_three(value), prefixes[place]) if place else (str(number), "")


def _three(value: float) -> str:
    """Three digits, or all those before the point; 0 is 0."""
    places = 0 if value >= 99.95 else 1 if value >= 9.995 else 2 if value >= 0.9995 else 3
    return f"{value:,.{places}f}" if value else "0"
