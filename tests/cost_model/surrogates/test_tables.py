"""Table models: features that say what they should, targets that come back, and no lesson from a judged kernel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cost_model.corpus.leaks import apart
from cost_model.surrogates.tables.models import BOOSTING, KINDS, MEDIAN, TREES, Examples, adapt, fit
from cost_model.surrogates.tables.training import FEATURES, start_of, training_rows
from cost_model.views.hls.directive_features import ABSENT, PLACES, directive_features
from cost_model.views.hls.nest_features import nest_features, unrolled
from cost_model.views.hls.view import HlsView
from design.contracts import Dataset
from design.core import Batch
from design.hls.design import COARSE, FLATTEN, OFF, TARGETS, hls_schema
from design.hls.loop_nest import Kernel
from design.hls.task import hls_task_of
from design.metrics import HLS_METRICS, target_table, values_of
from frontends.c_kernel import parse_kernel
from frontends.hls_results.tables import read_results
from tests.cases_hls import DOT, scale_designs, scale_source, usual, write_data

V18 = TARGETS["v18"]
VIEW = HlsView()


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    """All of the usual data set, both tool versions."""
    path = usual(tmp_path_factory.mktemp("data"))
    return [table for tool in ("v18", "v20") for table in read_results(path, tool)]


def scale_batch(kernel: Kernel, *rows: tuple[int, int, int, int]) -> Batch:
    """Designs (P0, T0, U0, U1)."""
    table = np.array(rows, dtype=np.int64)
    return Batch(hls_schema(kernel, V18), {n: table[:, i].copy() for i, n in enumerate(("P0", "T0", "U0", "U1"))})


def test_directive_features_by_hand() -> None:
    """Places, sizes and totals of factors in log2; what the kernel lacks is ABSENT."""
    kernel = parse_kernel(scale_source(), "scale")
    found = directive_features(kernel, V18, scale_batch(kernel, (COARSE, 2, 4, 8), (OFF, 1, 1, 1)).columns)
    assert found.shape == (2, 1 + (2 * PLACES + 6) + 2 * (3 * PLACES + 3))
    pipe, tile, copies = np.split(found[:, 1:], [2 * PLACES + 6, 2 * PLACES + 6 + 3 * PLACES + 3], axis=1)
    assert pipe[0, :2].tolist() == [COARSE, ABSENT] and pipe[0, 2 * PLACES :].tolist() == [0, 1, 0, 1, 0, ABSENT]
    assert tile[0, :2].tolist() == [1, ABSENT] and tile[0, 3 * PLACES :].tolist() == [1, 1, 1]
    assert copies[0, :3].tolist() == [2, 3, ABSENT]  # by place from outside
    assert copies[0, PLACES : PLACES + 3].tolist() == [3, 2, ABSENT]  # from inside
    assert copies[0, 2 * PLACES : 2 * PLACES + 3].tolist() == [3, 2, ABSENT]  # by size
    assert copies[0, 3 * PLACES :].tolist() == [5, 2, 2]  # sum, how many are above 1, how many there are
    assert copies[1, 3 * PLACES :].tolist() == [0, 0, 2]


def test_unrolling_by_hand() -> None:
    """A flattened loop unrolls what is inside it and is itself pipelined."""
    kernel = parse_kernel(scale_source(), "scale")
    seen = unrolled(kernel, scale_batch(kernel, (OFF, 1, 1, 1), (FLATTEN, 2, 4, 1), (COARSE, 1, 128, 3)).columns)
    assert seen.copies.tolist() == [[1, 1], [4, 8], [64, 3]]  # no more copies than trips
    np.testing.assert_allclose(seen.trips, [[64, 8], [16, 1], [1, 8 / 3]])
    assert seen.pipelined.tolist() == [[False, False], [True, False], [True, False]]
    assert seen.flattened.tolist() == [[False, False], [False, True], [False, False]]
    assert seen.depth.tolist() == [0, 1] and seen.height.tolist() == [1, 0]


def test_features_are_of_one_width_and_finite(tables: list[Dataset]) -> None:
    """For every kernel, and row by row the same in any company."""
    for name, features in FEATURES.items():
        widths = set()
        for table in tables:
            found = features(VIEW, table.task, table.batch)
            assert np.isfinite(found).all(), name
            widths.add(found.shape[1])
            some = np.array([7, 3])
            np.testing.assert_array_equal(features(VIEW, table.task, table.batch.take(some)), found[some])
        assert len(widths) == 1


def test_nest_features_tell_designs_apart() -> None:
    """More copies, and pipelining, change what the trees see; a kernel of one loop fits into the same width."""
    kernel, dot = parse_kernel(scale_source(), "scale"), parse_kernel(DOT, "dot")
    found = nest_features(kernel, scale_batch(kernel, (OFF, 1, 1, 1), (COARSE, 1, 1, 1), (OFF, 1, 4, 1)).columns)
    assert not (found[0] == found[1]).all() and not (found[0] == found[2]).all()
    one = np.array([1])
    assert nest_features(dot, {"PIPE": one, "PARA": one}).shape[1] == found.shape[1]


def test_targets_come_back() -> None:
    """Also at zero; the published target at 1e7 cycles is 0, and a quarter of the cycles is 1 more."""
    known = {"cycles": np.array([1e7, 2.5e6, 1.0])} | {m: np.array([0.0, 3.0, 1e6]) for m in HLS_METRICS[1:]}
    found = target_table(known, HLS_METRICS)
    np.testing.assert_allclose(found[:2], [[0, 0, 0, 0, 0], [1, 1, 1, 1, 1]])
    for metric, column in values_of(found, HLS_METRICS).items():
        np.testing.assert_allclose(column, known[metric], atol=1e-9)
    low = values_of(np.array([[99.0, -1, -1, -1, -1]]), HLS_METRICS)
    assert low["cycles"][0] == 1 and low["dsp"][0] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_models_learn_and_adapt(kind: str, tables: list[Dataset]) -> None:
    """Better than before on what they were shown, the same twice, probabilities between 0 and 1."""
    for name, features in FEATURES.items():
        rows = training_rows(features, VIEW, [t for t in tables if t.task.family == "scale"])
        known = np.isfinite(rows.targets).all(axis=1)
        assert known.sum() == 3 * 72 and len(known) == 3 * 90
        model, again = (fit(kind, rows, 4, start_of(name, len(HLS_METRICS))) for _ in range(2))
        x, y = rows.features[known], rows.targets[known]
        np.testing.assert_array_equal(model.regression(x), again.regression(x))
        middle = np.abs(y - np.median(y, axis=0)).mean()
        error = np.abs(model.regression(x) - y).mean()
        assert error == pytest.approx(middle) if kind == MEDIAN else error < middle / 4
        assert ((model.validity(x) >= 0) & (model.validity(x) <= 1)).all()
        if kind != MEDIAN:
            assert ((model.validity(rows.features) >= 0.5) == rows.valid).mean() > 0.95
        other = training_rows(features, VIEW, [t for t in tables if t.task.name == "dot"])
        few = Examples(other.features[::2], other.targets[::2], other.valid[::2])
        rest, truth = other.features[1::2], other.targets[1::2]
        before = np.abs(model.regression(rest) - truth).mean()
        assert np.abs(adapt(model, few, 4).regression(rest) - truth).mean() < before


def test_columns_that_tell_nothing_change_nothing() -> None:
    """Boosting from few rows says the same, bit by bit, with columns that are constant or repeat an earlier one."""
    rng = np.random.default_rng(5)
    x, asked = rng.integers(0, 4, (20, 6)).astype(np.float64), rng.integers(0, 4, (200, 6)).astype(np.float64)
    y = x[:, :2] @ rng.normal(size=(2, len(HLS_METRICS))) + rng.normal(size=(20, len(HLS_METRICS)))

    def said(parts: list[int], constant: float) -> np.ndarray:
        rows, wanted = (np.column_stack([t[:, parts], np.full(len(t), constant)]) for t in (x, asked))
        valid = np.ones(len(rows), dtype=bool)
        return fit(BOOSTING, Examples(rows, y, valid), 1).regression(wanted)

    plain = said([0, 1, 2, 3, 4, 5], 0.0)
    assert np.ptp(plain, axis=0).min() > 0
    assert np.array_equal(said([0, 1, 0, 2, 3, 1, 4, 5, 5], 7.0), plain)
    nothing = fit(BOOSTING, Examples(np.ones((20, 3)), y, np.ones(20, dtype=bool)), 1).regression(np.ones((2, 3)))
    assert np.allclose(nothing, y.mean(axis=0))


def test_what_is_learned_is_a_difference(tables: list[Dataset]) -> None:
    """With a start that is the truth there is nothing left to learn, whatever the kernel."""
    rows = training_rows(FEATURES["directives"], VIEW, [t for t in tables if t.task.family == "scale"])
    other = training_rows(FEATURES["directives"], VIEW, [t for t in tables if t.task.name == "dot"])
    for kind in (TREES, BOOSTING):
        told = Examples(np.concatenate([np.nan_to_num(rows.targets), rows.features], axis=1), rows.targets, rows.valid)
        model = fit(kind, told, 0, slice(0, len(HLS_METRICS)))
        answer = model.regression(np.concatenate([other.targets, other.features], axis=1))
        np.testing.assert_allclose(answer, other.targets, atol=1e-6)


def test_no_lesson_from_a_judged_kernel(tmp_path: Path, tables: list[Dataset]) -> None:
    """Not from its family, in any tool version, nor from a copy under another name, nor from the copy's family."""
    judged = [table for table in tables if table.task.name == "scale" and hls_task_of(table).target.tool == "v20"]
    assert {(t.task.name, hls_task_of(t).target.tool) for t in apart(tables, judged)} == {
        ("dot", "v18"),
        ("twice", "v18"),
        ("twice", "v20"),
    }
    renamed = scale_source().replace("scale", "stretch").replace("in[", "from[").replace("out", "to")
    renamed = "/* harmless */" + renamed.replace("P0", "PIPE").replace("U1", "INNER") + "// nothing"
    sources = {"copy_kernel.c": scale_source(), "alias-b_kernel.c": renamed, "alias_kernel.c": scale_source(32)}
    odd = {key.replace("P0", "PIPE").replace("U1", "INNER"): value for key, value in scale_designs().items()}
    for design in odd.values():
        names = {"P0": "PIPE", "U1": "INNER"}
        design["point"] = {names.get(name, name): value for name, value in design["point"].items()}
    designs = {"v18/copy": scale_designs(), "v18/alias-b": odd, "v18/alias": scale_designs(32)}
    copies = read_results(write_data(tmp_path, sources, designs), "v18")
    assert [t.task.name for t in copies] == ["alias", "alias-b", "copy"] and not apart(copies, judged)
    assert [t.task.name for t in apart(copies, [t for t in tables if t.task.name == "dot"])] == [
        "alias",
        "alias-b",
        "copy",
    ]
